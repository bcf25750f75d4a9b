// Requests to this page's own routes, with the filter that the page's address holds.

const FIELDS = [
  "dag_id", "run_id", "task_id", "map_index", "status", "model", "since", "until", "words", "before",
];
const IDS = new Set(["dag_id", "run_id", "task_id"]);

/** The filter of this page. */
export const filter = (() => {
  const given = new URLSearchParams(location.search);
  const found = new Map();
  for (const name of FIELDS) {
    const value = given.get(name);
    // Airflow 3.1 puts the id of a run into the address as it is, where its "+" means a space; no id has one.
    if (value && value !== "{MAP_INDEX}") found.set(name, IDS.has(name) ? value.replaceAll(" ", "+") : value);
  }
  return found;
})();

/** Return a query of some fields of the filter, and others instead. */
export const query = (names, changes = {}) => {
  const fields = Object.fromEntries([...filter].filter(([name]) => names.includes(name)));
  return new URLSearchParams({...fields, ...changes}).toString();
};

export const SCOPE = ["dag_id", "run_id", "task_id", "map_index"];
export const ALL = FIELDS;
export const WITHOUT_PAGE = FIELDS.filter((name) => name !== "before");
export const SPENDING = [...SCOPE, "model", "since", "until"];

/** Return the JSON of a route; an error says what went wrong. */
export const get = async (path) => {
  const response = await fetch(path, {headers: {Accept: "application/json"}});
  if (response.ok) return response.json();
  throw new Error(await problem(response));
};

/** Return an error response in words. */
export const problem = async (response) => {
  if (response.status === 401) return "You are not signed in to Airflow, or no longer. Sign in, and load this page again.";
  const body = await response.json().catch(() => null);
  const detail = typeof body?.detail === "string" ? body.detail : null;
  if (detail) return detail;
  if (response.status === 422) return "The filter in the address cannot be read. Clear it, and filter again.";
  return `Airflow's API server responded with status ${response.status}.`;
};
