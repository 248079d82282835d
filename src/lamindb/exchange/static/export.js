"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent), root = document.documentElement;
const N = D.nodes, byId = new Map(N.map((n, k) => [n.i, k])), before = N.map(() => []), after = N.map(() => []);
for (const [a, b] of D.edges) { after[a].push(b); before[b].push(a); }
for (const l of [...before, ...after]) l.sort((a, b) => N[a].i < N[b].i ? 1 : -1);
const NS = document.querySelector("svg").namespaceURI, PAGE = 20, MOST = 60, ALL = 500;
const $ = (q, at = document) => at.querySelector(q);
function el(tag, at = {}, ...inner) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(at)) e.setAttribute(k, v);
  e.append(...inner); return e;
}
function sv(tag, at = {}, ...inner) {
  const e = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(at)) e.setAttribute(k, v);
  e.append(...inner); return e;
}
const pen = document.createElement("canvas").getContext("2d");
const FONT = "'Helvetica Neue',Helvetica,Arial,'Liberation Sans','Segoe UI',Roboto,lamindb-sans,sans-serif";
function width(text, font) { pen.font = font + " " + FONT; return pen.measureText(text).width * 1.03; }
function fit(text, font, most) {
  if (width(text, font) <= most) return text;
  const c = Array.from(text); let lo = 1, hi = c.length;
  while (lo < hi) { const m = (lo + hi + 1) >> 1; width(cut(c, m), font) <= most ? lo = m : hi = m - 1; }
  return cut(c, lo);
}
function cut(c, n) { const s = Math.floor(n * .4); return c.slice(0, s).join("") + "…" + c.slice(c.length - (n - s)).join(""); }
const BOLD = "600 13px", SMALL = "11px", TAG = "700 10px", TINY = "700 8.5px";

// What is shown: the nearest steps on both sides, and what was opened.
function around(state) {
  if (state.only) return {shown: state.only, stubs: []};
  const shown = new Map([[state.focus, 0]]), seen = {up: new Map([[state.focus, 0]]), down: new Map([[state.focus, 0]])};
  const most = Math.min(ALL, MOST + PAGE * [...state.open.values()].reduce((a, b) => a + b, 0) + (state.all ? ALL : 0));
  let front = [["up", state.focus], ["down", state.focus]], steps = 0;
  while (front.length) {
    steps++;
    const lists = front.map(([side, k]) => {
      const run = N[k].t !== undefined, d = seen[side].get(k), deep = state.all === side ? 99 : 1;
      const limit = (d < 2 * deep - (run ? 0 : 1) || (d === 0 && !run) ? PAGE : 0) + PAGE * (state.open.get(k + side) || 0);
      return (side === "up" ? before : after)[k].slice(0, limit).map(o => [side, o]);
    });
    front = [];
    for (let row = 0, more = true; more; row++) {
      more = false;
      for (const l of lists) if (row < l.length) {
        more = true; const [side, o] = l[row];
        if (seen[side].has(o) || (!shown.has(o) && shown.size >= most)) continue;
        if (!shown.has(o)) shown.set(o, side === "up" ? -steps : steps);
        seen[side].set(o, steps); front.push([side, o]);
      }
    }
  }
  const stubs = [];
  for (const [side, all] of [["up", before], ["down", after]]) for (const k of seen[side].keys()) {
    const n = all[k].filter(o => !shown.has(o)).length;
    if (n) stubs.push({k, side, n});
  }
  return {shown, stubs};
}

function nodeBox(k, focus) {
  const n = N[k], run = n.t !== undefined, name = fit(n.n, BOLD, 240);
  if (run) {
    const v = n.v ? fit(n.v, "400 13px", 150) : "", facts = fit(n.f.join(" · "), SMALL, 256);
    const vw = v ? width(v, "400 13px") + 5 : 0, sign = D.signs[n.st];
    return {k, w: 45 + Math.max(72, width(name, BOLD) + vw, width(facts, SMALL)) + (sign ? 36 : 18), h: 44, name, v, facts, run, focus};
  }
  const facts = fit([n.u, ...n.f].filter(Boolean).join(" · "), SMALL, 256);
  return {k, w: 61 + Math.max(72, width(name, BOLD) + 10, width(facts, SMALL)), h: 44, name, facts, run, focus};
}

