// Credits by day, DAG and model: a chart of the days, a table of the rest, and a file with all of it.

import {SPENDING, get, query} from "./api.js";
import {draw, make, number} from "./dom.js";
import {leadOut} from "./frame.js";

const WIDTH = 720;
const HEIGHT = 170;
const LEFT = 56;
const BOTTOM = 22;
const TOP = 8;
const COLOURS = 5;

/** Return the days between two times, as the rows name them. */
const daysOf = (since, until) => {
  const days = [];
  for (let day = new Date(`${since.slice(0, 10)}T00:00:00Z`); day <= new Date(until); day.setUTCDate(day.getUTCDate() + 1)) {
    days.push(day.toISOString().slice(0, 10));
  }
  return days;
};

const sum = (rows, part) => rows.reduce((total, row) => total + row[part], 0);

const chart = (rows, days, models) => {
  const tallest = Math.max(1, ...days.map((day) => sum(rows.filter((row) => row.day === day), "total")));
  const scale = (HEIGHT - TOP - BOTTOM) / tallest;
  const step = (WIDTH - LEFT) / days.length;
  const width = Math.max(1, Math.min(28, step * 0.8));
  const bars = [];
  days.forEach((day, place) => {
    const x = LEFT + place * step + (step - width) / 2;
    let y = HEIGHT - BOTTOM;
    const bar = (value, className, title) => {
      if (value <= 0) return;
      y -= value * scale;
      bars.push(draw("rect", {x, y, width, height: value * scale, class: className}, draw("title", {}, title)));
    };
    const ofDay = rows.filter((row) => row.day === day);
    models.forEach((model, colour) => {
      const spent = sum(ofDay.filter((row) => row.model === model), "credits");
      bar(spent, `bar colour-${colour % COLOURS}`, `${day}: ${number(spent)} credits, ${model}`);
    });
    const refunded = sum(ofDay, "refunded");
    bar(refunded, "bar refunded", `${day}: ${number(refunded)} credits refunded`);
  });
  const label = (x, y, text, anchor) => draw("text", {x, y, "text-anchor": anchor, class: "axis"}, text);
  return draw(
    "svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart", "aria-label": "Credits by day; the table below has the numbers"},
    draw("line", {x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "axis"}),
    label(LEFT - 6, TOP + 8, number(tallest), "end"),
    label(LEFT - 6, HEIGHT - BOTTOM, "0", "end"),
    label(LEFT, HEIGHT - 6, days[0], "start"),
    label(WIDTH, HEIGHT - 6, days.at(-1), "end"),
    ...bars,
  );
};

const legend = (models, hasRefunds) => make(
  "ul", {className: "legend", "aria-label": "Colours of the chart"},
  ...models.map((model, colour) => make("li", {className: `colour-${colour % COLOURS}`}, model)),
  hasRefunds ? make("li", {className: "refunded"}, "refunded") : null,
);

const table = (rows) => {
  const totals = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.dag_id, row.model]);
    const total = totals.get(key) ?? {dag_id: row.dag_id, model: row.model, generations: 0, credits: 0, refunded: 0};
    for (const part of ["generations", "credits", "refunded"]) total[part] += row[part];
    totals.set(key, total);
  }
  const cells = (row) => [row.generations, row.credits, row.refunded].map((value) => make("td", {}, number(value)));
  const sorted = [...totals.values()].sort((one, other) => other.credits - one.credits);
  const all = {generations: sum(sorted, "generations"), credits: sum(sorted, "credits"), refunded: sum(sorted, "refunded")};
  const head = ["DAG", "Model", "Generations", "Credits", "Refunded"];
  return make(
    "table", {},
    make("caption", {}, "Credits by DAG and model"),
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", {scope: "col"}, text)))),
    make("tbody", {}, ...sorted.map((row) => make(
      "tr", {}, make("th", {scope: "row"}, row.dag_id), make("td", {className: "text"}, row.model), ...cells(row),
    ))),
    make("tfoot", {}, make("tr", {}, make("th", {scope: "row", colSpan: 2}, "All"), ...cells(all))),
  );
};

/** Fill the part about credits when it is opened. */
export const spendWhenOpened = () => {
  const part = document.getElementById("spend");
  const content = document.getElementById("spend-content");
  part.addEventListener("toggle", async () => {
    if (!part.open) return;
    content.replaceChildren(make("p", {role: "status"}, "Adding up …"));
    try {
      const found = await get(`api/spend?${query(SPENDING)}`);
      const rows = found.rows.map(([day, dag_id, model, generations, credits, refunded]) => (
        {day, dag_id, model, generations, credits, refunded, total: credits + refunded}
      ));
      const days = daysOf(found.since, found.until);
      const models = [...new Set(rows.map((row) => row.model))];
      const file = leadOut(make("a", {href: new URL(`spend.csv?${query(SPENDING)}`, location.href).href, download: ""}, "Download as CSV"));
      const period = make("p", {className: "small"}, `${days[0]} to ${days.at(-1)} (UTC), by the day of acceptance. Refunded credits are not in the others. `, file);
      if (rows.length === 0) {
        content.replaceChildren(period, make("p", {}, "No credits were spent in this time."));
      } else {
        content.replaceChildren(period, chart(rows, days, models), legend(models, sum(rows, "refunded") > 0), table(rows));
      }
    } catch (error) {
      content.replaceChildren(make("p", {className: "error", role: "alert"}, error.message));
    }
  });
};
