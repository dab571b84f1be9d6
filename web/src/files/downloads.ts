// What leaves the page: cut-outs as PNG with alpha, masks as SA-1B or COCO JSON.
import type { MaskObject } from "../edit/state";
import { area, type Mask } from "../masks/mask";
import { encode } from "../masks/rle";
import type { Photo } from "./photo";

/** The photo's pixels inside a mask, the rest transparent, cut to the mask's box. */
export async function cutOut(photo: Photo, mask: Mask): Promise<Blob> {
  const picture = new ImageData(mask.boxWidth, mask.boxHeight);
  const { data } = photo.pixels;
  for (let y = 0; y < mask.boxHeight; y++) {
    for (let x = 0; x < mask.boxWidth; x++) {
      const at = y * mask.boxWidth + x;
      if (!mask.bits[at]) continue;
      const from = ((y + mask.top) * mask.width + x + mask.left) * 4;
      picture.data.set(data.subarray(from, from + 4), at * 4);
    }
  }
  const canvas = new OffscreenCanvas(mask.boxWidth, mask.boxHeight);
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

export type JsonFormat = "sa1b" | "coco";

export function asJson(format: JsonFormat, photo: Photo, objects: readonly MaskObject[]): string {
  const image = { width: photo.bitmap.width, height: photo.bitmap.height, file_name: photo.name };
  return JSON.stringify(format === "sa1b" ? sa1b(image, objects) : coco(image, objects));
}

interface Image {
  width: number;
  height: number;
  file_name: string;
}

function sa1b(image: Image, objects: readonly MaskObject[]): unknown {
  return {
    image: { image_id: 1, ...image },
    annotations: objects.map((object, place) => ({
      id: place + 1,
      ...shape(object.mask),
      predicted_iou: object.predictedIou,
      stability_score: object.stability,
      crop_box: [0, 0, image.width, image.height],
      point_coords: positivePoints(object),
    })),
  };
}

function coco(image: Image, objects: readonly MaskObject[]): unknown {
  const labels = [...new Set(objects.map((object) => object.label || "object"))].sort();
  return {
    images: [{ id: 1, ...image }],
    categories: labels.map((name, place) => ({ id: place + 1, name })),
    annotations: objects.map((object, place) => ({
      id: place + 1,
      image_id: 1,
      category_id: labels.indexOf(object.label || "object") + 1,
      iscrowd: 0,
      ...shape(object.mask),
    })),
  };
}

function shape(mask: Mask) {
  return {
    segmentation: { size: [mask.height, mask.width], counts: encode(mask) },
    bbox: [mask.left, mask.top, mask.boxWidth, mask.boxHeight],
    area: area(mask),
  };
}

function positivePoints(object: MaskObject): number[][] {
  return (object.prompt?.points ?? []).filter(([, , label]) => label).map(([x, y]) => [x, y]);
}

/** Hands a file to the user. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
