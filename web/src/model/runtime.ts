// What computes: the graphics card (WebGPU) where the browser offers one, else the processor
// (WebAssembly). Only the build that is used is loaded; nothing comes from elsewhere.
import type * as Ort from "onnxruntime-web";
import { download, unpacked } from "./download";

export type Compute = "webgpu" | "wasm";
export type Wanted = Compute | "auto";

export interface Choice {
  readonly compute: Compute;
  /** Why the processor computes, as a sentence; empty where nobody has to be told. */
  readonly why: string;
}

/** What this file has to know of WebGPU, of which TypeScript's own types say nothing. */
interface Gpu {
  requestAdapter(): Promise<Adapter | null>;
}

interface Adapter {
  readonly info?: { readonly isFallbackAdapter?: boolean };
  requestDevice(): Promise<{ destroy(): void }>;
}

const VERSION = "1.30.0";
const BUILDS: Record<Compute, string> = {
  wasm: "ort-wasm-simd-threaded",
  webgpu: "ort-wasm-simd-threaded.jspi",
};

/** The graphics card if there is one and it was not refused, else the processor. */
export async function choose(wanted: Wanted): Promise<Choice> {
  if (wanted === "wasm") return { compute: "wasm", why: "" };
  const why = await whyNotWebGpu(wanted === "webgpu");
  return { compute: why ? "wasm" : "webgpu", why };
}

/** Loads the build for it, with its own files. */
export async function loadRuntime(
  folder: string,
  compute: Compute,
  threads: number,
): Promise<typeof Ort> {
  const ort = await (compute === "webgpu"
    ? import("onnxruntime-web/jspi")
    : import("onnxruntime-web"));
  const build = `${folder}${BUILDS[compute]}`;
  const packed = await download(`${build}.wasm.gz`, VERSION, () => undefined);
  ort.env.wasm.wasmBinary = await unpacked(packed);
  ort.env.wasm.wasmPaths = { mjs: new URL(`${build}.mjs`, self.location.href).href };
  ort.env.wasm.numThreads = threads;
  return ort;
}

/** A sentence, or nothing where WebGPU can be used; `asked` takes an imitated one too. */
async function whyNotWebGpu(asked: boolean): Promise<string> {
  const gpu = (navigator as { gpu?: Gpu }).gpu;
  if (!gpu) return "This browser has no WebGPU.";
  if (!("Suspending" in WebAssembly)) return "This browser's WebAssembly cannot wait for WebGPU.";
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return "WebGPU finds no graphics card here.";
  if (adapter.info?.isFallbackAdapter && !asked) {
    return "The graphics card here is imitated by the processor.";
  }
  // One that gives no device would be found out only after the download.
  const device = await adapter.requestDevice().catch(() => null);
  device?.destroy();
  return device ? "" : "The graphics card here is not free for this page.";
}
