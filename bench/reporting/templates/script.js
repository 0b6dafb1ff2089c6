"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: the heads of sortable tables become buttons; rows without a value stay last in both directions. What
  // belongs to a row stays below it, and figures of one quantity stay together.
  const valueOf = (cell) => (cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim());
  const bundled = (rows) => {
    const bundles = [];
    for (const row of rows) {
      if (row.classList.contains("more")) bundles.at(-1).push(row);
      else bundles.push([row]);
    }
    return bundles;
  };
  const sort = (table, head, column) => {
    const body = table.tBodies[0];
    const first = head.dataset.first;
    const other = first === "descending" ? "ascending" : "descending";
    const direction = head.getAttribute("aria-sort") === first ? other : first;
    all("th[aria-sort]", table).forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const numeric = head.dataset.kind !== "text";
    bundled(body.rows)
      .map((bundle) => [bundle, valueOf(bundle[0].cells[column]), bundle[0].cells[column].dataset.group || ""])
      .sort(([, a, groupOfA], [, b, groupOfB]) => {
        if (groupOfA !== groupOfB) return groupOfA.localeCompare(groupOfB);
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b));
      })
      .forEach(([bundle]) => body.append(...bundle));
  };
  for (const table of all("table.sortable")) {
    const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
    [...heads].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = [head.title, "Sort by this column"].filter(Boolean).join(". ");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  }

  // Filtering: everything that belongs to one defense carries its name.
  const form = document.querySelector(".filters");
  if (!form) return;
  form.hidden = false;
  const [text, ranked, count] = [form.elements.text, form.elements.ranked, form.querySelector("output")];
  const unranked = new Set(all("tr[data-unranked]").map((row) => row.dataset.defense));
  const everywhere = new Set(all("tr[data-ranked]").map((row) => row.dataset.defense));
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (name) => !words.length || words.some((word) => name.toLowerCase().includes(word));
    const names = new Set();
    const shown = new Set();
    for (const item of all("[data-defense]")) {
      const name = item.dataset.defense;
      const barred = ranked.checked && ("unranked" in item.dataset || (!("ranked" in item.dataset) && unranked.has(name) && !everywhere.has(name)));
      item.hidden = barred || !fits(name);
      names.add(name);
      if (!item.hidden) shown.add(name);
    }
    count.textContent = `${shown.size} of ${names.size} defenses shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();

  // A folded part opens when it is linked to, and everything opens on paper.
  const unfold = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("beforeprint", () => all("details").forEach((part) => { part.open = true; }));
})();
