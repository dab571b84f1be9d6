// The model lives in a worker of its own, so that the page never waits for it.
import { Network } from "./network";
import type { Kind, Reply, Request, Requests } from "./protocol";

let network: Network | null = null;
// One request at a time, in the order they came.
let last: Promise<unknown> = Promise.resolve();

self.onmessage = (event: MessageEvent<Request>) => {
  last = last.then(() => answer(event.data));
};

async function answer(request: Request): Promise<void> {
  try {
    const gives = await run(request.kind, request.args);
    const transfer = request.kind === "ask" ? [(gives as { logits: Float32Array }).logits.buffer] : [];
    post({ id: request.id, gives }, transfer as Transferable[]);
  } catch (error) {
    post({ id: request.id, failed: error instanceof Error ? error.message : String(error) });
  }
}

async function run(kind: Kind, args: Requests[Kind]["args"]): Promise<unknown> {
  if (kind === "load") {
    const { model, runtime, threads, wanted } = args as Requests["load"]["args"];
    const told = (progress: number, of: number) => post({ progress, of });
    network = await Network.load(model, runtime, threads, wanted, told);
    return network.facts;
  }
  if (!network) throw new Error("the model is not loaded");
  const started = performance.now();
  if (kind === "encode") {
    const { rgba, width, height } = args as Requests["encode"]["args"];
    const geometry = await network.encode(rgba, width, height);
    return { geometry, milliseconds: performance.now() - started };
  }
  if (kind === "features") {
    const { features, geometry } = args as Requests["features"]["args"];
    await network.take(features, geometry);
    return { geometry, milliseconds: performance.now() - started };
  }
  const { prompt, earlier } = args as Requests["ask"]["args"];
  return network.ask(prompt, earlier);
}

function post(reply: Reply, transfer: Transferable[] = []): void {
  (self as unknown as Worker).postMessage(reply, transfer);
}
