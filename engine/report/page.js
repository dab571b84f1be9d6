// The gallery: cards, filters, one photo large. Nothing is fetched, nothing is stored.

const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters");
const tip = document.getElementById("tip");

// --- words -----------------------------------------------------------------------------------------

const score = value => (value === null ? "none" : value.toFixed(3));
const share = value => {
  const percent = value * 100;
  return (percent >= 10 ? percent.toFixed(0) : percent >= 0.01 ? percent.toPrecision(2) : percent.toPrecision(1)) + " %";
};
const number = value => value.toLocaleString("en-US");
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

function describe(photo, index, event) {
  const mask = photo.masks[index];
  const rows = [["predicted IoU", score(mask[IOU])], ["stability", score(mask[STABILITY])],
    ["size", share(mask[AREA] / (photo.w * photo.h))], ["area", number(mask[AREA]) + " px"],
    ["level", data.levels[mask[LEVEL]]], ["origin", data.origins[mask[ORIGIN]]]];
  if (mask[NAME]) rows.unshift(["name", mask[NAME]]);
  const list = document.createElement("dl");
  for (const [term, text] of rows) {
    list.append(Object.assign(document.createElement("dt"), {textContent: term}),
      Object.assign(document.createElement("dd"), {textContent: text}));
  }
  tip.replaceChildren(list);
  if (document.querySelector("dialog[open]")) document.querySelector("dialog[open]").append(tip);
  else document.body.append(tip);
  tip.hidden = false;
  const right = event.clientX + 18 + tip.offsetWidth > innerWidth;
  const low = event.clientY + 18 + tip.offsetHeight > innerHeight;
  tip.style.left = Math.max(4, right ? event.clientX - tip.offsetWidth - 14 : event.clientX + 18) + "px";
  tip.style.top = Math.max(4, low ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18) + "px";
}

// --- filters ---------------------------------------------------------------------------------------

const state = {};

function readFilters() {
  for (const name of ["iou", "stability", "smallest", "largest", "opacity"]) state[name] = Number(form.elements[name].value);
  state.levels = data.levels.map((_, i) => form.elements[`level-${i}`]?.checked ?? true);
  const say = (name, text) => { form.querySelector(`[data-for=${name}]`).value = text; };
  say("iou", atEnd("iou", "min") ? "any" : "≥ " + state.iou.toFixed(2));
  say("stability", atEnd("stability", "min") ? "any" : "≥ " + state.stability.toFixed(2));
  say("smallest", atEnd("smallest", "min") ? "any" : "≥ " + share(10 ** state.smallest));
  say("largest", atEnd("largest", "max") ? "any" : "≤ " + share(10 ** state.largest));
  say("opacity", Math.round(state.opacity * 100) + " %");
}

const atEnd = (name, end) => form.elements[name].value === form.elements[name][end];

function passes(photo, mask) {
  const size = Math.log10(mask[AREA] / (photo.w * photo.h));
  return state.levels[mask[LEVEL]]
    && (mask[IOU] === null || atEnd("iou", "min") || mask[IOU] >= state.iou)
    && (mask[STABILITY] === null || atEnd("stability", "min") || mask[STABILITY] >= state.stability)
    && (atEnd("smallest", "min") || size >= state.smallest)
    && (atEnd("largest", "max") || size <= state.largest);
}

function applyFilters() {
  readFilters();
  let shown = 0, total = 0;
  for (const card of cards) {
    const {photo} = card;
    photo.shown = 0;
    photo.masks.forEach((mask, i) => {
      photo.visible[i] = passes(photo, mask);
      photo.shown += photo.visible[i];
    });
    card.count.textContent = photo.shown === photo.masks.length
      ? plural(photo.masks.length, "mask") : `${number(photo.shown)} of ${plural(photo.masks.length, "mask")}`;
    shown += photo.shown;
    total += photo.masks.length;
    card.stale = true;
  }
  document.getElementById("shown").textContent = `${number(shown)} of ${plural(total, "mask")} shown`;
  sortCards();
  cards.filter(card => card.near).forEach(paintCard);
}

const doubt = photo => {
  const scores = photo.masks.map(mask => mask[IOU]).filter(value => value !== null);
  return scores.length ? scores.reduce((a, b) => a + b) / scores.length : 2;
};
const ORDERS = {
  path: (a, b) => a.place - b.place,
  most: (a, b) => b.photo.shown - a.photo.shown || a.place - b.place,
  fewest: (a, b) => a.photo.shown - b.photo.shown || a.place - b.place,
  doubt: (a, b) => doubt(a.photo) - doubt(b.photo) || a.place - b.place,
};

function sortCards() {
  const order = form.elements.order.value;
  if (order === state.order && order === "path") return;
  state.order = order;
  cards.sort(ORDERS[order]);
  document.getElementById("cards").append(...cards.map(card => card.element));
}

// --- gallery -----------------------------------------------------------------------------------------

const cards = data.photos.map((photo, place) => {
  photo.runs = [];
  photo.visible = photo.masks.map(() => true);
  photo.colours = photo.masks.map((_, i) => colour(i));
  photo.order = photo.masks.map((_, i) => i).sort((a, b) => photo.masks[b][AREA] - photo.masks[a][AREA] || a - b);
  return makeCard(photo, place);
});

