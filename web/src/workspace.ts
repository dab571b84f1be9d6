// One photo under work: prompts go to the model, masks come back, the state changes, the stage and
// the panels follow.
import { Latest, Prompter } from "./edit/prompting";
import {
  draftMask,
  EMPTY,
  History,
  newDraft,
  painted,
  type Draft,
  type MaskObject,
} from "./edit/state";
import type { Photo } from "./files/photo";
import { has, stroke } from "./masks/mask";
import type { Model } from "./model/client";
import type { Geometry } from "./model/geometry";
import type { Prompt } from "./model/protocol";
import { failed, messageOf } from "./ui/notices";
import { drawDraft, drawObjects, type PanelActions } from "./ui/panels";
import { Tools } from "./ui/tools";
import { Pointer, type Gestures } from "./ui/pointer";
import { PALETTE } from "./view/paint";
import type { Stage } from "./view/stage";

export class Workspace implements Gestures, PanelActions {
  readonly history = new History();
  readonly tools: Tools;
  readonly pointer: Pointer;
  photo: Photo | null = null;
  prompter: Prompter | null = null;
  labels: readonly string[] = [];
  label = "";
  cursor: [number, number] | null = null;
  private boxFrom: [number, number] | null = null;
  private readonly hovering: Latest<{ point: [number, number]; at: number }>;
  private asking: Promise<void> = Promise.resolve();
  private nextColour = 0;
  private stroking: Draft | null = null;
  private hovered: string | null = null;

  constructor(
    readonly model: Model,
    readonly stage: Stage,
  ) {
    this.tools = new Tools(() => this.toolChanged());
    this.pointer = new Pointer(stage, this.tools, this);
    this.hovering = new Latest((request) => this.preview(request));
    this.history.listen((state, before) => this.show(state.draft !== before.draft, state.objects !== before.objects));
    this.show(true, true);
  }

  /** Shows a photo whose features the model has. */
  open(photo: Photo, geometry: Geometry, objects: readonly MaskObject[] = []): void {
    this.photo?.bitmap.close();
    this.photo = photo;
    this.prompter = new Prompter(this.model, geometry);
    this.cursor = null;
    this.hovered = null;
    this.stage.element.classList.remove("spotlight");
    this.nextColour = objects.length;
    this.stage.open(photo.bitmap, this.prompter.previewSize);
    this.history.reset({ ...EMPTY, objects });
  }

  // Pointer and keyboard.

  hover(point: [number, number] | null): void {
    if (this.tools.paints) {
      this.stage.showCursor(point);
      return;
    }
    const asks = point && this.stage.isInside(point) && !this.history.state.draft;
    if (asks && this.tools.tool !== "hand" && this.tools.tool !== "take") {
      this.hovering.ask({ point, at: performance.now() });
    } else {
      this.endHover();
    }
  }

  click(point: [number, number], positive: boolean): void {
    const draft = this.history.state.draft;
    if (!positive && !draft) return;
    const [x, y] = point;
    this.prompt((now) => ({
      ...now,
      points: [...now.points, [x, y, positive ? 1 : 0]],
    }));
  }

  box(box: [number, number, number, number]): void {
    const { width, height } = this.size;
    const inside: [number, number, number, number] = [
      Math.max(0, box[0]),
      Math.max(0, box[1]),
      Math.min(width - 1, box[2]),
      Math.min(height - 1, box[3]),
    ];
    if (inside[2] <= inside[0] || inside[3] <= inside[1]) return;
    this.prompt((now) => ({ ...now, box: inside }));
  }

  paintFrom(point: [number, number], erase: boolean): void {
    const draft = this.history.state.draft ?? newDraft(this.label);
    this.history.commit({ ...this.history.state, draft });
    this.stroking = draft;
    this.paintTo(point, point, erase);
  }

  paintTo(from: [number, number], to: [number, number], erase: boolean): void {
    const draft = this.history.state.draft;
    if (!draft || !this.stroking) return;
    const line = stroke(this.size, from, to, this.tools.brushRadius);
    this.history.amend({ ...this.history.state, draft: painted(draft, line, erase) });
  }

