// The photo with its masks: layers of one size under one CSS transform, so that panning and zooming
// paint nothing.
import type { Mask } from "../masks/mask";
import { colourOf, DRAFT, edgeFor, paint, type Rgb } from "./paint";
import type { Draft, MaskObject } from "../edit/state";

export interface Size {
  readonly width: number;
  readonly height: number;
}

const MOST_ZOOM = 24;
const SVG = "http://www.w3.org/2000/svg";

export class Stage {
  private readonly world = document.createElement("div");
  private readonly photo = layer("photo");
  private readonly masks = layer("masks");
  private readonly draft = layer("draft");
  private readonly hover = layer("hover");
  private readonly marks = document.createElementNS(SVG, "svg");
  private size: Size = { width: 1, height: 1 };
  private x = 0;
  private y = 0;
  private scale = 1;
  private fitted = true;
  private shown: { draft: Draft | null; cursor: [number, number] | null; box: number[] | null } = {
    draft: null,
    cursor: null,
    box: null,
  };
  brushRadius: number | null = null;

  constructor(readonly element: HTMLElement) {
    this.world.className = "world";
    this.world.append(this.photo, this.masks, this.draft, this.hover);
    this.marks.classList.add("marks");
    this.marks.setAttribute("aria-hidden", "true");
    element.append(this.world, this.marks);
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(element);
  }

  /** Shows another photo, whole. */
  open(bitmap: ImageBitmap, previewSize: Size): void {
    this.size = { width: bitmap.width, height: bitmap.height };
    for (const canvas of [this.photo, this.masks, this.draft]) resizeCanvas(canvas, this.size);
    resizeCanvas(this.hover, previewSize);
    this.hover.style.width = `${this.size.width}px`;
    this.hover.style.height = `${this.size.height}px`;
    context(this.photo).drawImage(bitmap, 0, 0);
    this.world.style.width = `${this.size.width}px`;
    this.world.style.height = `${this.size.height}px`;
    this.shown = { draft: null, cursor: null, box: null };
    this.fit();
  }

  /** Paints all finished masks, larger ones below. */
  showObjects(objects: readonly MaskObject[]): void {
    const target = cleared(this.masks);
    const visible = objects.filter((object) => !object.hidden);
    const ordered = [...visible].sort((a, b) => b.mask.bits.length - a.mask.bits.length);
    for (const object of ordered) paint(target, object.mask, colourOf(object.colour));
  }

  /** Paints one more, over the others. */
  addObject(object: MaskObject): void {
    paint(context(this.masks), object.mask, colourOf(object.colour));
  }

  showDraft(draft: Draft | null, mask: Mask | null): void {
    const target = cleared(this.draft);
    if (mask) paint(target, mask, DRAFT);
    this.shown.draft = draft;
    this.drawMarks();
  }

  /** Paints the mask under the pointer, which is on a small copy. */
  showHover(mask: Mask | null, colour: Rgb = DRAFT): void {
    const target = cleared(this.hover);
    if (mask) paint(target, mask, colour, Math.max(1, edgeFor(mask.width, mask.height)));
  }

  showCursor(cursor: [number, number] | null): void {
    this.shown.cursor = cursor;
    this.drawMarks();
  }

  showBox(box: number[] | null): void {
    this.shown.box = box;
    this.drawMarks();
  }

  /** Pixels of the screen to pixels of the photo. */
  toPhoto(clientX: number, clientY: number): [number, number] {
    const frame = this.element.getBoundingClientRect();
    return [(clientX - frame.left - this.x) / this.scale, (clientY - frame.top - this.y) / this.scale];
  }

  isInside([x, y]: readonly [number, number]): boolean {
    return x >= 0 && y >= 0 && x < this.size.width && y < this.size.height;
  }

  get zoom(): number {
    return this.scale;
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  zoomBy(factor: number, clientX?: number, clientY?: number): void {
    const frame = this.element.getBoundingClientRect();
    const atX = (clientX ?? frame.left + frame.width / 2) - frame.left;
    const atY = (clientY ?? frame.top + frame.height / 2) - frame.top;
    const wanted = Math.min(MOST_ZOOM, Math.max(this.fitScale() / 2, this.scale * factor));
    const ratio = wanted / this.scale;
    this.x = atX - (atX - this.x) * ratio;
    this.y = atY - (atY - this.y) * ratio;
    this.scale = wanted;
    this.fitted = false;
    this.place();
  }

  fit(): void {
    const frame = this.element.getBoundingClientRect();
    this.scale = this.fitScale();
    this.x = (frame.width - this.size.width * this.scale) / 2;
    this.y = (frame.height - this.size.height * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  private fitScale(): number {
    const frame = this.element.getBoundingClientRect();
    const margin = frame.width < 600 ? 8 : 24;
    const across = (frame.width - 2 * margin) / this.size.width;
    const down = (frame.height - 2 * margin) / this.size.height;
    return Math.max(0.01, Math.min(across, down, 4));
  }

  private place(): void {
    this.world.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.world.classList.toggle("magnified", this.scale >= 4);
    this.drawMarks();
  }

  /** Points, box and cursor keep their size on the screen, so they live in a layer of their own. */
  private drawMarks(): void {
    const parts: SVGElement[] = [];
    const { draft, cursor, box } = this.shown;
    const rectangle = box ?? draft?.prompt.box;
    if (rectangle) parts.push(this.rectangle(rectangle));
    for (const [x, y, label] of draft?.prompt.points ?? []) parts.push(this.point(x, y, label));
    if (cursor) parts.push(...this.cursorMarks(cursor));
    this.marks.replaceChildren(...parts);
  }

  private rectangle([left, top, right, bottom]: readonly number[]): SVGElement {
    const [x, y] = this.toScreen(left, top);
    const [x2, y2] = this.toScreen(right, bottom);
    return svg("rect", { x, y, width: x2 - x, height: y2 - y, class: "box" });
  }

  private point(x: number, y: number, label: number): SVGElement {
    const [cx, cy] = this.toScreen(x, y);
    const group = svg("g", { class: label ? "point positive" : "point negative" });
    const sign = label ? `M${cx - 3.5} ${cy}h7M${cx} ${cy - 3.5}v7` : `M${cx - 3.5} ${cy}h7`;
    group.append(svg("circle", { cx, cy, r: 8 }), svg("path", { d: sign }));
    return group;
  }

  private cursorMarks([x, y]: [number, number]): SVGElement[] {
    const [cx, cy] = this.toScreen(x, y);
    if (this.brushRadius !== null) {
      return [svg("circle", { cx, cy, r: this.brushRadius * this.scale, class: "brush" })];
    }
    return [svg("path", { d: `M${cx - 12} ${cy}h24M${cx} ${cy - 12}v24`, class: "cross" })];
  }

  private toScreen(x: number, y: number): [number, number] {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }
}

function layer(name: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.className = name;
  return canvas;
}

function resizeCanvas(canvas: HTMLCanvasElement, size: Size): void {
  canvas.width = size.width;
  canvas.height = size.height;
}

function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext("2d") as CanvasRenderingContext2D;
}

function cleared(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const target = context(canvas);
  target.clearRect(0, 0, canvas.width, canvas.height);
  return target;
}

function svg(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
