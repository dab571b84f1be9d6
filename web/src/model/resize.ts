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

// Below, `Math.imul` and `| 0` tell the compiler that all of it is 32-bit integers: sums of up to
// 255 << PRECISION_BITS, which fit. A pixel's four bytes are read at once.

function resizeRows(
  rgba: Uint8ClampedArray,
  size: { width: number; height: number },
  across: Axis,
  width: number,
): Uint8Array {
  const { first, count, weights, taps } = across;
  const pixels = new Int32Array(rgba.buffer, rgba.byteOffset, rgba.length >> 2);
  const out = new Uint8Array(size.height * width * 3);
  const half = 1 << (PRECISION_BITS - 1);
  let to = 0;
  for (let y = 0; y < size.height; y++) {
    const row = y * size.width;
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let at = row + first[x];
      const start = x * taps;
      const stop = start + count[x];
      for (let k = start; k < stop; k++, at++) {
        const weight = weights[k];
        const pixel = pixels[at];
        red = (red + Math.imul(pixel & 255, weight)) | 0;
        green = (green + Math.imul((pixel >> 8) & 255, weight)) | 0;
        blue = (blue + Math.imul((pixel >> 16) & 255, weight)) | 0;
      }
      out[to++] = red >> PRECISION_BITS;
      out[to++] = green >> PRECISION_BITS;
      out[to++] = blue >> PRECISION_BITS;
    }
  }
  return out;
}

function resizeColumns(rgb: Uint8Array, width: number, down: Axis, height: number): Uint8Array {
  const { first, count, weights, taps } = down;
  const row = width * 3;
  const out = new Uint8Array(height * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let k = 0; k < count[y]; k++) {
      const from = (first[y] + k) * row;
      const weight = weights[y * taps + k];
      for (let i = 0; i < row; i++) sums[i] = (sums[i] + Math.imul(rgb[from + i], weight)) | 0;
    }
    const to = y * row;
    for (let i = 0; i < row; i++) out[to + i] = sums[i] >> PRECISION_BITS;
  }
  return out;
}
