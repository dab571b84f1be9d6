// A binary mask of a photo, kept as the box that holds it.

export interface Mask {
  /** Size of the photo. */
  readonly width: number;
  readonly height: number;
  /** The box. */
  readonly left: number;
  readonly top: number;
  readonly boxWidth: number;
  readonly boxHeight: number;
  /** Row by row inside the box, 1 inside the mask. */
  readonly bits: Uint8Array;
}

export function emptyMask(width: number, height: number): Mask {
  return { width, height, left: 0, top: 0, boxWidth: 0, boxHeight: 0, bits: new Uint8Array() };
}

export function area(mask: Mask): number {
  let count = 0;
  for (const bit of mask.bits) count += bit;
  return count;
}

export function has(mask: Mask, x: number, y: number): boolean {
  const column = Math.floor(x) - mask.left;
  const row = Math.floor(y) - mask.top;
  const inBox = column >= 0 && row >= 0 && column < mask.boxWidth && row < mask.boxHeight;
  return inBox && mask.bits[row * mask.boxWidth + column] === 1;
}

/** The same mask in the smallest box. */
export function tight(mask: Mask): Mask {
  let left = mask.boxWidth;
  let right = -1;
  let top = mask.boxHeight;
  let bottom = -1;
  for (let y = 0; y < mask.boxHeight; y++) {
    const row = mask.bits.subarray(y * mask.boxWidth, (y + 1) * mask.boxWidth);
    const first = row.indexOf(1);
    if (first < 0) continue;
    left = Math.min(left, first);
    right = Math.max(right, row.lastIndexOf(1));
    top = Math.min(top, y);
    bottom = y;
  }
  if (right < 0) return emptyMask(mask.width, mask.height);
  return inBox(mask, mask.left + left, mask.top + top, right - left + 1, bottom - top + 1);
}

/** The part of a mask that lies in a box. */
export function inBox(mask: Mask, left: number, top: number, wide: number, high: number): Mask {
  const bits = new Uint8Array(wide * high);
  const from = Math.max(left, mask.left);
  const to = Math.min(left + wide, mask.left + mask.boxWidth);
  for (let y = Math.max(top, mask.top); y < Math.min(top + high, mask.top + mask.boxHeight); y++) {
    if (to <= from) break;
    const start = (y - mask.top) * mask.boxWidth + from - mask.left;
    bits.set(mask.bits.subarray(start, start + to - from), (y - top) * wide + from - left);
  }
  const { width, height } = mask;
  return { width, height, left, top, boxWidth: wide, boxHeight: high, bits };
}

/** What is in either mask. */
export function union(one: Mask, other: Mask): Mask {
  if (!other.bits.length) return one;
  if (!one.bits.length) return other;
  const left = Math.min(one.left, other.left);
  const top = Math.min(one.top, other.top);
  const right = Math.max(one.left + one.boxWidth, other.left + other.boxWidth);
  const bottom = Math.max(one.top + one.boxHeight, other.top + other.boxHeight);
  const both = inBox(one, left, top, right - left, bottom - top);
  const more = inBox(other, left, top, right - left, bottom - top).bits;
  for (let i = 0; i < more.length; i++) both.bits[i] |= more[i];
  return both;
}

/** What is in the first mask and not in the second. */
export function without(mask: Mask, taken: Mask): Mask {
  if (!taken.bits.length || !mask.bits.length) return mask;
  const cut = inBox(taken, mask.left, mask.top, mask.boxWidth, mask.boxHeight).bits;
  const bits = mask.bits.map((bit, i) => (cut[i] ? 0 : bit));
  return tight({ ...mask, bits });
}

/** A filled stroke: all pixels within `radius` of the line between two points. */
export function stroke(
  size: { width: number; height: number },
  from: readonly [number, number],
  to: readonly [number, number],
  radius: number,
): Mask {
  const low = (a: number, b: number) => Math.max(0, Math.floor(Math.min(a, b) - radius));
  const high = (a: number, b: number, limit: number) =>
    Math.min(limit, Math.ceil(Math.max(a, b) + radius) + 1);
  const left = low(from[0], to[0]);
  const top = low(from[1], to[1]);
  const boxWidth = Math.max(0, high(from[0], to[0], size.width) - left);
  const boxHeight = Math.max(0, high(from[1], to[1], size.height) - top);
  const bits = new Uint8Array(boxWidth * boxHeight);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = dx * dx + dy * dy;
  for (let y = 0; y < boxHeight; y++) {
    for (let x = 0; x < boxWidth; x++) {
      const [px, py] = [x + left - from[0], y + top - from[1]];
      const along = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
      const [ex, ey] = [px - along * dx, py - along * dy];
      if (ex * ex + ey * ey <= radius * radius) bits[y * boxWidth + x] = 1;
    }
  }
  return tight({ width: size.width, height: size.height, left, top, boxWidth, boxHeight, bits });
}

/** Intersection over union of two masks. */
export function iou(one: Mask, other: Mask): number {
  const inside = inBox(other, one.left, one.top, one.boxWidth, one.boxHeight).bits;
  let both = 0;
  for (let i = 0; i < inside.length; i++) both += inside[i] & one.bits[i];
  const either = area(one) + area(other) - both;
  return either ? both / either : 0;
}
