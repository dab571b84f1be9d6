// What is being made of a photo: finished masks, and the one under work. Immutable, so that undo
// is nothing but an older state.
import type { Mask } from "../masks/mask";
import { union, without } from "../masks/mask";
import type { Prompt } from "../model/protocol";

export interface Candidate {
  readonly mask: Mask;
  /** Low-resolution logits, fed back with the next click. */
  readonly logits: Float32Array;
  readonly predictedIou: number;
  readonly stability: number;
}

export interface Draft {
  readonly prompt: Prompt;
  readonly candidates: readonly Candidate[];
  readonly chosen: number;
  /** A mask to begin with where somebody corrects a finished one. */
  readonly base: Mask | null;
  readonly added: Mask | null;
  readonly cut: Mask | null;
  /** Tells drafts apart. */
  readonly id: string;
  /** Of the last answer; the finished mask has it. */
  readonly answerId: string;
  readonly startedAt: number;
  readonly label: string;
  /** The finished mask this replaces: it was given, and is corrected. */
  readonly corrects: MaskObject | null;
}

export interface MaskObject {
  readonly id: string;
  readonly mask: Mask;
  readonly predictedIou: number | null;
  readonly stability: number | null;
  readonly prompt: Prompt | null;
  readonly label: string;
  readonly colour: number;
  readonly hidden: boolean;
  /** The draft it was, to go on with it. */
  readonly draft: Draft | null;
  /** `given` masks were there before anybody looked. */
  readonly origin: "made" | "given" | "grid";
  readonly verdict: "accept" | "reject" | null;
  /** Whether a given mask is not as it was. */
  readonly changed: boolean;
}

export interface State {
  readonly objects: readonly MaskObject[];
  readonly draft: Draft | null;
}

export const EMPTY: State = { objects: [], draft: null };
export const NO_PROMPT: Prompt = { points: [], box: null };

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newDraft(label: string): Draft {
  const id = newId();
  return {
    prompt: NO_PROMPT,
    candidates: [],
    chosen: 0,
    base: null,
    added: null,
    cut: null,
    id,
    answerId: id,
    startedAt: Date.now(),
    label,
    corrects: null,
  };
}

/** The mask under work: the model's, with what was painted by hand on top. */
export function draftMask(draft: Draft, size: { width: number; height: number }): Mask {
  const nothing = { ...size, left: 0, top: 0, boxWidth: 0, boxHeight: 0, bits: new Uint8Array() };
  let mask = draft.candidates[draft.chosen]?.mask ?? draft.base ?? nothing;
  if (draft.added) mask = union(mask, draft.added);
  return draft.cut ? without(mask, draft.cut) : mask;
}

/** Painting adds to one of the two, and takes from the other. */
export function painted(draft: Draft, stroke: Mask, erase: boolean): Draft {
  const { added, cut } = draft;
  if (erase) {
    return {
      ...draft,
      added: added && without(added, stroke),
      cut: cut ? union(cut, stroke) : stroke,
    };
  }
  return { ...draft, added: added ? union(added, stroke) : stroke, cut: cut && without(cut, stroke) };
}

/** Undo and redo over states. */
export class History {
  private past: State[] = [];
  private future: State[] = [];
  private readonly listeners: ((state: State, before: State) => void)[] = [];

  constructor(private present: State = EMPTY) {}

  get state(): State {
    return this.present;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  listen(listener: (state: State, before: State) => void): void {
    this.listeners.push(listener);
  }

  /** A step that undo takes back. */
  commit(next: State): void {
    this.past.push(this.present);
    if (this.past.length > 200) this.past.shift();
    this.future = [];
    this.show(next);
  }

  /** A change inside a step, such as a stroke that goes on. */
  amend(next: State): void {
    this.show(next);
  }

  /** Another photo: nothing to take back. */
  reset(state: State): void {
    this.past = [];
    this.future = [];
    this.show(state);
  }

  undo(): void {
    const before = this.past.pop();
    if (!before) return;
    this.future.push(this.present);
    this.show(before);
  }

  redo(): void {
    const after = this.future.pop();
    if (!after) return;
    this.past.push(this.present);
    this.show(after);
  }

  private show(next: State): void {
    const before = this.present;
    this.present = next;
    for (const listener of this.listeners) listener(next, before);
  }
}
