"use strict";
// Tables are sorted and filtered in place; those of runs are built from JSON when first opened.
(() => {
  const make = (tag, props = {}, children = []) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  const raw = (cell) => cell.dataset.v ?? cell.textContent;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const shown = (value) => {
    if (value === null) return "";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    return String(Number(value.toPrecision(5)));
  };

  const isEmpty = (text) => text === "";
  const compare = (a, b) => {
    if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
  };

  const sortBy = (table, index) => {
    const head = table.tHead.rows[0].cells[index];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const cell of table.tHead.rows[0].cells) {
      if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", "none");
    }
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...table.tBodies[0].rows].map((row) => [raw(row.cells[index]), row]);
    keyed.sort(([a], [b]) => {
      const order = compare(a, b);
      return down && !isEmpty(a) && !isEmpty(b) ? -order : order; // empty cells stay last
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };

  const makeSortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      if ("fixed" in head.dataset) return;
      const button = make("button", { type: "button" }, [...head.childNodes]);
      button.addEventListener("click", () => sortBy(table, index));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  };

  const csvOf = (table) => {
    const quote = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const names = [...table.tHead.rows[0].cells].map((cell) => quote(cell.dataset.name ?? cell.textContent));
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    return [names, ...rows.map((row) => [...row.cells].map((cell) => quote(raw(cell))))]
      .map((cells) => cells.join(",")).join("\n") + "\n";
  };

  const addTools = (box, table, file) => {
    const rows = () => [...table.tBodies[0].rows];
    const count = make("output");
    const text = make("input", { type: "search", placeholder: "text", size: 12 });
    const choices = [];
    const apply = () => {
      const wanted = text.value.trim().toLowerCase();
      let kept = 0;
      for (const row of rows()) {
        const fits = choices.every(([index, choice]) => !choice.selectedIndex || raw(row.cells[index]) === choice.value);
        row.hidden = !(fits && (!wanted || row.textContent.toLowerCase().includes(wanted)));
        kept += !row.hidden;
      }
      count.value = `${kept} of ${rows().length} rows`;
    };
    const tools = make("div", { className: "tools" });
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      if (!head.dataset.filter) return;
      const values = [...new Set(rows().map((row) => raw(row.cells[index])))].sort(compare);
      if (values.length < 2) return;
      const choice = make("select", {}, [make("option", { value: "", textContent: "all" })]);
      choice.append(...values.map((value) => make("option", { value, textContent: value || "(none)" })));
      choice.addEventListener("change", apply);
      choices.push([index, choice]);
      tools.append(make("label", {}, [head.dataset.filter, choice]));
    });
    text.addEventListener("input", apply);
    tools.append(make("label", {}, ["find", text]));
    if (file) {
      const link = make("a", { className: "download", download: file, textContent: "CSV of these rows", href: "data:text/csv," });
      link.addEventListener("click", () => {
        link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(table))}`;
      });
      tools.append(link);
    }
    tools.append(count);
    count.setAttribute("aria-live", "polite");
    box.prepend(tools);
    apply();
  };

  const build = (box) => {
    const data = JSON.parse(box.querySelector("script").textContent);
    const numeric = data.columns.map((_, i) => data.rows.every((row) => row[i] === null || typeof row[i] === "number"));
    const heads = data.columns.map((name, i) => {
      const head = make("th", { scope: "col", textContent: name, className: numeric[i] ? "n" : "" });
      head.dataset.name = name;
      if (data.filters.includes(name)) head.dataset.filter = name;
      return head;
    });
    const body = make("tbody");
    for (const values of data.rows) {
      const row = body.insertRow();
      values.forEach((value, i) => {
        const cell = row.insertCell();
        const text = shown(value);
        cell.textContent = text;
        if (value !== null && text !== String(value)) cell.dataset.v = String(value);
        if (numeric[i]) cell.className = "n";
        else if (text.length > 24) cell.title = text;
      });
    }
    const table = make("table", {}, [make("thead", {}, [make("tr", {}, heads)]), body]);
    const region = make("div", { className: "scroll", tabIndex: 0 }, [table]);
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", box.dataset.label);
    box.append(region);
    makeSortable(table);
    addTools(box, table, data.file);
  };

  for (const box of document.querySelectorAll(".table.lazy")) {
    const panel = box.closest("details");
    panel.addEventListener("toggle", () => {
      if (panel.open && !box.querySelector("table")) build(box);
    });
  }
  for (const box of document.querySelectorAll(".table:not(.lazy)")) {
    const table = box.querySelector("table");
    for (const head of table.tHead.rows[0].cells) head.dataset.name = head.textContent;
    makeSortable(table);
    addTools(box, table, "claims.csv");
  }

  const root = document.documentElement, button = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem("triptych-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const label = () => { button.textContent = isDark() ? "Light page" : "Dark page"; };
  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("triptych-theme", root.dataset.theme); } catch { /* this page only */ }
    label();
  });
  prefersDark.addEventListener("change", label);
  label();
})();
