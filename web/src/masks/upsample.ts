// From low-resolution logits to pixels: SAM's two bilinear steps as one sparse product, and only
// inside the box that can hold the mask; as `stages.upsampling`.
import { logitsSide, scaledSize, type Geometry } from "../model/geometry";
import { emptyMask, tight, type Mask } from "./mask";

interface Weights {
  readonly first: Int32Array;
  readonly weights: Float32Array;
}

const TAPS = 4;

export interface Upsampled {
  readonly mask: Mask;
  readonly stability: number;
}

/** Brings logits of one photo to its pixels, or to a smaller copy of it. */
export class Upsampler {
  private readonly rows: Weights;
  private readonly columns: Weights;
  private readonly side: number;
  private readonly valid: { width: number; height: number };

  constructor(
    geometry: Geometry,
    private readonly size: { width: number; height: number } = geometry,
  ) {
    const scaled = scaledSize(geometry);
    this.side = logitsSide(geometry);
    this.rows = interpolation(this.side, geometry.inputSize, scaled.height, size.height);
    this.columns = interpolation(this.side, geometry.inputSize, scaled.width, size.width);
    this.valid = {
      width: Math.ceil(scaled.width / 4),
      height: Math.ceil(scaled.height / 4),
    };
  }

  /** The mask of the logits that begin at `offset`. */
  mask(logits: Float32Array, offset = 0): Mask {
    const box = this.boxOf(logits, offset);
    const { width, height } = this.size;
    if (!box) return emptyMask(width, height);
    const wide = this.widen(logits, offset, box);
    const bits = new Uint8Array(box.boxWidth * box.boxHeight);
    for (let y = 0; y < box.boxHeight; y++) {
      const from = this.rows.first[box.top + y];
      const w = this.rows.weights.subarray((box.top + y) * TAPS, (box.top + y + 1) * TAPS);
      const [w0, w1, w2, w3] = w;
      const at = (k: number) => Math.min(from + k, this.side - 1) * box.boxWidth;
      const [a0, a1, a2, a3] = [at(0), at(1), at(2), at(3)];
      const to = y * box.boxWidth;
      for (let x = 0; x < box.boxWidth; x++) {
        const value = w0 * wide[a0 + x] + w1 * wide[a1 + x] + w2 * wide[a2 + x] + w3 * wide[a3 + x];
        bits[to + x] = value > 0 ? 1 : 0;
      }
    }
    return tight({ width, height, ...box, bits });
  }

  /** Area above +1 over area above -1, on the low-resolution logits. */
  stability(logits: Float32Array, offset = 0): number {
    let surely = 0;
    let possibly = 0;
    for (let y = 0; y < this.valid.height; y++) {
      const row = offset + y * this.side;
      for (let x = 0; x < this.valid.width; x++) {
        const value = logits[row + x];
        if (value > 1) surely++;
        if (value > -1) possibly++;
      }
    }
    return possibly ? surely / possibly : 0;
  }

  private boxOf(logits: Float32Array, offset: number) {
    let [left, right, top, bottom] = [this.side, -1, this.side, -1];
    for (let y = 0; y < this.side; y++) {
      for (let x = 0; x < this.side; x++) {
        if (logits[offset + y * this.side + x] <= 0) continue;
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
    }
    if (right < 0) return null;
    const across = touched(this.columns, left, right, this.size.width);
    const down = touched(this.rows, top, bottom, this.size.height);
    if (!across.length || !down.length) return null;
    return {
      left: across.start,
      top: down.start,
      boxWidth: across.length,
      boxHeight: down.length,
    };
  }

  /** Every low-resolution row at the box's columns. */
  private widen(
    logits: Float32Array,
    offset: number,
    box: { left: number; boxWidth: number },
  ): Float32Array {
    const out = new Float32Array(this.side * box.boxWidth);
    for (let y = 0; y < this.side; y++) {
      const row = offset + y * this.side;
      for (let x = 0; x < box.boxWidth; x++) {
        const column = box.left + x;
        const from = this.columns.first[column];
        let sum = 0;
        for (let k = 0; k < TAPS; k++) {
          const at = Math.min(from + k, this.side - 1);
          sum += this.columns.weights[column * TAPS + k] * logits[row + at];
        }
        out[y * box.boxWidth + x] = sum;
      }
    }
    return out;
  }
}

/** The outputs on which any input from `from` to `to` weighs. */
function touched(axis: Weights, from: number, to: number, outputs: number) {
  let start = outputs;
  let stop = 0;
  for (let out = 0; out < outputs; out++) {
    for (let k = 0; k < TAPS; k++) {
      const input = axis.first[out] + k;
      if (axis.weights[out * TAPS + k] > 0 && input >= from && input <= to) {
        start = Math.min(start, out);
        stop = out + 1;
      }
    }
  }
  return { start, length: Math.max(0, stop - start) };
}

/** Weights of bilinear `low -> padded`, cut to `valid`, then `valid -> out`. */
function interpolation(low: number, padded: number, valid: number, out: number): Weights {
  const first = new Int32Array(out);
  const weights = new Float32Array(out * TAPS);
  for (let at = 0; at < out; at++) {
    const sums = new Map<number, number>();
    for (const [middle, weight] of bilinear(valid, out, at)) {
      for (const [input, share] of bilinear(low, padded, middle)) {
        sums.set(input, (sums.get(input) ?? 0) + weight * share);
      }
    }
    const used = [...sums].filter(([, weight]) => weight > 0).map(([input]) => input);
    first[at] = Math.min(...used);
    for (const [input, weight] of sums) {
      if (weight > 0) weights[at * TAPS + input - first[at]] = weight;
    }
  }
  return { first, weights };
}

function bilinear(from: number, to: number, at: number): [number, number][] {
  const position = Math.max((at + 0.5) * (from / to) - 0.5, 0);
  const left = Math.min(Math.trunc(position), from - 1);
  const right = Math.min(left + 1, from - 1);
  const share = position - left;
  return [
    [left, 1 - share],
    [right, share],
  ];
}
