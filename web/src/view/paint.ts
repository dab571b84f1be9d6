// Masks as colour: a light fill and a clear edge.
import type { Mask } from "../masks/mask";

export type Rgb = readonly [number, number, number];

// Bright, and told apart by hue and lightness; the first is the mask under work.
export const DRAFT: Rgb = [45, 125, 255];
export const PALETTE: readonly Rgb[] = [
  [230, 85, 60],
  [22, 160, 133],
  [236, 178, 37],
  [142, 84, 233],
  [52, 152, 219],
  [214, 64, 139],
  [108, 174, 52],
  [255, 134, 92],
  [0, 134, 149],
  [176, 120, 60],
  [120, 110, 240],
  [200, 60, 60],
];

const FILL = 96;
const EDGE = 255;

export function colourOf(place: number): Rgb {
  return PALETTE[place % PALETTE.length];
}

export function css(colour: Rgb): string {
  return `rgb(${colour.join(" ")})`;
}

/** Paints a mask over what is there. */
export function paint(
  context: CanvasRenderingContext2D,
  mask: Mask,
  colour: Rgb,
  edge = edgeFor(mask.width, mask.height),
): void {
  if (!mask.bits.length) return;
  const picture = new ImageData(mask.boxWidth, mask.boxHeight);
  const pixels = new Uint32Array(picture.data.buffer);
  const inside = packed(colour, FILL);
  const outline = packed(colour, EDGE);
  const { boxWidth: wide, boxHeight: high, bits } = mask;
  for (let y = 0, at = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, at++) {
      if (!bits[at]) continue;
      const border =
        x < edge || x >= wide - edge || y < edge || y >= high - edge
          ? isBorder(bits, wide, high, x, y, edge)
          : !bits[at - edge] || !bits[at + edge] || !bits[at - edge * wide] || !bits[at + edge * wide];
      pixels[at] = border ? outline : inside;
    }
  }
  const layer = new OffscreenCanvas(wide, high);
  layer.getContext("2d")?.putImageData(picture, 0, 0);
  context.drawImage(layer, mask.left, mask.top);
}

/** Edges of about two pixels of a screen that shows the whole photo. */
export function edgeFor(width: number, height: number): number {
  return Math.max(1, Math.round(Math.max(width, height) / 700));
}

/** Near the box's side, beyond which there is no mask, but the photo may end. */
function isBorder(
  bits: Uint8Array,
  wide: number,
  high: number,
  x: number,
  y: number,
  edge: number,
): boolean {
  const at = (column: number, row: number) =>
    column >= 0 && column < wide && row >= 0 && row < high && bits[row * wide + column] === 1;
  return !at(x - edge, y) || !at(x + edge, y) || !at(x, y - edge) || !at(x, y + edge);
}

function packed([red, green, blue]: Rgb, alpha: number): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