  paintEnd(): void {
    this.stroking = null;
  }

  /** The cross that arrow keys move. */
  moveCursor(dx: number, dy: number): void {
    if (!this.photo) return;
    const { width, height } = this.size;
    const [x, y] = this.cursor ?? [width / 2, height / 2];
    const step = Math.max(1, 8 / this.stage.zoom);
    this.cursor = [
      Math.min(width - 1, Math.max(0, x + dx * step)),
      Math.min(height - 1, Math.max(0, y + dy * step)),
    ];
    this.stage.showCursor(this.cursor);
    this.hover(this.cursor);
  }

  /** Uses the tool in hand at the cross. */
  useAtCursor(positive: boolean): void {
    const point = this.cursor;
    if (!point) return this.moveCursor(0, 0);
    if (this.tools.paints) {
      this.paintFrom(point, this.tools.tool === "eraser");
      this.paintEnd();
    } else if (this.tools.tool === "box") {
      if (!this.boxFrom) this.boxFrom = point;
      else {
        const [x, y] = this.boxFrom;
        this.boxFrom = null;
        this.box([Math.min(x, point[0]), Math.min(y, point[1]), Math.max(x, point[0]), Math.max(y, point[1])]);
      }
    } else {
      this.click(point, positive && this.tools.tool !== "take");
    }
  }

  // Masks.

  choose(place: number): void {
    const { state } = this.history;
    if (!state.draft || place >= state.draft.candidates.length) return;
    this.history.commit({ ...state, draft: { ...state.draft, chosen: place } });
  }

  keep(): void {
    const { state } = this.history;
    if (!state.draft) return;
    const mask = draftMask(state.draft, this.size);
    if (!mask.bits.length) return;
    const made = this.finished(state.draft, mask);
    this.history.commit({ objects: [...state.objects, made], draft: null });
    this.tools.take("add");
  }

  discard(): void {
    const { state } = this.history;
    this.boxFrom = null;
    if (!state.draft) return;
    const corrected = state.draft.corrects;
    const objects = corrected ? [...state.objects, corrected] : state.objects;
    this.history.commit({ objects, draft: null });
  }

  edit(id: string): void {
    this.keep();
    const { state } = this.history;
    const object = state.objects.find((one) => one.id === id);
    if (!object) return;
    const fresh = { ...newDraft(object.label), base: object.mask };
    const draft = { ...(object.draft ?? fresh), corrects: object, startedAt: Date.now() };
    const objects = state.objects.filter((one) => one !== object);
    this.history.commit({ objects, draft });
  }

  /** The topmost finished mask at a place, to correct it. */
  editAt(point: [number, number]): boolean {
    const hit = this.history.state.objects
      .filter((object) => !object.hidden && has(object.mask, ...point))
      .sort((one, other) => one.mask.bits.length - other.mask.bits.length)[0];
    if (hit) this.edit(hit.id);
    return !!hit;
  }

  toggle(id: string): void {
    this.change(id, (object) => ({ ...object, hidden: !object.hidden }));
  }

  relabel(id: string, label: string): void {
    this.label = label;
    this.change(id, (object) => ({ ...object, label }));
  }

  /** A person's verdict on a mask that was there. */
  decide(id: string, verdict: "accept" | "reject"): void {
    this.change(id, (object) => ({ ...object, verdict, hidden: verdict === "reject" }));
  }

  remove(id: string): void {
    const { state } = this.history;
    this.history.commit({ ...state, objects: state.objects.filter((one) => one.id !== id) });
  }

  highlight(id: string | null): void {
    if (this.hovered === id || !this.photo) return;
    this.hovered = id;
    const object = this.history.state.objects.find((one) => one.id === id);
    this.stage.element.classList.toggle("spotlight", !!object);
    this.stage.showDraft(this.history.state.draft, object?.mask ?? this.currentMask());
  }

  /** Adds finished masks in one step. */
  addObjects(objects: readonly MaskObject[]): void {
    const { state } = this.history;
    this.history.commit({ ...state, objects: [...state.objects, ...objects] });
  }