function drawNode(b, state) {
  const n = N[b.k], w = Math.round(b.w), g = sv("g", {class: b.focus ? "o" : "x"});
  g.append(sv("title", {}, [n.u ? n.u + n.n : n.n, n.v, n.f.join(" · ")].filter(Boolean).join("\n")));
  if (b.run) {
    const bad = n.st === "failed" || n.st === "aborted" ? " r-" + n.st : "";
    g.append(sv("rect", {class: "r" + bad, width: w, height: 44, rx: 22}), sv("circle", {class: "d", cx: 23, cy: 22, r: 15}),
      sv("path", {class: "i", transform: "translate(23 22)", d: D.icons[n.t] || D.icons[""]}));
    const t = sv("text", {class: "n", x: 45, y: b.facts ? 19 : 27}, b.name);
    if (b.v) t.append(sv("tspan", {class: "u v", dx: 5}, b.v));
    g.append(t, sv("text", {class: "u", x: 45, y: 35}, b.facts));
    if (D.signs[n.st]) g.append(sv("g", {transform: `translate(${w - 21} 22)`}, sv("circle", {class: n.st, r: 8}),
      sv("path", {class: n.st === "running" ? "kf" : "k", d: D.signs[n.st]})));
  } else {
    const marks = "f" + (n.f.includes("stale") ? " f-stale" : "") + (n.f.includes("flagged") ? " f-flagged" : n.f.includes("affected") ? " f-affected" : "");
    if (n.o) g.append(sv("rect", {class: "w", x: 4, y: -4, width: w - 6, height: 44, rx: 6}));
    g.append(sv("path", {class: marks, d: `M6 0H${w - 12}L${w} 12V38a6 6 0 0 1-6 6H6a6 6 0 0 1-6-6V6a6 6 0 0 1 6-6Z`}),
      sv("path", {class: n.c, d: "M6 .7H40V43.3H6a5.3 5.3 0 0 1-5.3-5.3V6a5.3 5.3 0 0 1 5.3-5.3Z"}),
      sv("path", {class: marks, d: `M${w - 12} 0V9a3 3 0 0 0 3 3H${w}Z`}));
    const tag = n.s.slice(n.s.lastIndexOf(".") + 1);
    if (tag) { const small = width(tag, TAG) > 35; g.append(sv("text", {class: (small ? "z" : "s") + " c " + n.c + "-s", x: 20, y: 26}, fit(tag, small ? TINY : TAG, 35))); }
    else g.append(sv("path", {class: "i", d: "M14 14H22L26 18V30H14Z"}));
    const facts = sv("text", {class: "u", x: 49, y: 35});
    const words = {stale: "why g", affected: "why g", flagged: "why-flagged g"};
    b.facts.split(/(\bstale\b|\baffected\b|\bflagged\b)/).forEach((p, at) => {
      if (p) facts.append(at % 2 && n.f.includes(p) ? sv("tspan", {class: words[p]}, p) : p);
    });
    g.append(sv("text", {class: "n", x: 49, y: 19}, b.name), facts);
  }
  const a = sv("a", {class: "node" + (state.selected === b.k ? " selected" : ""), href: n.a ? "#" + n.a : "#home", "data-id": n.i,
    "aria-description": (b.run ? "run of " : "file ") + [n.n, n.v, n.st, ...n.f].filter(Boolean).join(", ")});
  if (b.focus) a.setAttribute("aria-current", "true");
  a.append(sv("g", {transform: `translate(${Math.round(b.x)} ${Math.round(b.y - b.h / 2)})`}, g));
  return a;
}

