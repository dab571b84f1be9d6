// What the page and the worker that holds the model say to each other.
import type { Geometry } from "./geometry";
import type { Compute, Wanted } from "./runtime";

export interface Prompt {
  /** x, y in pixels of the photo, and 1 for on the object, 0 for not on it. */
  readonly points: readonly (readonly [number, number, number])[];
  readonly box: readonly [number, number, number, number] | null;
}

/** An earlier answer that is fed back; the key tells whether the worker has it already. */
export interface Earlier {
  readonly key: string;
  readonly logits: Float32Array;
}

export interface Answer {
  /** Four masks' logits, one after another; 0 is for prompts without doubt, 1 to 3 for others. */
  readonly logits: Float32Array;
  readonly predictedIou: Float32Array;
  readonly milliseconds: number;
}

export interface ModelFacts {
  readonly modelId: string;
  readonly architecture: string;
  readonly inputSize: number;
  readonly encodes: boolean;
  readonly threads: number;
  readonly compute: Compute;
  /** Why not on the graphics card, as a sentence; empty where nobody has to be told. */
  readonly why: string;
  readonly predictedIou: number;
  readonly stability: number;
}

export interface Opened {
  readonly geometry: Geometry;
  readonly milliseconds: number;
}

export interface Requests {
  load: {
    args: { model: string; runtime: string; threads: number; wanted: Wanted };
    gives: ModelFacts;
  };
  encode: { args: { rgba: Uint8ClampedArray; width: number; height: number }; gives: Opened };
  features: { args: { features: Float32Array; geometry: Geometry }; gives: Opened };
  ask: { args: { prompt: Prompt; earlier: Earlier | null }; gives: Answer };
}

export type Kind = keyof Requests;

export interface Request<K extends Kind = Kind> {
  readonly id: number;
  readonly kind: K;
  readonly args: Requests[K]["args"];
}

export type Reply =
  | { readonly id: number; readonly gives: unknown }
  | { readonly id: number; readonly failed: string }
  | { readonly progress: number; readonly of: number };
