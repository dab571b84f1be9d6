// Mouse, pen and fingers on the stage. One finger or button prompts, two fingers, the wheel and the
// other buttons move the photo.
import type { Stage } from "../view/stage";
import type { Tools } from "./tools";

export interface Gestures {
  hover(point: [number, number] | null): void;
  click(point: [number, number], positive: boolean): void;
  box(box: [number, number, number, number]): void;
  paintFrom(point: [number, number], erase: boolean): void;
  paintTo(from: [number, number], to: [number, number], erase: boolean): void;
  paintEnd(): void;
}

// A press that moves less is a click.
const DRAG_PX = 5;
const MIN_BOX_PX = 6;

export class Pointer {
  private readonly down = new Map<number, { x: number; y: number }>();
  private mode: "none" | "press" | "box" | "paint" | "pan" | "pinch" = "none";
  private start: [number, number] = [0, 0];
  private last: [number, number] = [0, 0];
  spaceHeld = false;

  constructor(
    private readonly stage: Stage,
    private readonly tools: Tools,
    private readonly gestures: Gestures,
  ) {
    const target = stage.element;
    target.addEventListener("pointerdown", (event) => this.onDown(event));
    target.addEventListener("pointermove", (event) => this.onMove(event));
    target.addEventListener("pointerup", (event) => this.onUp(event));
    target.addEventListener("pointercancel", (event) => this.cancel(event));
    target.addEventListener("pointerleave", () => this.mode === "none" && gestures.hover(null));
    target.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    target.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  private onDown(event: PointerEvent): void {
    if ((event.target as Element).closest("button, label, input, .card")) return;
    this.stage.element.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.start = this.last = [event.clientX, event.clientY];
    if (this.down.size > 1) {
      if (this.mode === "paint") this.gestures.paintEnd();
      this.stage.showBox(null);
      this.mode = "pinch";
    } else if (event.button > 0 || this.spaceHeld || this.tools.tool === "hand") {
      this.mode = "pan";
    } else if (this.tools.paints) {
      this.mode = "paint";
      this.gestures.paintFrom(this.at(event), this.erases(event));
    } else {
      this.mode = "press";
    }
    this.gestures.hover(null);
  }

  private onMove(event: PointerEvent): void {
    const before = this.down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") this.gestures.hover(this.at(event));
      return;
    }
    if (this.mode === "pinch") this.pinch(event, before);
    this.down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.mode === "press" && this.hasMoved(event) && this.tools.tool !== "take") {
      this.mode = "box";
    }
    if (this.mode === "box") this.stage.showBox(this.boxTo(event));
    if (this.mode === "pan") this.stage.pan(event.clientX - before.x, event.clientY - before.y);
    if (this.mode === "paint") {
      const from = this.stage.toPhoto(...this.last);
      this.gestures.paintTo(from, this.at(event), this.erases(event));
      this.stage.showCursor(this.at(event));
    }
    this.last = [event.clientX, event.clientY];
  }

  private onUp(event: PointerEvent): void {
    if (!this.down.delete(event.pointerId)) return;
    const mode = this.mode;
    if (this.down.size) return;
    this.mode = "none";
    this.stage.showBox(null);
    if (mode === "press" && this.tools.tool !== "box") {
      const point = this.at(event);
      const positive = this.tools.tool !== "take" && !event.altKey;
      if (this.stage.isInside(point)) this.gestures.click(point, positive);
    } else if (mode === "box") {
      const big = Math.min(...[0, 1].map((i) => Math.abs(this.last[i] - this.start[i])));
      if (big >= MIN_BOX_PX) this.gestures.box(this.boxTo(event));
    } else if (mode === "paint") {
      this.gestures.paintEnd();
    }
  }

  private cancel(event: PointerEvent): void {
    this.down.delete(event.pointerId);
    if (this.mode === "paint") this.gestures.paintEnd();
    this.stage.showBox(null);
    this.mode = "none";
  }

  private pinch(event: PointerEvent, before: { x: number; y: number }): void {
    const other = [...this.down].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) return;
    const spread = (at: { x: number; y: number }) => Math.hypot(at.x - other.x, at.y - other.y);
    const now = { x: event.clientX, y: event.clientY };
    this.stage.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    const factor = spread(now) / Math.max(1, spread(before));
    this.stage.zoomBy(factor, (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  private onWheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    if (event.shiftKey) this.stage.pan(-(event.deltaX || event.deltaY) * lines, 0);
    else this.stage.zoomBy(Math.exp(-event.deltaY * lines * 0.0015), event.clientX, event.clientY);
  }

  private at(event: PointerEvent): [number, number] {
    return this.stage.toPhoto(event.clientX, event.clientY);
  }

  private boxTo(event: PointerEvent): [number, number, number, number] {
    const [x, y] = this.stage.toPhoto(...this.start);
    const [x2, y2] = this.at(event);
    return [Math.min(x, x2), Math.min(y, y2), Math.max(x, x2), Math.max(y, y2)];
  }

  private hasMoved(event: PointerEvent): boolean {
    return Math.hypot(event.clientX - this.start[0], event.clientY - this.start[1]) > DRAG_PX;
  }

  private erases(event: PointerEvent): boolean {
    return this.tools.tool === "eraser" || event.altKey;
  }
}