// Columns by their distance, bends where an edge crosses one, an order with few crossings, and heights near neighbours.
function place(boxes, edges) {
  for (let pass = 0; pass < boxes.length; pass++) {
    let moved = false;
    for (const [s, t] of edges) if (s.col >= t.col && Math.abs(s.col - t.col) < 40) {
      if (t.col > 0) t.col = s.col + 1; else if (s.col < 0) s.col = t.col - 1; else continue;
      moved = true;
    }
    if (!moved || pass > 60) break;
  }
  const low = Math.min(...boxes.map(b => b.col)), cols = [];
  const put = b => { (cols[b.col - low] ||= []).push(b); b.prev = []; b.next = []; };
  boxes.forEach(put);
  for (const e of edges) {
    const [s, t] = e; let last = s; e.path = [s];
    for (let c = s.col + 1; c < t.col; c++) { const d = {col: c, w: 0, h: 8, bend: true}; put(d); last.next.push(d); d.prev.push(last); e.path.push(d); last = d; }
    e.path.push(t); last.next.push(t); t.prev.push(last);
  }
  const list = cols.filter(Boolean);
  const number = () => list.forEach(c => c.forEach((b, k) => { b.pos = k; }));
  number();
  for (let round = 0; round < 8; round++) {
    const right = round % 2 === 0;
    for (const c of right ? list : [...list].reverse()) {
      for (const b of c) { const near = right ? b.prev : b.next; b.key = near.length ? near.reduce((a, o) => a + o.pos, 0) / near.length : b.pos; }
      c.sort((a, b) => a.key - b.key || a.pos - b.pos); c.forEach((b, k) => { b.pos = k; });
    }
  }
  const gap = (a, b) => (a.h + b.h) / 2 + (a.bend || b.bend ? 8 : 14);
  for (const c of list) { let y = 0; c.forEach((b, k) => { if (k) y += gap(c[k - 1], b); b.y = y; }); const m = y / 2; c.forEach(b => { b.y -= m; }); }
  for (let round = 0; round < 13; round++) for (const c of round % 2 ? [...list].reverse() : list) {
    const offset = []; let sum = 0;
    c.forEach((b, k) => { if (k) sum += gap(c[k - 1], b); offset.push(sum); });
    const blocks = [];
    c.forEach((b, k) => {
      const near = [...b.prev, ...b.next];
      blocks.push({sum: (near.length ? near.reduce((a, o) => a + o.y, 0) / near.length : b.y) - offset[k], n: 1});
      while (blocks.length > 1 && blocks.at(-2).sum / blocks.at(-2).n > blocks.at(-1).sum / blocks.at(-1).n) {
        const top = blocks.pop(); blocks.at(-1).sum += top.sum; blocks.at(-1).n += top.n;
      }
    });
    let k = 0;
    for (const one of blocks) for (let i = 0; i < one.n; i++, k++) c[k].y = one.sum / one.n + offset[k];
  }
  let x = 16;
  for (const [at, c] of list.entries()) {
    const most = Math.max(c.length, at + 1 < list.length ? list[at + 1].length : 0);
    const w = Math.max(...c.map(b => b.w));
    for (const b of c) { b.x = x; b.cw = w; if (b.stub) b.x = b.side === "up" ? x + w - b.w : x; else b.w = w; }
    x += w + 34 + Math.min(90, most * 4);
  }
  const top = Math.min(...boxes.map(b => b.y - b.h / 2)) - 16;
  for (const c of list) for (const b of c) b.y -= top;
  return {w: x - 20, h: Math.max(...boxes.map(b => b.y + b.h / 2)) + 16};
}

function curve(e, end) {
  const [s, t] = [e.path[0], e.path.at(-1)];
  const back = t.col <= s.col;
  let x = s.x + s.w, y = s.y, d = `M${x.toFixed(1)} ${y.toFixed(1)}`;
  const pts = e.path.slice(1, -1).flatMap(b => [[b.x, b.y], [b.x + b.cw, b.y]]);
  pts.push(back ? [t.x + t.w + end, t.y + 8] : [t.x - end, t.y]);
  for (const [nx, ny] of pts) {
    const m = (x + nx) / 2;
    d += Math.abs(ny - y) < .3 ? `H${nx.toFixed(1)}` : `C${m.toFixed(1)} ${y.toFixed(1)} ${m.toFixed(1)} ${ny.toFixed(1)} ${nx.toFixed(1)} ${ny.toFixed(1)}`;
    x = nx; y = ny;
  }
  return d;
}

