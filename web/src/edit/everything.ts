// All masks of a photo from a grid of clicks, in the browser: a coarse form of the automatic stage.
import { area, type Mask } from "../masks/mask";
import type { Model } from "../model/client";
import type { Candidate } from "./state";
import type { Prompter } from "./prompting";

export interface GridMask {
  readonly mask: Mask;
  readonly predictedIou: number;
  readonly stability: number;
}

export const POINTS_A_SIDE = 16;
const BOX_NMS_IOU = 0.7;
const MOST_OF_PHOTO = 0.95;

export interface Lowest {
  readonly predictedIou: number;
  readonly stability: number;
}

/** Asks a grid of points; gives masks without duplicates (box NMS), the best first. */
export async function everything(
  model: Model,
  prompter: Prompter,
  lowest: Lowest,
  told: (share: number) => void,
  stopped: () => boolean,
): Promise<GridMask[]> {
  const { width, height } = prompter.geometry;
  const found: Candidate[] = [];
  const points = gridPoints(width, height);
  for (const [place, [x, y]] of points.entries()) {
    if (stopped()) return [];
    const answer = await model.ask({ points: [[x, y, 1]], box: null });
    for (const candidate of prompter.masksOf(answer, lowest.predictedIou)) {
      const share = area(candidate.mask) / (width * height);
      if (candidate.stability >= lowest.stability && share < MOST_OF_PHOTO) found.push(candidate);
    }
    told((place + 1) / points.length);
  }
  return withoutDuplicates(found);
}

/** A grid over the photo with about square cells. */
export function gridPoints(width: number, height: number): [number, number][] {
  const points: [number, number][] = [];
  const step = Math.max(width, height) / POINTS_A_SIDE;
  const [across, down] = [width, height].map((side) => Math.max(1, Math.round(side / step)));
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      points.push([((column + 0.5) * width) / across, ((row + 0.5) * height) / down]);
    }
  }
  return points;
}

function withoutDuplicates(found: Candidate[]): GridMask[] {
  const kept: Candidate[] = [];
  const ordered = [...found].sort((one, other) => other.predictedIou - one.predictedIou);
  for (const candidate of ordered) {
    const isNew = kept.every((other) => boxIou(candidate.mask, other.mask) <= BOX_NMS_IOU);
    if (isNew) kept.push(candidate);
  }
  return kept.map(({ mask, predictedIou, stability }) => ({ mask, predictedIou, stability }));
}

function boxIou(one: Mask, other: Mask): number {
  const overlap = (a: number, aLong: number, b: number, bLong: number) =>
    Math.max(0, Math.min(a + aLong, b + bLong) - Math.max(a, b));
  const both =
    overlap(one.left, one.boxWidth, other.left, other.boxWidth) *
    overlap(one.top, one.boxHeight, other.top, other.boxHeight);
  const either = one.bits.length + other.bits.length - both;
  return either ? both / either : 0;
}
