// Pillow's antialiased bilinear resizing, to the bit: the model was trained on pictures made by it.
//
// Weights are fixed-point with 22 bits, rounded after each of the two passes, as Pillow does it.

const PRECISION_BITS = 22;

interface Axis {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly taps: number;
}

/** Resizes RGBA pixels to RGB pixels. */
export function resize(
  rgba: Uint8ClampedArray,
  size: { width: number; height: number },
  wanted: { width: number; height: number },
): Uint8Array {
  const across = axis(size.width, wanted.width);
  const down = axis(size.height, wanted.height);
  const narrow = resizeRows(rgba, size, across, wanted.width);
  return resizeColumns(narrow, wanted.width, down, wanted.height);
}

function axis(from: number, to: number): Axis {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  for (let out = 0; out < to; out++) {
    const centre = (out + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const stop = Math.min(from, Math.trunc(centre + support + 0.5));
    const raw: number[] = [];
    for (let at = start; at < stop; at++) {
      raw.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / support)));
    }
    const sum = raw.reduce((total, weight) => total + weight, 0);
    first[out] = start;
    count[out] = raw.length;
    raw.forEach((weight, k) => {
      weights[out * taps + k] = Math.trunc(0.5 + (weight / sum) * (1 << PRECISION_BITS));
    });
  }
  return { first, count, weights, taps };
}

function resizeRows(
  rgba: Uint8ClampedArray,
  size: { width: number; height: number },
  across: Axis,
  width: number,
): Uint8Array {
  const out = new Uint8Array(size.height * width * 3);
  const half = 1 << (PRECISION_BITS - 1);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < width; x++) {
      let at = (y * size.width + across.first[x]) * 4;
      const weight = x * across.taps;
      let red = half;
      let green = half;
      let blue = half;
      for (let k = 0; k < across.count[x]; k++, at += 4) {
        const w = across.weights[weight + k];
        red += rgba[at] * w;
        green += rgba[at + 1] * w;
        blue += rgba[at + 2] * w;
      }
      const to = (y * width + x) * 3;
      out[to] = red >> PRECISION_BITS;
      out[to + 1] = green >> PRECISION_BITS;
      out[to + 2] = blue >> PRECISION_BITS;
    }
  }
  return out;
}

function resizeColumns(rgb: Uint8Array, width: number, down: Axis, height: number): Uint8Array {
  const row = width * 3;
  const out = new Uint8Array(height * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let k = 0; k < down.count[y]; k++) {
      const from = (down.first[y] + k) * row;
      const w = down.weights[y * down.taps + k];
      for (let i = 0; i < row; i++) sums[i] += rgb[from + i] * w;
    }
    for (let i = 0; i < row; i++) out[y * row + i] = sums[i] >> PRECISION_BITS;
  }
  return out;
}