function picture(state) {
  const {shown, stubs} = around(state), boxes = new Map();
  for (const [k, col] of [...shown].sort((a, b) => N[a[0]].i < N[b[0]].i ? -1 : 1)) boxes.set(k, {...nodeBox(k, k === state.focus), col});
  const edges = [], dotted = [];
  for (const k of shown.keys()) for (const o of after[k]) if (shown.has(o)) edges.push([boxes.get(k), boxes.get(o)]);
  const all = [...boxes.values()];
  for (const s of stubs) {
    const at = boxes.get(s.k), label = `+${s.n.toLocaleString("en")} more`, b = {...s, stub: true, label, w: width(label, SMALL) + 24, h: 24, col: at.col + (s.side === "up" ? -1 : 1)};
    all.push(b); dotted.push(s.side === "up" ? [b, at] : [at, b]);
  }
  const size = place(all, [...edges, ...dotted]);
  const svg = sv("svg", {class: "lnv", role: "group", "aria-label": "Lineage of " + N[state.focus].n, width: Math.round(size.w), height: Math.round(size.h), viewBox: `0 0 ${Math.round(size.w)} ${Math.round(size.h)}`});
  const ring = (b, css, by, rx) => sv("rect", {class: css, x: Math.round(b.x) - by, y: Math.round(b.y - b.h / 2) - by, width: Math.round(b.w) + 2 * by, height: b.h + 2 * by, rx});
  for (const b of boxes.values()) {
    if (b.focus) svg.append(ring(b, "h", 5, b.run ? 27 : 10));
    else if (b.k === state.selected) svg.append(ring(b, "ring", 4, b.run ? 26 : 9));
  }
  svg.append(sv("path", {class: "l", d: edges.map(e => curve(e, 7)).join("")}));
  svg.append(sv("path", {class: "q", d: dotted.map(e => curve(e, 0)).join("")}));
  svg.append(sv("path", {class: "a", d: edges.map(e => { const t = e[1]; return e[0].col >= t.col ? `M${t.x + t.w} ${t.y + 8}l8 -4v8z` : `M${(t.x - .5).toFixed(1)} ${t.y.toFixed(1)}l-8 -4v8z`; }).join("")}));
  for (const b of boxes.values()) svg.append(drawNode(b, state));
  for (const b of all) if (b.stub) svg.append(sv("a", {class: "stub", href: "#", role: "button", "data-id": N[b.k].i + ":" + b.side, "aria-label": `Show ${Math.min(PAGE, b.n)} of ${b.n} more`},
    sv("g", {transform: `translate(${Math.round(b.x)} ${Math.round(b.y - 12)})`}, sv("rect", {class: "m", width: Math.round(b.w), height: 24, rx: 12}), sv("text", {class: "u c", x: Math.round(b.w / 2), y: 16}, b.label))));
  return svg;
}

const tools = new Map();
function tool(card) {
  const start = byId.get(card.dataset.focus), fresh = () => ({focus: start, selected: start, open: new Map(), all: ""});
  let state = fresh();
  const tree = $(".tree", card), view = el("div", {class: "view", tabindex: "0", role: "region", "aria-label": "Lineage picture"});
  const chosen = el("div", {class: "chosen", "aria-live": "polite"}), bar = el("div", {class: "bar"});
  const button = (label, act) => { const b = el("button", {type: "button", class: "button"}, label); b.addEventListener("click", act); return b; };
  const pic = button("Picture", () => show(true)), txt = button("Tree", () => show(false));
  bar.append(button("All before", () => { state.all = "up"; draw(); }), button("All after", () => { state.all = "down"; draw(); }), button("Start", () => { state = fresh(); draw(true); }), pic, txt);
  $("header", card).append(bar); card.append(view, chosen);
  function show(asPicture) {
    pic.setAttribute("aria-pressed", asPicture); txt.setAttribute("aria-pressed", !asPicture);
    view.hidden = chosen.hidden = !asPicture; tree.hidden = asPicture;
    if (asPicture) draw(!view.firstChild);
  }
  // After a step, the node that was chosen stays under the pointer, and has the focus.
  function draw(centre, id) {
    const find = i => [...view.querySelectorAll("a")].find(a => a.dataset.id === i);
    const at = id && find(id), was = at && at.getBoundingClientRect();
    view.replaceChildren(picture(state));
    const now = id && (find(id) || find(id.split(":")[0]));
    if (now && was) { const r = now.getBoundingClientRect(); view.scrollLeft += r.left - was.left; view.scrollTop += r.top - was.top; now.focus({preventScroll: true}); }
    else { const c = view.querySelector("[aria-current]"); if (c) { const r = c.getBoundingClientRect(), v = view.getBoundingClientRect(); view.scrollLeft += r.left + r.width / 2 - v.left - v.width / 2; view.scrollTop += r.top + r.height / 2 - v.top - v.height / 2; } }
    const n = N[state.selected], name = el("span", {}, el("strong", {}, (n.u || "") + n.n), " ", el("span", {class: "mute"}, [n.v, ...n.f].filter(Boolean).join(" · ")));
    const acts = [];
    acts.push(el("a", {class: "button", href: "#touches-" + n.i}, "What it touches"));
    if (state.selected !== start) acts.push(el("a", {class: "button", href: "#way-" + N[start].i + "-" + n.i}, "The way"));
    if (n.a && state.selected !== start) acts.push(el("a", {class: "button", href: "#" + n.a}, "Open"));
    if (state.selected !== state.focus) acts.push(button("Centre here", () => { state = {focus: state.selected, selected: state.selected, open: new Map(), all: ""}; draw(true); }));
    chosen.replaceChildren(name, ...acts);
  }
  view.addEventListener("click", e => {
    const a = e.target.closest("a"); if (!a || e.metaKey || e.ctrlKey) return;
    e.preventDefault(); const [id, side] = a.dataset.id.split(":"), k = byId.get(id);
    if (side) state.open.set(k + side, (state.open.get(k + side) || 0) + 1); else state.selected = k;
    draw(false, a.dataset.id);
  });
  show(!matchMedia("(max-width: 640px)").matches);
}

