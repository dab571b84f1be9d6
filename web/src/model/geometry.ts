// Where a pixel of the photo lies in the network's input, and the way back; as `model.geometry`.

export const LOGITS_STRIDE = 4;

export interface Geometry {
  readonly width: number;
  readonly height: number;
  readonly inputSize: number;
}

/** Size in pixels of the photo inside the padded input: sides round half up, 1 at least. */
export function scaledSize(geometry: Geometry): { width: number; height: number } {
  const scale = geometry.inputSize / Math.max(geometry.width, geometry.height);
  const scaled = (side: number) => Math.max(1, Math.floor(side * scale + 0.5));
  return { width: scaled(geometry.width), height: scaled(geometry.height) };
}

/** Coordinates of the photo as coordinates of the padded input. */
export function toInput(geometry: Geometry, x: number, y: number): [number, number] {
  const scaled = scaledSize(geometry);
  return [(x * scaled.width) / geometry.width, (y * scaled.height) / geometry.height];
}

/** Side of the square of low-resolution logits. */
export function logitsSide(geometry: Geometry): number {
  return geometry.inputSize / LOGITS_STRIDE;
}
