// Generations in flight and at risk, refreshed from Airflow's database while the page is visible.

import {SCOPE, get, query} from "./api.js";
import {age, credits, make, span} from "./dom.js";
import {taskLink, taskName} from "./cards.js";

const REFRESH = 10_000;
const REFRESH_AFTER_ERROR = 60_000;

let ahead = 0;  // milliseconds by which the server's clock is ahead of the browser's

const now = () => Date.now() + ahead;

const short = (card) => make("p", {className: "prompt"}, card.prompt ?? card.id);

const inFlight = (card) => {
  const bar = make("progress", {max: card.usual_seconds, "aria-label": `Generation ${card.id}`});
  const text = make("span", {className: "elapsed"});
  const row = make(
    "li", {},
    short(card), bar, text,
    make("p", {className: "small"}, `${card.model ?? "unknown model"}, `, credits(card.credits_used), ", ",
      taskLink(card, `${card.dag_id}, ${taskName(card)}`)),
  );
  row.tick = () => {
    const seconds = Math.max(0, (now() - Date.parse(card.accepted_at)) / 1000);
    const usual = card.usual_seconds;
    bar.value = Math.min(seconds, usual);
    const late = seconds > usual * 1.5;
    row.classList.toggle("late", late);
    text.textContent = late ? `${span(seconds)}, longer than the usual ${span(usual)}` : `${span(seconds)} of about ${span(usual)}`;
  };
  row.tick();
  return row;
};

const howToStore = (card) => {
  const task = card.stored_by;
  if (task) {
    const storing = {...card, ...task};
    return make("p", {className: "small"}, "To store it, clear the task ", taskLink(storing, taskName(storing)), " of this run.");
  }
  return make(
    "p", {className: "small"},
    "No task of this run stores it. A DAG that stores whatever the account has completed does: ",
    make("code", {}, "airflow dags trigger example_veo3_recover"),
    ". So does ", make("code", {}, `Veo3DownloadOperator(generation_id="${card.id}", …)`), " in any DAG.",
  );
};

const atRisk = (card) => {
  const left = make("strong", {});
  const row = make(
    "li", {},
    short(card),
    make("p", {}, left, ", completed ", age(card.completed_at, now()), ", ", credits(card.credits_used), ", ",
      taskLink(card, `${card.dag_id}, ${taskName(card)}`)),
    howToStore(card),
  );
  row.tick = () => {
    left.textContent = `Links end in ${span((Date.parse(card.links_end) - now()) / 1000)}`;
  };
  row.tick();
  return row;
};

const fill = (id, title, rows) => {
  const section = document.getElementById(id);
  section.hidden = rows.length === 0;
  section.querySelector("h2").textContent = `${title} (${rows.length})`;
  section.querySelector("ul").replaceChildren(...rows);
};

/** Keep both lists fresh; call back when a generation is in flight no longer. */
export const follow = (ended) => {
  let flying = new Set();
  let timer = null;
  const refresh = async () => {
    timer = null;
    let pause = REFRESH;
    try {
      const found = await get(`api/overview?${query(SCOPE)}`);
      ahead = Date.parse(found.now) - Date.now();
      fill("in-flight", "In flight", found.in_flight.map(inFlight));
      fill("at-risk", "At risk", found.at_risk.map(atRisk));
      const ids = new Set(found.in_flight.map((card) => card.id));
      if ([...flying].some((id) => !ids.has(id))) ended();
      flying = ids;
    } catch {
      pause = REFRESH_AFTER_ERROR;  // the list of videos shows what is wrong
    }
    if (!document.hidden) timer = setTimeout(refresh, pause);
  };
  setInterval(() => {
    for (const row of document.querySelectorAll(".rows > li")) row.tick();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && timer === null) refresh();
  });
  return refresh();
};