// What was made from a record, and how one led to another: made from the graph when they are asked for.
const nameOf = k => (N[k].u || "") + N[k].n, MOST_FOLLOWED = 5000, LISTED = 200;
function reach(start, most) {
  const seen = new Map([[start, -1]]);
  for (const k of seen.keys()) for (const o of after[k]) if (!seen.has(o) && seen.size < most) seen.set(o, k);
  return seen;
}
function rowOf(k) {
  const n = N[k], name = nameOf(k), label = n.t === undefined ? "file" : "run";
  return el("li", {}, el("span", {class: "sfx"}, label), " ", n.a ? el("a", {href: "#" + n.a}, name) : name, " ", el("span", {class: "mute"}, [n.v, ...n.f].filter(Boolean).join(" · ")));
}
function boxOf(title, note, rows) {
  return el("section", {class: "card"}, el("header", {}, el("h2", {}, title), el("span", {class: "note"}, note)), el("ul", {class: "rows"}, ...rows));
}
function still(state) {
  const svg = picture(state);
  for (const e of svg.querySelectorAll(".stub, .q")) e.remove();
  return el("section", {class: "card"}, el("div", {class: "view", tabindex: "0", role: "region", "aria-label": "Picture"}, svg));
}
const count = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");
function touches(k) {
  const seen = reach(k, MOST_FOLLOWED), groups = new Map();
  let files = 0;
  for (const o of seen.keys()) if (o !== k && N[o].t === undefined) {
    const run = before[o].find(r => seen.has(r)), by = run === undefined ? "others" : N[run].n;
    groups.set(by, [...(groups.get(by) || []), o]); files++;
  }
  const over = seen.size >= MOST_FOLLOWED ? "over " : "";
  const text = files ? over + count(files, "file") + " of " + count(groups.size, "transform") + " come from it." : "Nothing was made from it.";
  const parts = [...groups].map(([by, all]) => boxOf(by, count(all.length, "file") + (all.length > LISTED ? ", the first " + LISTED : ""), all.slice(0, LISTED).map(rowOf)));
  const only = new Map();
  for (const [o, by] of seen) if (only.size < ALL) only.set(o, by < 0 ? 0 : only.get(by) + 1);
  const drawn = files ? [still({focus: k, selected: k, open: new Map(), only})] : [];
  return ["What " + nameOf(k) + " touches", text, ...drawn, ...parts];
}
function wayOf(a, b) {
  for (const [from, to] of [[a, b], [b, a]]) {
    const seen = reach(from, N.length), way = [];
    if (!seen.has(to)) continue;
    for (let k = to; k >= 0; k = seen.get(k)) way.unshift(k);
    const only = new Map(way.slice(0, ALL).map((k, col) => [k, col]));
    return ["The way from " + nameOf(from) + " to " + nameOf(to), "A shortest one, by " + count(way.filter(k => N[k].t !== undefined).length, "run") + ".", still({focus: to, selected: from, open: new Map(), only}), boxOf("Step by step", "", way.slice(0, LISTED).map(rowOf))];
  }
  return ["The way between " + nameOf(a) + " and " + nameOf(b), "Neither was made from the other."];
}
function asked(id) {
  const [kind, a, b] = id.split("-"), first = byId.get(a), second = byId.get(b);
  if (first === undefined) return null;
  return kind === "touches" ? touches(first) : kind === "way" && second !== undefined ? wayOf(first, second) : null;
}
const idOf = text => byId.has(text) ? text : (N.find(n => !n.o && (n.u || "") + n.n === text) || {}).i;
function askFor(title, labels, act, kind) {
  const fields = labels.map(label => el("input", {"aria-label": label, placeholder: label + ": a key or an id", autocomplete: "off", spellcheck: "false"}));
  const said = el("p", {class: "pad mute", role: "status"}), go = el("button", {type: "button", class: "button"}, act);
  const show = () => {
    const ids = fields.map(one => idOf(one.value.trim()));
    if (ids.every(Boolean)) location.hash = kind + "-" + ids.join("-"); else said.textContent = "There is no current file or run with this key or id.";
  };
  go.addEventListener("click", show);
  for (const one of fields) one.addEventListener("keydown", e => { if (e.key === "Enter") show(); });
  return el("section", {class: "card"}, el("header", {}, el("h2", {}, title)), el("div", {class: "ask"}, ...fields, go), said);
}
const places = $("#tools");
if (places) {
  places.hidden = false;
  places.append(askFor("What it touches", ["If this is wrong"], "Show", "touches"), askFor("The way between two", ["From", "To"], "Find", "way"));
}

