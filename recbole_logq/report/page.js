"use strict";

// Headings that sort: numbers first descending, texts first ascending, what has no value always last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    const numeric = [...body.rows].some((row) => row.cells[column].dataset.key !== undefined);
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const ascending = now ? now === "descending" : !numeric;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const sign = ascending ? 1 : -1;
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [one.cells[column], two.cells[column]];
        if (!numeric) return sign * a.textContent.localeCompare(b.textContent);
        const [x, y] = [a.dataset.key, b.dataset.key];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (Number(x) - Number(y));
      });
      body.append(...rows);
    });
  });
}

// Keys of the legend that show and hide a run in all figures of its data set.
for (const key of document.querySelectorAll("button.key")) {
  key.addEventListener("click", () => {
    const shown = key.getAttribute("aria-pressed") !== "true";
    key.setAttribute("aria-pressed", String(shown));
    const marks = key.closest("section").querySelectorAll(`[data-series="${key.dataset.key}"]`);
    for (const mark of marks) mark.classList.toggle("hidden", !shown);
  });
}