function makeCard(photo, place) {
  const make = (tag, set = {}) => Object.assign(document.createElement(tag), set);
  const element = make("figure", {className: "card"});
  const frame = make("button", {className: "frame", type: "button"});
  frame.setAttribute("aria-label", `Open ${photo.name}`);
  const image = make("img", {alt: ""}), canvas = make("canvas");
  frame.append(image, canvas);
  element.style.setProperty("--ratio", Math.max(0.6, Math.min(2.6, photo.tw / photo.th)).toFixed(4));
  const caption = make("figcaption"), count = make("span");
  caption.append(make("b", {textContent: photo.name, title: photo.path}), count);
  element.append(frame, caption);
  if (photo.trouble) element.append(make("p", {className: "trouble", textContent: `Masks on grey: ${photo.trouble}.`}));
  const card = {photo, place, element, frame, count, view: new View(canvas, image), stale: true, near: false, ready: false};
  card.view.follow(frame);
  frame.addEventListener("click", () => viewer.open(card));
  element.card = card;
  return card;
}

function paintCard(card) {
  if (!card.ready) {
    card.view.show(card.photo);
    card.ready = true;
  } else if (card.stale) card.view.paint();
  card.stale = false;
}

const watcher = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    target.card.near = isIntersecting;
    if (isIntersecting) paintCard(target.card);
  }
}, {rootMargin: "600px"});

// --- one photo, large ----------------------------------------------------------------------------------

const viewer = {
  dialog: document.getElementById("viewer"),
  start() {
    this.view = new View(this.dialog.querySelector("canvas"), this.dialog.querySelector("img"));
    this.view.follow(this.dialog.querySelector(".stage"), mask => this.mark(mask));
    this.body = this.dialog.querySelector("tbody");
    this.dialog.addEventListener("click", event => {
      const button = event.target.closest("button");
      if (event.target === this.dialog || button?.dataset.close !== undefined) this.dialog.close();
      else if (button?.dataset.step) this.step(Number(button.dataset.step));
    });
    this.dialog.addEventListener("keydown", event => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    this.dialog.addEventListener("close", () => { tip.hidden = true; document.body.append(tip); });
  },
  open(card) {
    this.card = card;
    const {photo} = card;
    document.getElementById("viewer-name").textContent = photo.path;
    document.getElementById("viewer-size").textContent = `${photo.w} × ${photo.h} px`;
    if (!this.dialog.open) this.dialog.showModal();
    tip.hidden = true;
    this.view.show(photo);
    this.list(photo);
  },
  step(by) {
    const next = cards[(cards.indexOf(this.card) + by + cards.length) % cards.length];
    if (next) this.open(next);
  },
  list(photo) {
    const shown = photo.masks.map((_, i) => i).filter(i => photo.visible[i]);
    shown.sort((a, b) => (photo.masks[b][IOU] ?? 0) - (photo.masks[a][IOU] ?? 0) || a - b);
    this.body.replaceChildren(...shown.map(i => this.row(photo, i)));
  },
  row(photo, index) {
    const mask = photo.masks[index], line = document.createElement("tr"), swatch = document.createElement("i");
    swatch.style.background = `rgb(${photo.colours[index].join(" ")})`;
    const texts = [score(mask[IOU]), score(mask[STABILITY]), share(mask[AREA] / (photo.w * photo.h)), mask[NAME] || data.levels[mask[LEVEL]]];
    line.insertCell().append(swatch);
    for (const text of texts) line.insertCell().textContent = text;
    line.dataset.mask = index;
    line.addEventListener("pointerenter", () => { this.view.light(index); this.mark(index); });
    line.addEventListener("pointerleave", () => { this.view.light(-1); this.mark(-1); });
    return line;
  },
  mark(mask) {
    for (const line of this.body.rows) line.classList.toggle("on", Number(line.dataset.mask) === mask);
  },
};

// --- start -----------------------------------------------------------------------------------------------

function makeLevels() {
  const used = new Set(data.photos.flatMap(photo => photo.masks.map(mask => mask[LEVEL])));
  const box = document.getElementById("levels");
  data.levels.forEach((level, i) => {
    if (!used.has(i)) return;
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {type: "checkbox", name: `level-${i}`, defaultChecked: true, checked: true});
    label.append(input, level);
    box.append(label);
  });
  box.hidden = used.size < 2;
}

// Each slider spans what the masks span, so that all of its travel is of use.
function fitSlider(name, column) {
  const values = data.photos.flatMap(photo => photo.masks.map(mask => mask[column])).filter(value => value !== null);
  const input = form.elements[name];
  input.closest("label").classList.toggle("off", values.length === 0);
  if (!values.length) return;
  const low = Math.max(0, Math.floor(values.reduce((a, b) => Math.min(a, b)) * 20) / 20);
  Object.assign(input, {min: Math.min(low, 0.95), defaultValue: Math.min(low, 0.95), value: Math.min(low, 0.95)});
}

makeLevels();
fitSlider("iou", IOU);
fitSlider("stability", STABILITY);
viewer.start();
document.getElementById("cards").append(...cards.map(card => card.element));
form.addEventListener("input", applyFilters);
form.addEventListener("reset", () => setTimeout(applyFilters));
form.addEventListener("submit", event => event.preventDefault());
applyFilters();
cards.forEach(card => watcher.observe(card.element));
