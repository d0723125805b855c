"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Tables: a head sorts up, down, and back to the order of the page. Empty cells stay last.
  const sortable = (table) => {
    const body = table.tBodies[0];
    const order = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const keys = order.map((row) => [...row.cells].map((cell) => {
      const text = cell.textContent.trim();
      return cell.dataset.v === undefined ? text.toLowerCase() : Number(cell.dataset.v);
    }));
    const place = new Map(order.map((row, at) => [row, at]));
    const compare = (one, other, sign) => {
      if (one === other) return 0;
      if (one === "" || other === "") return one === "" ? 1 : -1;
      if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
      return (one < other ? -1 : 1) * sign;
    };
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const numeric = keys.some((key) => typeof key[column] === "number");
      const steps = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = steps[(steps.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      table.classList.toggle("sorted", next !== null);
      const sign = next === "descending" ? -1 : 1;
      const sorted = next === null ? order : [...order].sort((one, other) => {
        const [first, second] = [place.get(one), place.get(other)];
        return compare(keys[first][column], keys[second][column], sign) || first - second;
      });
      body.append(...sorted);
    }));
  };
  all("table").forEach(sortable);

  // CSV files.
  const csv = (button) => document.getElementById(button.dataset.of).textContent.trimStart();
  const tell = (button, words) => {
    const before = button.textContent;
    button.textContent = words;
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  const copyByHand = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject(new Error("not copied"));
  };
  all(".copy").forEach((button) => button.addEventListener("click", () => {
    const text = csv(button);
    const copied = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error("none"));
    copied.catch(() => copyByHand(text)).then(() => tell(button, "Copied"), () => tell(button, "The browser forbids it"));
  }));
  all(".save").forEach((button) => button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(button)], { type: "text/csv" }));
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }));

  // Light and dark.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const switcher = document.getElementById("theme");
  const stored = { get: () => { try { return localStorage.getItem("eos-theme"); } catch { return null; } },
    set: (name) => { try { localStorage.setItem("eos-theme", name); } catch { /* a page from a file may not */ } } };
  const names = { auto: "as the system", light: "light", dark: "dark" };
  let theme = names[stored.get()] ? stored.get() : "auto";
  const dark = () => theme === "dark" || (theme === "auto" && system.matches);
  const showTheme = () => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    switcher.textContent = `Theme: ${names[theme]}`;
    root.classList.toggle("dark-charts", dark());
  };

  // Charts: drawn when they come near, and all of them before long, for the printer.
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const figures = all("[data-chart]");
  const views = new Map();
  const rowsOf = (chart) => chart.rows.map((values) => {
    const row = {};
    chart.columns.forEach((name, at) => { if (values[at] !== null) row[name] = values[at]; });
    return row;
  });
  const looks = () => {
    const of = (name) => getComputedStyle(root).getPropertyValue(name).trim();
    const [ink, muted, line] = [of("--ink"), of("--muted"), of("--line")];
    return {
      background: null, font: "system-ui, sans-serif", aria: false,
      axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: muted, tickColor: muted,
        labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12 },
      header: { labelColor: ink, titleColor: ink }, title: { color: ink, subtitleColor: muted },
      text: { color: ink }, view: { stroke: null },
    };
  };
  // On a phone a legend has one column.
  const narrow = (part, width) => {
    if (part === null || typeof part !== "object") return;
    if (part.legend) Object.assign(part.legend, { columns: 1, labelLimit: width - 110 });
    Object.values(part).forEach((inner) => narrow(inner, width));
  };
  const tones = () => {
    const style = getComputedStyle(root);
    return { ink: style.getPropertyValue("--ink").trim(), paper: style.getPropertyValue("--ground").trim() };
  };
  const draw = async (figure) => {
    const name = figure.dataset.chart;
    const before = views.get(name);
    if (before === "drawing") return;
    const spec = structuredClone(charts[name].spec);
    const colours = tones();
    (spec.params || []).forEach((param) => {
      if (param.name in colours) param.value = colours[param.name];
      else if (before && param.bind && !param.select) param.value = before.view.signal(param.name);
    });
    if (before) before.finalize();
    views.set(name, "drawing");
    spec.datasets = { ...spec.datasets, rows: rowsOf(charts[name]) };
    const choices = figure.querySelector(".choices");
    choices.replaceChildren();
    const box = figure.querySelector(".chart");
    // Another data set has longer names of classes: the picture grows with them.
    if (spec.width === "container") spec.autosize = { type: "fit-x", contains: "padding", resize: true };
    if (box.clientWidth < 560) narrow(spec, box.clientWidth);
    const done = await vegaEmbed(box, spec, {
      renderer: "svg", config: looks(), bind: choices, downloadFileName: `eos-${name}`, logLevel: 1,
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    box.classList.add("drawn");
    all("select", choices).forEach((select) => {
      if (!select.getAttribute("aria-label")) select.setAttribute("aria-label", select.name);
    });
    views.set(name, done);
  };
  const failed = (figure) => (error) => {
    figure.querySelector(".chart").textContent = "This chart could not be drawn.";
    console.error(figure.dataset.chart, error);
  };
  const drawn = new Map();
  const need = (figure) => {
    if (!drawn.has(figure)) drawn.set(figure, draw(figure).catch(failed(figure)));
    return drawn.get(figure);
  };
  const near = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { near.unobserve(entry.target); need(entry.target); }
  }), { rootMargin: "600px" });
  const idle = window.requestIdleCallback || ((call) => setTimeout(call, 200));
  const rest = (at) => { if (at < figures.length) idle(() => need(figures[at]).then(() => rest(at + 1))); };
  const redraw = () => { showTheme(); drawn.forEach((done, figure) => {
    drawn.set(figure, done.then(() => draw(figure)).catch(failed(figure)));
  }); };
  switcher.addEventListener("click", () => {
    theme = { auto: "light", light: "dark", dark: "auto" }[theme];
    stored.set(theme);
    redraw();
  });
  system.addEventListener("change", redraw);
  showTheme();
  figures.forEach((figure) => near.observe(figure));
  addEventListener("load", () => setTimeout(() => rest(0), 500));

  // The numbers behind a chart, as a table, when they are asked for.
  figures.forEach((figure) => figure.querySelector(".numbers").addEventListener("toggle", (event) => {
    const box = event.target.querySelector(".scroll");
    if (!event.target.open || box.firstChild) return;
    const { columns, rows } = charts[figure.dataset.chart];
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    columns.forEach((name) => {
      const cell = document.createElement("th");
      const button = document.createElement("button");
      cell.scope = "col";
      button.type = "button";
      button.textContent = name;
      cell.append(button);
      head.append(cell);
    });
    const body = table.createTBody();
    rows.forEach((values) => {
      const row = body.insertRow();
      values.forEach((value) => {
        const cell = row.insertCell();
        cell.textContent = value === null || value === undefined ? "" : String(value);
        if (typeof value === "number") { cell.className = "num"; cell.dataset.v = value; }
      });
    });
    sortable(table);
    box.append(table);
  }));

  // Contents: folded on a phone; the part in sight is marked.
  const contents = document.getElementById("contents");
  if (matchMedia("(max-width: 1099px)").matches) contents.open = false;
  const links = new Map(all("a", contents).map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id).setAttribute("aria-current", "true");
  }), { rootMargin: "-10% 0px -80% 0px" });
  links.forEach((link, id) => { const part = document.getElementById(id); if (part) seen.observe(part); });
  addEventListener("beforeprint", () => all("details:not(.numbers):not(#contents)").forEach((one) => { one.open = true; }));
})();
