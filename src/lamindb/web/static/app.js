// Keys, copying, and a few comforts. Every page works without it.
(() => {
  "use strict";
  const page = document.documentElement, prefix = document.body.dataset.prefix || "";
  const one = (rule, from = document) => from.querySelector(rule);
  const all = (rule, from = document) => [...from.querySelectorAll(rule)];
  page.classList.add("has-script");

  let silence = 0;
  const say = (text) => {
    const place = one("#said");
    place.textContent = ""; clearTimeout(silence);
    setTimeout(() => { place.textContent = text; }, 50);
    silence = setTimeout(() => { place.textContent = ""; }, 6000);
  };

  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent, label = button.lastChild.previousSibling;
    try { await navigator.clipboard.writeText(text); } catch (error) {
      const area = document.createElement("textarea");
      area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove(); button.focus();
    }
    const [first, ...rest] = text.trim().split("\n");
    say(`Copied: ${first.slice(0, 120)}${first.length > 120 || rest.length ? " …" : ""}`);
    if (!button.dataset.was) {
      button.dataset.was = label.textContent; label.textContent = "Copied";
      setTimeout(() => { label.textContent = button.dataset.was; delete button.dataset.was; }, 1600);
    }
  };

  const dialog = one("#keys");
  const areOn = () => { try { return localStorage.getItem("lamin-keys") !== "off"; } catch (error) { return true; } };
  const switchKeys = () => {
    const off = areOn();
    try { localStorage.setItem("lamin-keys", off ? "off" : "on"); } catch (error) { /* private window */ }
    one("[data-keys-off]").textContent = off ? "Switch keys on" : "Switch keys off";
    say(off ? "Keys are off" : "Keys are on");
  };
  if (!areOn()) one("[data-keys-off]").textContent = "Switch keys on";

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy],[data-keys],[data-keys-off]");
    for (const open of all(".chips details[open], .save[open]")) if (!open.contains(event.target)) open.open = false;
    if (!target) return;
    if (target.dataset.copy) copy(target);
    else if ("keys" in target.dataset) dialog.showModal();
    else switchKeys();
  });

  const theme = one("[data-theme-link]");
  if (theme) {
    const isDark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    theme.href += `&to=${isDark ? "light" : "dark"}`;
  }

  const rows = () => all("tbody tr a:first-of-type, .rows > li a:first-of-type").filter((link, n, found) =>
    link.offsetParent && found.findIndex((other) => other.closest("tr, li") === link.closest("tr, li")) === n);
  const step = (by) => {
    const links = rows(), now = links.findIndex((link) => link.closest("tr, li").contains(document.activeElement));
    const next = links[Math.min(Math.max(now < 0 ? (by > 0 ? 0 : links.length - 1) : now + by, 0), links.length - 1)];
    if (next) { next.focus(); next.closest("tr, li").scrollIntoView({ block: "nearest" }); }
  };
  const places = { h: "/", f: "/files", r: "/runs", t: "/transforms", l: "/lineage", s: "/stale", e: "/health" };
  let leads = false;
  document.addEventListener("keydown", (event) => {
    const open = one(".chips details[open], .save[open]"), clear = one("[data-clear]");
    if (event.key === "Escape" && open) { open.open = false; one("summary", open).focus(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || !areOn() || dialog.open) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const went = leads; leads = false;
    if (went && places[event.key]) { event.preventDefault(); location.href = prefix + places[event.key]; return; }
    const does = {
      "/": () => { const field = one(".find input"); field.focus(); field.select(); },
      g: () => { leads = true; setTimeout(() => { leads = false; }, 1200); },
      j: () => step(1), k: () => step(-1),
      c: () => { const button = one("[data-copy]"); if (button) copy(button); },
      "?": () => dialog.showModal(),
      Escape: clear && (() => clear.click()),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });

  // A log that is followed stays at its end, unless the reader scrolled away from it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const log = one(".log.tall"); if (log) event.target.dataset.atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 24 ? "1" : "";
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const log = one(".log.tall"); if (log && event.target.dataset.atEnd === "1") log.scrollTop = log.scrollHeight;
  });
  for (const log of all(".log.tall[data-end]")) log.scrollTop = log.scrollHeight;
})();
