// One person's work on one photo as the server keeps it: sent whole, each time.
import { draftMask, type MaskObject, type State } from "../edit/state";
import { decode, encode } from "../masks/rle";
import type { Mask } from "../masks/mask";
import type { PhotoEntry } from "../server";
import type { Prompt } from "../model/protocol";

export interface WireRle {
  readonly size: readonly [number, number];
  readonly counts: string;
}

export interface WireMask {
  readonly id: string;
  readonly segmentation: WireRle | null;
  readonly label: string;
  readonly verdict: "accept" | "reject" | null;
  readonly predicted_iou: number | null;
  readonly prompt: Prompt | null;
}

export interface WireClick {
  readonly at: number;
  readonly region_id: string;
  readonly object_id: string;
  readonly prompt: Prompt;
  readonly predicted_iou: number;
  readonly milliseconds: number;
}

export interface WireWork {
  readonly annotator: string;
  readonly masks: readonly WireMask[];
  readonly clicks: readonly WireClick[];
  readonly opened: readonly number[];
  readonly seconds: number;
  /** Seconds that each given mask was the one under judgement. */
  readonly looked: Readonly<Record<string, number>>;
  readonly exhaustive: boolean;
  readonly done: "complete" | "skip" | null;
  readonly ended: number | null;
}

export interface GivenMask {
  readonly id: string;
  readonly segmentation: WireRle;
  readonly label: string;
  readonly predicted_iou: number | null;
  readonly stability_score: number | null;
}

export interface Progress {
  readonly mine: number;
  readonly finished: number;
  readonly total: number;
}

export interface Next {
  readonly photo: PhotoEntry | null;
  readonly given: readonly GivenMask[];
  readonly work: WireWork | null;
  readonly ahead: readonly PhotoEntry[];
  readonly progress: Progress;
}

/** Masks that photos begin with, and what was made of them before. */
export function objectsOf(next: Next): MaskObject[] {
  const made = new Map((next.work?.masks ?? []).map((mask) => [mask.id, mask]));
  const begun = !!next.work;
  const objects: MaskObject[] = [];
  for (const given of next.given) {
    const mask = made.get(given.id);
    made.delete(given.id);
    if (begun && !mask) continue; // it was deleted
    objects.push({
      id: given.id,
      mask: maskOf(mask?.segmentation ?? given.segmentation),
      predictedIou: given.predicted_iou,
      stability: given.stability_score,
      prompt: null,
      label: mask?.label ?? given.label,
      colour: objects.length,
      hidden: false,
      draft: null,
      origin: "given",
      verdict: mask?.verdict ?? null,
      changed: !!mask?.segmentation,
    });
  }
  for (const mask of made.values()) {
    if (!mask.segmentation) continue;
    objects.push({
      id: mask.id,
      mask: maskOf(mask.segmentation),
      predictedIou: mask.predicted_iou,
      stability: null,
      prompt: mask.prompt,
      label: mask.label,
      colour: objects.length,
      hidden: false,
      draft: null,
      origin: "made",
      verdict: null,
      changed: true,
    });
  }
  return objects;
}

/** Masks as they are sent: those that are as they were given without pixels. */
export function wireMasks(state: State, size: { width: number; height: number }): WireMask[] {
  const masks = state.objects.map((object) => wireMask(object, object.mask));
  // A mask that is being corrected is still there, in case the page goes away now.
  const { draft } = state;
  if (draft?.corrects) masks.push(wireMask(draft.corrects, draftMask(draft, size)));
  return masks;
}

function wireMask(object: MaskObject, mask: Mask): WireMask {
  const asGiven = object.origin === "given" && !object.changed && object.mask === mask;
  return {
    id: object.id,
    segmentation: asGiven || !mask.bits.length ? null : rleOf(mask),
    label: object.label,
    verdict: object.verdict,
    predicted_iou: object.predictedIou,
    prompt: object.prompt,
  };
}

const packed = new WeakMap<Mask, WireRle>();

/** Masks never change, so each is packed once. */
function rleOf(mask: Mask): WireRle {
  let found = packed.get(mask);
  if (!found) {
    found = { size: [mask.height, mask.width], counts: encode(mask) };
    packed.set(mask, found);
  }
  return found;
}

function maskOf(segmentation: WireRle): Mask {
  const [height, width] = segmentation.size;
  return decode(segmentation.counts, width, height);
}