  takeColour(): number {
    return this.nextColour++ % PALETTE.length;
  }

  /** What `takeColour` will give after so many. */
  colourAhead(places: number): number {
    return (this.nextColour + places) % PALETTE.length;
  }

  undo(): void {
    this.history.undo();
  }

  redo(): void {
    this.history.redo();
  }

  currentMask() {
    const { draft } = this.history.state;
    return draft && this.photo ? draftMask(draft, this.size) : null;
  }

  get size(): { width: number; height: number } {
    const { width, height } = this.photo?.bitmap ?? { width: 1, height: 1 };
    return { width, height };
  }

  /** Called after each answer with what was asked and how long it took. */
  onAnswer: (draft: Draft, milliseconds: number) => void = () => undefined;
  onChange: () => void = () => undefined;

  /** All prompts wait for the one before: each is made on what came of it. */
  private prompt(change: (now: Prompt) => Prompt): void {
    this.endHover();
    const prompter = this.prompter;
    this.asking = this.asking.then(async () => {
      if (!prompter || prompter !== this.prompter) return;
      const draft = this.history.state.draft ?? newDraft(this.label);
      const started = performance.now();
      try {
        const refined = await prompter.refine(draft, change(draft.prompt));
        if (prompter !== this.prompter) return;
        this.history.commit({ ...this.history.state, draft: refined });
        this.onAnswer(refined, performance.now() - started);
      } catch (error) {
        failed(`No mask: ${messageOf(error)}`);
      }
    });
  }

  /** Resolves when every prompt so far was answered. */
  async settled(): Promise<void> {
    await this.asking;
  }

  private async preview({ point, at }: { point: [number, number]; at: number }): Promise<void> {
    const prompter = this.prompter;
    if (!prompter || this.history.state.draft) return;
    try {
      const [x, y] = point;
      const { mask } = await prompter.preview({ points: [[x, y, 1]], box: null });
      if (prompter !== this.prompter || this.history.state.draft) return;
      this.stage.showHover(mask);
      performance.measure("pointer to mask", { start: at, end: performance.now() });
    } catch (error) {
      failed(messageOf(error));
    }
  }

  private endHover(): void {
    this.hovering.forget();
    this.stage.showHover(null);
  }

  private finished(draft: Draft, mask: MaskObject["mask"]): MaskObject {
    const candidate = draft.candidates[draft.chosen];
    const before = draft.corrects;
    return {
      id: before?.origin === "given" ? before.id : draft.answerId,
      mask,
      predictedIou: candidate?.predictedIou ?? before?.predictedIou ?? null,
      stability: candidate?.stability ?? before?.stability ?? null,
      prompt: candidate ? draft.prompt : (before?.prompt ?? null),
      label: draft.label,
      colour: before?.colour ?? this.takeColour(),
      hidden: false,
      draft: { ...draft, corrects: null },
      origin: before?.origin ?? "made",
      verdict: before?.origin === "given" ? "accept" : null,
      changed: true,
    };
  }

  private change(id: string, how: (object: MaskObject) => MaskObject): void {
    const { state } = this.history;
    const objects = state.objects.map((object) => (object.id === id ? how(object) : object));
    this.history.commit({ ...state, objects });
  }

  private toolChanged(): void {
    this.stage.element.dataset.tool = this.tools.tool;
    this.stage.brushRadius = this.tools.paints ? this.tools.brushRadius : null;
    this.boxFrom = null;
    this.endHover();
    this.stage.showCursor(this.cursor);
  }

  private show(draftChanged: boolean, objectsChanged: boolean): void {
    const { state } = this.history;
    const mask = this.currentMask();
    if (this.photo && draftChanged) {
      this.hovered = null;
      this.stage.element.classList.remove("spotlight");
      this.stage.showDraft(state.draft, mask);
    }
    if (this.photo && objectsChanged) this.stage.showObjects(state.objects);
    if (state.draft) this.endHover();
    drawDraft(state.draft, !!mask?.bits.length, this);
    if (objectsChanged) drawObjects(state, this.labels, this);
    this.onChange();
  }
}
