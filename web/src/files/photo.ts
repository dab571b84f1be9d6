// A photo from a file or an address to pixels, or a sentence about why not.

export interface Photo {
  readonly name: string;
  readonly bitmap: ImageBitmap;
  readonly pixels: ImageData;
}

const MOST_PIXELS = 60_000_000;
const MOST_BYTES = 100 * 2 ** 20;
const MOST_SIDE = 16_384;

/** Decodes a photo, turned upright, its colours as they stand in the file. */
export async function decodePhoto(blob: Blob, name: string): Promise<Photo> {
  if (blob.size > MOST_BYTES) {
    throw new Error(
      `${name} has ${Math.round(blob.size / 2 ** 20)} MiB, more than the 100 MiB this page opens`,
    );
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Error(`${name} cannot be read: it is damaged, or no photo this browser knows`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS || Math.max(width, height) > MOST_SIDE) {
    bitmap.close();
    throw new Error(
      `${name} is ${width} × ${height}, more than the 60 megapixels this page opens: scale it down`,
    );
  }
  return { name, bitmap, pixels: pixelsOf(bitmap) };
}

function pixelsOf(bitmap: ImageBitmap): ImageData {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no canvas to draw a photo on");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** What the browser lacks, as a sentence; empty where nothing is missing. */
export function missingInBrowser(): string {
  const needed: [string, boolean][] = [
    ["WebAssembly", typeof WebAssembly === "object"],
    ["web workers", typeof Worker === "function"],
    ["OffscreenCanvas", typeof OffscreenCanvas === "function"],
    ["DecompressionStream", typeof DecompressionStream === "function"],
  ];
  const lacking = needed.filter(([, there]) => !there).map(([name]) => name);
  if (!lacking.length) return "";
  return `This browser has no ${lacking.join(" and no ")}: a current Chrome, Edge, Firefox or Safari will do.`;
}
