// A card for each generation: its video, its prompt, what it cost, where it was made and where it is stored.

import {problem} from "./api.js";
import {age, bytes, credits, make, number, span} from "./dom.js";
import {airflowUrl, leadOut} from "./frame.js";

const STATUS = {
  in_flight: "in flight",
  completed: "completed",
  failed: "failed, refunded",
  unknown: "not followed",
};

/** Return the link to a task of Airflow's. */
export const taskLink = (card, text) => {
  const steps = ["dags", card.dag_id, "runs", card.run_id, "tasks", card.task_id];
  if (card.map_index >= 0) steps.push("mapped", String(card.map_index));
  return leadOut(make("a", {href: airflowUrl(...steps)}, text));
};

export const taskName = (card) => (card.map_index >= 0 ? `${card.task_id} [${card.map_index}]` : card.task_id);

const where = (card) => make(
  "dl", {className: "where"},
  make("dt", {}, "DAG"), make("dd", {}, leadOut(make("a", {href: airflowUrl("dags", card.dag_id)}, card.dag_id))),
  make("dt", {}, "Run"),
  make("dd", {}, leadOut(make("a", {href: airflowUrl("dags", card.dag_id, "runs", card.run_id)}, card.run_id))),
  make("dt", {}, "Task"), make("dd", {}, taskLink(card, taskName(card)), ` (${card.state ?? "no state"})`),
);

const source = (file) => {
  const {dag_id, run_id, task_id, map_index, number: place} = file;
  return `video?${new URLSearchParams({dag_id, run_id, task_id, map_index, number: place})}`;
};

// A player reads a file only when it comes into view: a page may have many, and storage may charge for reads.
const nearby = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (!isIntersecting) continue;
    nearby.unobserve(target);
    target.preload = "metadata";
    target.src = `${target.dataset.source}#t=0.1`;
  }
}, {rootMargin: "200px"});

const player = (card, file, place) => {
  const video = make("video", {
    controls: true, playsInline: true, preload: "none", loop: false,
    "aria-label": `Video ${place} of generation ${card.id}`,
  });
  video.dataset.source = source(file);
  video.addEventListener("play", () => {
    for (const other of document.querySelectorAll("video")) if (other !== video) other.pause();
  });
  video.addEventListener("error", async () => {
    const response = await fetch(video.dataset.source, {headers: {Range: "bytes=0-0"}}).catch(() => null);
    const reason = response && !response.ok ? await problem(response) : "The browser cannot play this file.";
    video.replaceWith(make("p", {className: "no-video", role: "note"}, reason));
  });
  nearby.observe(video);
  return video;
};

const reasonWithoutVideo = (card, now, hasLocations) => {
  if (card.status === "failed") return "The generation failed; the vendor refunds its credits.";
  if (card.status === "unknown") return "No task has followed this generation to its end.";
  if (card.status === "in_flight") return "The video is being made.";
  if (card.files.length > 0) {
    return hasLocations ? "Stored outside the locations that are played here." : "Stored; no location is played here yet.";
  }
  const left = (Date.parse(card.links_end) - now) / 1000;
  if (left > 0) return `Not stored. The vendor's links end in ${span(left)}.`;
  return card.links_end ? "Not stored, and the vendor's links have ended." : "Not stored by any task here.";
};

const prompt = (card) => {
  const text = make("p", {className: "prompt"}, card.prompt ?? "The prompt was not kept.");
  if (card.prompt === null) text.classList.add("missing");
  if ((card.prompt ?? "").length < 140) return [text];
  const button = make("button", {type: "button", className: "more", "aria-expanded": "false"}, "Whole prompt");
  button.addEventListener("click", () => {
    const whole = text.classList.toggle("whole");
    button.setAttribute("aria-expanded", String(whole));
    button.textContent = whole ? "Less" : "Whole prompt";
  });
  return [text, button];
};

const facts = (card, now) => {
  const stored = card.status === "completed" && card.files.length > 0;
  const made = [card.duration_seconds === null ? null : `${card.duration_seconds} s`, card.aspect_ratio];
  const several = (card.samples_expected ?? 1) > 1 ? `${number(card.samples_expected)} samples` : null;
  return make(
    "ul", {className: "facts"},
    make("li", {className: `badge ${stored ? "stored" : card.status}`}, stored ? "stored" : STATUS[card.status]),
    ...[card.model, ...made, several, credits(card.credits_used)]
      .filter((fact) => fact !== null).map((fact) => make("li", {}, fact)),
    make("li", {}, age(card.reported_at, now)),
  );
};

/** Return the card of a generation. */
export const cardOf = (card, now, hasLocations) => {
  const playing = card.files.filter((file) => file.plays);
  const media = playing.length > 0
    ? playing.map((file, place) => player(card, file, place + 1))
    : [make("p", {className: "no-video"}, reasonWithoutVideo(card, now, hasLocations))];
  const files = card.files.map((file) => make("li", {}, make("code", {}, file.uri), ` ${bytes(file.size)}`));
  const negative = card.negative_prompt
    ? make("p", {className: "negative"}, `Without: ${card.negative_prompt}`) : null;
  const article = make(
    "article", {className: "card", "aria-label": `Generation ${card.id}`},
    make("div", {className: "media"}, ...media),
    make(
      "div", {className: "text"},
      ...prompt(card), negative, facts(card, now), where(card),
      files.length > 0 ? make("ul", {className: "files"}, ...files) : null,
      make("p", {className: "id"}, card.id),
    ),
  );
  return article;
};
