// The Videos page: its filter, its cards, and the parts around them.

import {ALL, WITHOUT_PAGE, filter, get, query} from "./api.js";
import {cardOf} from "./cards.js";
import {make, number} from "./dom.js";
import {followTheme, isRunTab} from "./frame.js";
import {follow} from "./overview.js";
import {spendWhenOpened} from "./spend.js";

const PAGE = 24;

const byId = (id) => document.getElementById(id);

const MODELS = [
  "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001",
  "veo-3.0-generate-001", "veo-3.0-fast-generate-001",
];

const options = (id, values) => byId(id).replaceChildren(...values.map((value) => make("option", {value})));

const showFilter = () => {
  const form = byId("filter");
  for (const field of form.elements) if (field.name) field.value = filter.get(field.name) ?? "";
  if (isRunTab) {
    document.body.classList.add("run-tab");
    byId("clear").href = `videos?${query(["dag_id", "run_id"])}`;
  }
  form.addEventListener("submit", () => {
    for (const field of form.elements) field.disabled = field.name !== "" && field.value === "";
  });
  window.addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
  options("models", MODELS);
};

const folderOf = (uri) => uri.slice(0, uri.lastIndexOf("/") + 1);

const notices = (found) => {
  const texts = [];
  const unplayed = found.videos.flatMap((card) => card.files).find((file) => !file.plays);
  if (!found.has_locations && unplayed) {
    texts.push(make(
      "p", {className: "notice"},
      "Videos are listed, and not played yet: the API server opens files in configured folders only. To play these, set ",
      make("code", {}, `AIRFLOW__VEO3__GALLERY_LOCATIONS='${folderOf(unplayed.uri)}'`),
      " for it, or ", make("code", {}, "gallery_locations"), " in the section ", make("code", {}, "[veo3]"),
      " of airflow.cfg, and start it again.",
    ));
  }
  if (found.unread > 0) {
    texts.push(make(
      "p", {className: "notice"},
      `${number(found.unread)} results are kept by a custom XCom backend and are not shown. Let it leave values below 8 kB in the database.`,
    ));
  }
  byId("notices").replaceChildren(...texts);
};

const empty = () => {
  const chosen = WITHOUT_PAGE.filter((name) => filter.has(name) && !(isRunTab && ["dag_id", "run_id"].includes(name)));
  if (filter.has("before")) return make("p", {className: "empty"}, "There are no older videos.");
  if (chosen.length > 0) {
    return make("p", {className: "empty"}, "No video fits the filter. ", make("a", {href: byId("clear").href}, "Clear it"), " to see all.");
  }
  if (isRunTab) return make("p", {className: "empty"}, "No task of this run has generated or stored a video yet.");
  return make(
    "p", {className: "empty"},
    "There are no videos yet that you may see. A DAG makes them with ",
    make("code", {}, "Veo3TextToVideoOperator"), " and stores them with ", make("code", {}, "Veo3DownloadOperator"),
    "; the example DAG example_veo3_quickstart does both.",
  );
};

const isInUse = () => [...document.querySelectorAll("video")].some((video) => !video.paused || video.currentTime > 0.2);

/** Show the cards of this page; one request reads a limited number of rows, so several may be needed. */
const showCards = async () => {
  const cards = byId("cards");
  const status = byId("status");
  cards.setAttribute("aria-busy", "true");
  status.textContent = "Loading …";
  try {
    const shown = [];
    let found = await get(`api/videos?${query(ALL)}`);
    const first = found;
    while (true) {
      const now = Date.parse(found.now);
      shown.push(...found.videos.map((card) => cardOf(card, now, found.has_locations)));
      if (found.following === null || shown.length >= PAGE) break;
      status.textContent = `Looking further back; ${number(shown.length)} found so far …`;
      found = await get(`api/videos?${query(ALL, {before: found.following})}`);
      first.videos.push(...found.videos);
      first.unread += found.unread;
    }
    cards.replaceChildren(...(shown.length > 0 ? shown : [empty()]));
    notices(first);
    options("dags", first.dags);
    byId("older").hidden = found.following === null;
    byId("older").href = `videos?${query(WITHOUT_PAGE, {before: found.following ?? ""})}`;
    byId("newest").hidden = !filter.has("before");
    byId("newest").href = `videos?${query(WITHOUT_PAGE)}`;
    const some = found.following === null ? "" : ", and older ones";
    status.textContent = `${number(shown.length)} ${shown.length === 1 ? "generation" : "generations"}${some}`;
  } catch (error) {
    status.textContent = "";
    cards.replaceChildren(make("p", {className: "error", role: "alert"}, error.message));
  }
  cards.removeAttribute("aria-busy");
};

followTheme();
showFilter();
spendWhenOpened();
byId("refresh").addEventListener("click", () => {
  byId("refresh").hidden = true;
  showCards();
});
showCards();
follow(() => {
  if (filter.has("before") || isInUse()) byId("refresh").hidden = filter.has("before");
  else showCards();
});