function opened() {
  const id = decodeURIComponent(location.hash.slice(1)) || "home", page = document.getElementById(id), made = !page && asked(id);
  root.classList.toggle("searching", !!made); $("#found").hidden = !made;
  for (const a of document.querySelectorAll(".top nav a")) a.classList.toggle("on", a.hash.slice(1) === id || a.hash[1] === id[0] && id[1] === "-" || !!made && a.hash === "#lineage");
  if (made) {
    $("#found").replaceChildren(el("h1", {}, made[0]), el("p", {class: "lead"}, made[1]), ...made.slice(2));
    document.title = made[0].slice(0, 120); scrollTo(0, 0); return;
  }
  if (!page) return;
  const card = $(".lineage", page);
  if (card && !tools.has(id)) tools.set(id, tool(card));
  document.title = ($("h1", page) || page).textContent.trim().slice(0, 120);
  scrollTo(0, 0); if (location.hash) page.focus({preventScroll: true});
}
addEventListener("hashchange", opened);

// Names are compared as `search` does in Python: without case and accents; where none contains what was typed, by words
// with one typo, and by trigrams. A digest finds its file by its first letters, in the facts of its page.
const fold = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/ß/g, "ss");
const wordsOf = text => fold(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
const entryOf = (n, a) => ({t: fold(nameOf(a) + " " + (n.v || "") + " " + n.i), a: n.a, n: nameOf(a), names: n.u ? [n.u + n.n, n.n] : [n.n], x: n.t === undefined ? "file" : "run", f: n.f.join(" · ")});
const entries = [
  ...N.flatMap((n, k) => n.a && !n.o ? [entryOf(n, k)] : []),
  ...D.transforms.map(t => ({t: fold(t.n + " " + t.i), a: t.a, n: t.n, names: [t.n], x: t.x, f: ""}))];
// A letter added, missing or wrong, or two swapped.
function isNear(one, other) {
  const [a, b] = one.length > other.length ? [other, one] : [one, other];
  if (b.length - a.length > 1) return false;
  let i = 0, j = 0;
  while (i < a.length && a[i] === b[i]) i++;
  while (j < a.length - i && a[a.length - 1 - j] === b[b.length - 1 - j]) j++;
  const x = a.slice(i, a.length - j), y = b.slice(i, b.length - j);
  return y.length < 2 || (x.length === 2 && y.length === 2 && x[0] === y[1] && x[1] === y[0]);
}
let listed, known, digests;
function similar(text) {
  listed ||= entries.flatMap(e => e.names.map(name => { const words = wordsOf(name); return {e, text: " " + words.join(" ") + " ", words, joined: words.join("")}; }));
  known ||= new Set(listed.flatMap(one => one.words));
  const words = [...new Set(wordsOf(text))].slice(0, 8), joined = words.join(""), size = words.join(" ").length;
  const all = [...new Set([...Array(Math.max(0, joined.length - 2)).keys()].map(k => joined.slice(k, k + 3)))];
  const grams = all.length > 2 ? all.filter((_, k) => k % Math.ceil(all.length / 8) === 0) : [];
  const meant = new Map(words.filter(w => /^\p{L}{4,32}$/u.test(w)).map(w => [w, [...known].filter(one => isNear(w, one))]));
  const scores = new Map();
  for (const one of listed) {
    const has = w => one.text.includes(w) ? one.text.includes(" " + w + " ") ? 1 : .8 : (meant.get(w) || []).some(m => one.words.includes(m)) ? .7 : 0;
    const share = size / Math.max(size, one.text.length - 2);
    const found = grams.filter(g => one.joined.includes(g)).length / (grams.length || 1) * (.8 + .2 * share);
    const score = Math.max(words.reduce((sum, w) => sum + has(w), 0) / (words.length || 1), found);
    if (score >= .5) scores.set(one.e, Math.max(score + share / 100, scores.get(one.e) || 0));
  }
  return [...scores].sort((a, b) => b[1] - a[1]).map(one => one[0]);
}
function ofDigest(text) {
  if (!/^[0-9a-f]{8,64}$/.test(text)) return [];
  digests ||= [...document.querySelectorAll("code.digest")].map(e => [e.textContent, e.closest(".page").id]);
  const pages = new Map(N.map((n, k) => [n.a, entryOf(n, k)]));
  return digests.filter(one => one[0].startsWith(text)).map(one => pages.get(one[1])).filter(Boolean);
}
const find = $(".find"), box = $("#q"), found = $("#found");
find.hidden = false;
box.addEventListener("input", () => {
  const words = fold(box.value).split(/\s+/).filter(Boolean);
  root.classList.toggle("searching", words.length > 0); found.hidden = !words.length;
  if (!words.length) return;
  let hits = [...new Map([...ofDigest(words.join(" ")), ...entries.filter(e => words.every(w => e.t.includes(w)))].map(e => [e.a, e])).values()];
  let title = hits.length === 1 ? "1 match" : hits.length.toLocaleString("en") + " matches", lead = hits.length ? "" : "Fewer or other words may find more.";
  if (!hits.length && (hits = similar(box.value)).length) [title, lead] = [count(hits.length, "similar name"), "No name contains what was typed."];
  const rows = hits.slice(0, 50).map(e => el("li", {}, el("span", {class: "sfx"}, e.x), " ", el("a", {href: "#" + e.a}, e.n), " ", el("span", {class: "mute"}, e.f)));
  found.replaceChildren(el("h1", {}, title + (hits.length > 50 ? ", the first 50" : "")), el("p", {class: "lead"}, lead), ...(rows.length ? [el("section", {class: "card"}, el("ul", {}, ...rows))] : []));
});
found.addEventListener("click", e => { if (e.target.closest("a")) { box.value = ""; setTimeout(opened); } });
box.addEventListener("keydown", e => { if (e.key === "Escape") { box.value = ""; box.dispatchEvent(new Event("input")); } if (e.key === "Enter") { const a = $("#found a"); if (a) a.click(); } });
addEventListener("keydown", e => { if (e.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName) && !e.ctrlKey && !e.metaKey) { e.preventDefault(); box.focus(); } });

const theme = $("#theme"), dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
const named = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.hidden = false; named(); dark.addEventListener("change", named);
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; named(); });
// The page of the address is shown only when all of the file was read: before, nothing in it has a place to scroll to.
addEventListener("load", () => requestAnimationFrame(opened));
})();
