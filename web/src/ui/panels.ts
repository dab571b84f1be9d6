// The panels beside the photo, drawn anew from the state whenever it changes.
import { colourOf, css } from "../view/paint";
import { area } from "../masks/mask";
import type { Draft, MaskObject, State } from "../edit/state";
import { byId, el, icon, percent } from "./dom";

export interface PanelActions {
  choose(place: number): void;
  keep(): void;
  discard(): void;
  edit(id: string): void;
  toggle(id: string): void;
  remove(id: string): void;
  relabel(id: string, label: string): void;
  highlight(id: string | null): void;
}

const SIZES = ["Whole", "Part", "Subpart"];

export function drawDraft(draft: Draft | null, hasMask: boolean, actions: PanelActions): void {
  const target = byId("draft-panel");
  const focused = target.contains(document.activeElement)
    ? (document.activeElement as HTMLElement).dataset.name
    : undefined;
  target.replaceChildren(el("h2", {}, draft?.corrects ? "Correct this mask" : "Mask"));
  if (!draft) {
    target.append(el("p", { class: "quiet" }, "Point at an object and click it, or drag a box."));
    return;
  }
  if (draft.candidates.length > 1) target.append(candidateCards(draft, actions));
  else if (draft.candidates.length) {
    const score = percent(draft.candidates[0].predictedIou);
    target.append(el("p", { class: "quiet" }, `Predicted IoU ${score}`));
  }
  target.append(
    el(
      "div",
      { class: "row" },
      el(
        "button",
        { class: "button primary grow", "data-name": "keep", disabled: !hasMask, click: actions.keep },
        "Keep",
        el("kbd", {}, "Enter"),
      ),
      el("button", { class: "button", "data-name": "discard", click: actions.discard }, "Discard"),
    ),
  );
  if (focused) target.querySelector<HTMLElement>(`[data-name=${focused}]`)?.focus();
}

function candidateCards(draft: Draft, actions: PanelActions): HTMLElement {
  const cards = draft.candidates.map((candidate, place) => {
    const thumbnail = el("canvas", { width: 96, height: 72, "aria-hidden": "true" });
    drawThumbnail(thumbnail, draft, place);
    return el(
      "button",
      {
        class: "candidate",
        role: "radio",
        "aria-checked": String(place === draft.chosen),
        "aria-label": `${SIZES[place]}, predicted IoU ${percent(candidate.predictedIou)}`,
        "data-name": `candidate-${place}`,
        click: () => actions.choose(place),
      },
      thumbnail,
      el("span", {}, el("b", {}, SIZES[place]), " ", percent(candidate.predictedIou)),
      el("kbd", {}, String(place + 1)),
    );
  });
  return el("div", { class: "candidates", role: "radiogroup", "aria-label": "Which mask" }, ...cards);
}

/** The part of the photo that all three masks lie in, the one that is meant in colour. */
function drawThumbnail(canvas: HTMLCanvasElement, draft: Draft, place: number): void {
  const context = canvas.getContext("2d");
  const photo = document.querySelector<HTMLCanvasElement>("canvas.photo");
  const { mask } = draft.candidates[place];
  if (!context || !photo || !mask.bits.length) return;
  const boxes = draft.candidates.map((one) => one.mask).filter((one) => one.bits.length);
  const left = Math.min(...boxes.map((one) => one.left));
  const top = Math.min(...boxes.map((one) => one.top));
  const right = Math.max(...boxes.map((one) => one.left + one.boxWidth));
  const bottom = Math.max(...boxes.map((one) => one.top + one.boxHeight));
  const scale = Math.min(canvas.width / (right - left), canvas.height / (bottom - top)) * 0.92;
  context.translate(canvas.width / 2, canvas.height / 2);
  context.scale(scale, scale);
  context.translate(-(left + right) / 2, -(top + bottom) / 2);
  context.drawImage(photo, 0, 0);
  const layer = new OffscreenCanvas(mask.boxWidth, mask.boxHeight);
  const picture = new ImageData(mask.boxWidth, mask.boxHeight);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = mask.bits[i] ? 0xa0eb6325 : 0;
  layer.getContext("2d")?.putImageData(picture, 0, 0);
  context.drawImage(layer, mask.left, mask.top);
}

export function drawObjects(state: State, labels: readonly string[], actions: PanelActions): void {
  const target = byId("objects-panel");
  const { objects } = state;
  const title = objects.length ? `Masks (${objects.length})` : "Masks";
  const list = el("ul", { class: "objects" }, ...objects.map((o) => row(o, labels, actions)));
  const hint = "Masks that you keep are listed here.";
  const scrolled = target.querySelector(".objects")?.scrollTop ?? 0;
  target.replaceChildren(
    el("h2", {}, title),
    objects.length ? list : el("p", { class: "quiet" }, hint),
  );
  list.scrollTop = scrolled;
}

function row(object: MaskObject, labels: readonly string[], actions: PanelActions): HTMLElement {
  const share = area(object.mask) / (object.mask.width * object.mask.height);
  const score = object.predictedIou === null ? "" : ` · IoU ${percent(object.predictedIou)}`;
  const what = `${object.label || "Object"}, ${percent(share)} of the photo${score}`;
  return el(
    "li",
    {
      class: object.hidden ? "object faded" : "object",
      "data-verdict": object.verdict ?? "",
      pointerenter: () => actions.highlight(object.id),
      pointerleave: () => actions.highlight(null),
    },
    el("span", { class: "chip", style: `background:${css(colourOf(object.colour))}` }),
    el(
      "button",
      { class: "grow name", title: "Correct it", "aria-label": `Correct ${what}`, click: () => actions.edit(object.id) },
      object.label || "Object",
      el("small", {}, `${share < 0.01 ? "<1%" : percent(share)}${score}`),
    ),
    ...labelChoice(object, labels, actions),
    iconButton(object.hidden ? "hidden" : "eye", object.hidden ? "Show" : "Hide", what, () =>
      actions.toggle(object.id),
    ),
    iconButton("trash", "Delete", what, () => actions.remove(object.id)),
  );
}

function labelChoice(object: MaskObject, labels: readonly string[], actions: PanelActions): Node[] {
  if (!labels.length) return [];
  const options = ["", ...labels].map((label) =>
    el("option", { value: label, selected: label === object.label }, label || "Object"),
  );
  const choice = el("select", { "aria-label": "Class" }, ...options);
  choice.addEventListener("change", () => actions.relabel(object.id, choice.value));
  return [choice];
}

function iconButton(name: string, verb: string, what: string, run: () => void): HTMLElement {
  const label = `${verb} ${what}`;
  return el("button", { class: "icon small", title: verb, "aria-label": label, click: run }, icon(name));
}
