// Airflow around this page. The page runs in a frame of Airflow's, or by itself in a tab of the browser.

const inFrame = window.parent !== window;

const outer = () => {
  try {
    return inFrame ? window.parent.document : null;
  } catch {
    return null;  // another origin's page: browsers hide it
  }
};

/** Whether the page is the tab of a DAG run. */
export const isRunTab = (outer()?.location.pathname ?? "").includes("/dags/");

/** Follow Airflow's theme; without Airflow around, the one that was chosen there last, or the system's. */
export const followTheme = () => {
  const root = outer()?.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let dark = system.matches;
    if (root) {
      dark = root.classList.contains("dark");
    } else {
      const chosen = localStorage.getItem("theme");
      if (chosen === "dark" || chosen === "light") dark = chosen === "dark";
    }
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  if (root) new MutationObserver(apply).observe(root, {attributeFilter: ["class"], attributes: true});
};

/** Return the address of a page of Airflow's, wherever Airflow is served. */
export const airflowUrl = (...steps) => new URL(`../${steps.map(encodeURIComponent).join("/")}`, location.href).href;

/** Let a link lead out of the frame, which may neither open a tab nor download a file by itself. */
export const leadOut = (link) => {
  const page = outer();
  if (!page) return link;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const copy = page.createElement("a");
    copy.href = link.href;
    if (link.hasAttribute("download")) copy.download = "";
    if (event.ctrlKey || event.metaKey || event.shiftKey) copy.target = "_blank";
    page.body.append(copy);
    copy.click();
    copy.remove();
  });
  return link;
};
