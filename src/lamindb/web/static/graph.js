// Steps through a lineage without leaving the page: every link works without it.
(() => {
  "use strict";
  const all = (rule) => [...document.querySelectorAll(rule)];
  const named = (id) => all("#main [data-id]").find((one) => one.dataset.id === id);
  // The ring of the focus is part of a node, and not always drawn.
  const placeOf = (one) => (one.querySelector(":scope > g") || one).getBoundingClientRect();
  // A picture that is a little too wide for its box is made smaller: letters stay readable down to nine tenths.
  const fit = () => {
    for (const box of all(".graph")) {
      const svg = box.querySelector("svg"), width = svg && svg.viewBox.baseVal.width;
      const scale = width && box.clientWidth ? Math.min(1, box.clientWidth / width) : 1;
      if (svg) { svg.style.width = scale < 0.9 ? "" : `${width * scale}px`; svg.style.height = scale < 1 && scale >= 0.9 ? "auto" : ""; }
    }
  };
  const centre = () => {
    fit();
    for (const box of all(".graph")) {
      const focus = box.querySelector("a[aria-current]") || box.querySelector("a.node");
      if (!focus || !box.offsetParent) continue;
      const a = focus.getBoundingClientRect(), b = box.getBoundingClientRect();
      box.scrollLeft += a.left + a.width / 2 - b.left - b.width / 2;
      box.scrollTop += a.top + a.height / 2 - b.top - b.height / 2;
    }
  };
  const go = async (address, id) => {
    const box = document.querySelector(".graph"), was = id && named(id) && placeOf(named(id));
    const scroll = box && [box.scrollLeft, box.scrollTop], top = scrollY;
    await htmx.ajax("GET", address, { source: "#lineage", target: "#main", select: "#main", swap: "outerHTML show:none" });
    const now = id && (named(id) || named(id.split(":")[0])), next = document.querySelector(".graph");
    fit();
    if (next && scroll) [next.scrollLeft, next.scrollTop] = scroll; else centre();
    scrollTo(scrollX, top);
    if (!now) return;
    // What was chosen stays where it was, and has the focus.
    now.focus({ preventScroll: true });
    if (!was || !next || !next.contains(now)) return;
    const is = placeOf(now);
    next.scrollLeft += is.left - was.left; next.scrollTop += is.top - was.top;
  };
  document.addEventListener("click", (event) => {
    const png = event.target.closest("[data-png]");
    if (png) { save(png); return; }
    const link = event.target.closest("[data-step] a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.hasAttribute("download")) return;
    const address = link.getAttribute("href");
    if (!link.dataset.id || address.split("?")[0] !== location.pathname) return;
    event.preventDefault();
    go(address, link.dataset.id);
  });
  let asked = "";
  const send = async (form) => {
    const given = [...new FormData(form)].filter(([name, value]) => value && !(name === "depth" && value === "1"));
    const query = new URLSearchParams(given).toString(), address = form.getAttribute("action") + (query ? "?" + query : "");
    // Enter changes a field and submits its form.
    if (address === asked || address === location.pathname + location.search) return;
    asked = address;
    try { await go(address); } finally { asked = ""; }
  };
  const fieldOf = (event, rule = "input") => event.target.closest(`.gbar form ${rule}`);
  document.addEventListener("change", (event) => {
    const field = fieldOf(event);
    if (field && !field.dataset.typed && (field.type !== "number" || field.reportValidity())) send(field.form);
  });
  // While a date is typed, each part of its year is a year, too: it is sent when the field is left, or by Enter.
  document.addEventListener("keydown", (event) => {
    const field = fieldOf(event, "[type=date]");
    if (field && !event.altKey && /^(\d|Arrow.*|Backspace|Delete)$/.test(event.key)) field.dataset.typed = "1";
  });
  document.addEventListener("pointerdown", (event) => { const field = fieldOf(event, "[type=date]"); if (field) delete field.dataset.typed; });
  document.addEventListener("focusout", (event) => {
    const field = fieldOf(event, "[type=date]");
    if (field && field.isConnected && field.value !== field.defaultValue && !field.validity.badInput) send(field.form);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".gbar form")) return;
    event.preventDefault();
    send(event.target);
  });
  // What cannot be shown has a page that says why.
  document.addEventListener("htmx:responseError", (event) => { location.href = event.detail.pathInfo.requestPath; });
  // The browser draws the SVG; the server needs no program for it.
  const save = async (button) => {
    const text = await (await fetch(button.dataset.png)).text(), image = new Image();
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    await image.decode();
    const canvas = document.createElement("canvas"), scale = Math.min(2, 16000 / image.width, 16000 / image.height);
    canvas.width = image.width * scale; canvas.height = image.height * scale;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const link = document.createElement("a");
    link.href = canvas.toDataURL("image/png"); link.download = button.dataset.name; link.click();
  };
  document.addEventListener("htmx:historyRestore", centre);
  addEventListener("resize", fit);
  centre();
})();
