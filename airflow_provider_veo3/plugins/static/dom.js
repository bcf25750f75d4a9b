// Elements and texts. Whatever comes from a task is set as text: a prompt may say anything.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element with properties and children; a child that is null is left out. */
export const make = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role" || key === "for" || key === "scope" || key === "datetime") {
      element.setAttribute(key, value);
    } else {
      element[key] = value;
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

/** Return an SVG element with attributes and children. */
export const draw = (name, attributes = {}, ...children) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

export const number = (value) => new Intl.NumberFormat().format(value);

export const credits = (value) =>
  value === null ? "credits unknown" : `${number(value)} ${value === 1 ? "credit" : "credits"}`;

export const bytes = (value) => {
  if (value === null) return "size unknown";
  // no-break spaces: a number stays with its unit
  return value < 1e6 ? `${number(Math.round(value / 1e3))}\u00a0kB` : `${number(Math.round(value / 1e5) / 10)}\u00a0MB`;
};

/** Return seconds as people say them, in at most two units. */
export const span = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
};

/** Return a time as its distance from now, the exact time as a hint. */
export const age = (iso, now) => {
  const seconds = (now - Date.parse(iso)) / 1000;
  return make("time", {datetime: iso, title: new Date(iso).toLocaleString()}, `${span(seconds)} ago`);
};
