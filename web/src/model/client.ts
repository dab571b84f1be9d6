// The page's side of the worker: every request is a promise.
import type { Answer, Earlier, Kind, ModelFacts, Opened, Prompt, Reply, Requests } from "./protocol";
import type { Geometry } from "./geometry";
import type { Wanted } from "./runtime";

interface Waiting {
  resolve: (gives: never) => void;
  reject: (error: Error) => void;
}

export class Model {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  /** Called while the model is being loaded, with bytes and all bytes. */
  onProgress: (bytes: number, of: number) => void = () => undefined;

  constructor() {
    this.worker.onmessage = (event: MessageEvent<Reply>) => this.take(event.data);
    this.worker.onerror = (event) => this.failAll(event.message || "the model's worker broke");
  }

  load(model: string, runtime: string, wanted: Wanted): Promise<ModelFacts> {
    return this.request("load", { model, runtime, threads: usableThreads(), wanted });
  }

  encode(image: ImageData): Promise<Opened> {
    const { data: rgba, width, height } = image;
    return this.request("encode", { rgba: rgba as Uint8ClampedArray, width, height });
  }

  takeFeatures(features: Float32Array, geometry: Geometry): Promise<Opened> {
    return this.request("features", { features, geometry }, [features.buffer]);
  }

  ask(prompt: Prompt, earlier: Earlier | null = null): Promise<Answer> {
    return this.request("ask", { prompt, earlier });
  }

  private request<K extends Kind>(
    kind: K,
    args: Requests[K]["args"],
    transfer: Transferable[] = [],
  ): Promise<Requests[K]["gives"]> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, kind, args }, transfer);
    });
  }

  private take(reply: Reply): void {
    if ("progress" in reply) {
      this.onProgress(reply.progress, reply.of);
      return;
    }
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ("failed" in reply) waiting?.reject(new Error(reply.failed));
    else waiting?.resolve(reply.gives as never);
  }

  private failAll(message: string): void {
    for (const waiting of this.waiting.values()) waiting.reject(new Error(message));
    this.waiting.clear();
  }
}

/** Threads need shared memory, which browsers give to isolated pages only. */
function usableThreads(): number {
  return globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 4) : 1;
}
