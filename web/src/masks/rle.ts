// COCO's compressed run-length encoding: column by column, background first.
import { tight, type Mask } from "./mask";

/** The counts of a mask as text. */
export function encode(mask: Mask): string {
  return pack(runs(mask));
}

/** Reads counts; throws where they do not fill the photo. */
export function decode(counts: string, width: number, height: number): Mask {
  const lengths = unpack(counts);
  const bits = new Uint8Array(width * height);
  let at = 0;
  lengths.forEach((length, place) => {
    if (place % 2 === 1) {
      for (let i = at; i < at + length; i++) bits[(i % height) * width + Math.floor(i / height)] = 1;
    }
    at += length;
  });
  if (at !== width * height) throw new Error(`a mask of ${at} pixels for ${width} x ${height}`);
  return tight({ width, height, left: 0, top: 0, boxWidth: width, boxHeight: height, bits });
}

function runs(mask: Mask): number[] {
  const found: number[] = [];
  let value = 0;
  let length = mask.left * mask.height;
  for (let x = 0; x < mask.boxWidth; x++) {
    length += mask.top;
    for (let y = 0; y < mask.boxHeight; y++) {
      const bit = mask.bits[y * mask.boxWidth + x];
      if (bit !== value) {
        found.push(length);
        length = 0;
        value = bit;
      }
      length++;
    }
    const below = mask.height - mask.top - mask.boxHeight;
    if (value && below) {
      found.push(length);
      length = 0;
      value = 0;
    }
    length += below;
    // The next column's first rows are background too.
    if (value && mask.top && x + 1 < mask.boxWidth) {
      found.push(length);
      length = 0;
      value = 0;
    }
  }
  const behind = (mask.width - mask.left - mask.boxWidth) * mask.height;
  if (value && behind) {
    found.push(length);
    length = 0;
  }
  found.push(length + behind);
  return found;
}

function pack(lengths: readonly number[]): string {
  let text = "";
  lengths.forEach((length, place) => {
    let rest = place > 2 ? length - lengths[place - 2] : length;
    for (let more = true; more; ) {
      let group = rest & 31;
      rest >>= 5;
      more = group & 16 ? rest !== -1 : rest !== 0;
      if (more) group |= 32;
      text += String.fromCharCode(group + 48);
    }
  });
  return text;
}

function unpack(counts: string): number[] {
  const lengths: number[] = [];
  for (let at = 0; at < counts.length; ) {
    let length = 0;
    let group = 0;
    for (let shift = 0, more = true; more; shift += 5) {
      group = counts.charCodeAt(at++) - 48;
      length |= (group & 31) << shift;
      more = (group & 32) !== 0;
      if (!more && group & 16) length |= -1 << (shift + 5);
    }
    lengths.push(lengths.length > 2 ? length + lengths[lengths.length - 2] : length);
  }
  return lengths;
}
