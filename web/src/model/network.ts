// The network's three graphs in onnxruntime-web: encoder and image part once a photo, prompt part
// once a movement of the pointer.
import type * as Ort from "onnxruntime-web";
import { download, type Progress } from "./download";
import { scaledSize, toInput, type Geometry } from "./geometry";
import type { Answer, Earlier, ModelFacts, Prompt } from "./protocol";
import { resize } from "./resize";
import { choose, loadRuntime, type Choice, type Compute, type Wanted } from "./runtime";

interface Description {
  model_id: string;
  architecture: string;
  input_size: number;
  pixel_mean: number[];
  pixel_std: number[];
  shared: string[];
  thresholds: { predicted_iou: number; stability: number } | null;
  files: Record<string, { name: string; bytes: number; blake2b: string }>;
}

type Shared = Record<string, Ort.Tensor>;

/** The runtime with the graphs that it compiled, by part. */
interface Compiled {
  readonly ort: typeof Ort;
  readonly sessions: ReadonlyMap<string, Ort.InferenceSession>;
}

// A prompt's positions among the labels of the graph.
const FIRST_CORNER = 2;
const SECOND_CORNER = 3;
const NO_POINT = -1;

export class Network {
  private geometry: Geometry | null = null;
  private features: Ort.Tensor | null = null;
  private plain: Shared | null = null;
  private fed: { key: string; shared: Shared } | null = null;

  private constructor(
    private readonly described: Description,
    private readonly choice: Choice,
    private readonly compiled: Compiled,
  ) {}

  static async load(
    model: string,
    runtimeFolder: string,
    threads: number,
    wanted: Wanted,
    told: (bytes: number, of: number) => void,
  ): Promise<Network> {
    const described = (await (await fetch(`${model}model.json`)).json()) as Description;
    const parts = ["prompt", "image", "encoder"].filter((part) => pick(described, part));
    const total = parts.reduce((sum, part) => sum + pick(described, part).bytes, 0);
    let done = 0;
    const progress: Progress = (bytes) => told((done += bytes), total);
    const graphs = new Map<string, Uint8Array>();
    for (const part of parts) {
      const file = pick(described, part);
      graphs.set(part, await download(`${model}${file.name}`, file.blake2b, progress));
    }
    const on = async (compute: Compute) =>
      compile(await loadRuntime(runtimeFolder, compute, threads), compute, graphs);
    const choice = await choose(wanted);
    try {
      return new Network(described, choice, await on(choice.compute));
    } catch (error) {
      if (choice.compute === "wasm") throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const why = `The graphics card did not take the model: ${reason}`;
      return new Network(described, { compute: "wasm", why }, await on("wasm"));
    }
  }

  get facts(): ModelFacts {
    return {
      modelId: this.described.model_id,
      architecture: this.described.architecture,
      inputSize: this.described.input_size,
      encodes: this.compiled.sessions.has("encoder"),
      threads: this.compiled.ort.env.wasm.numThreads ?? 1,
      ...this.choice,
      predictedIou: this.described.thresholds?.predicted_iou ?? 0.88,
      stability: this.described.thresholds?.stability ?? 0.95,
    };
  }

  /** Runs the image encoder on a photo. */
  async encode(rgba: Uint8ClampedArray, width: number, height: number): Promise<Geometry> {
    const geometry = { width, height, inputSize: this.described.input_size };
    const pixels = this.pixels(rgba, geometry);
    const { features } = await this.run("encoder", { pixels });
    return this.open(features, geometry);
  }

  /** Takes features that a server made. */
  async take(features: Float32Array, geometry: Geometry): Promise<Geometry> {
    const side = this.described.input_size / 16;
    return this.open(this.tensor(features, [1, 256, side, side]), geometry);
  }

  /** Answers a prompt about the photo that is open. */
  async ask(prompt: Prompt, earlier: Earlier | null): Promise<Answer> {
    const started = performance.now();
    const shared = await this.sharedFor(earlier);
    const [points, labels] = this.tokens(prompt);
    const inputs = {
      points_xy: this.tensor(points, [1, labels.length, 2]),
      point_labels: this.tensor(labels, [1, labels.length]),
    };
    const { logits, predicted_iou } = await this.run("prompt", { ...inputs, ...shared });
    return {
      logits: logits.data as Float32Array,
      predictedIou: predicted_iou.data as Float32Array,
      milliseconds: performance.now() - started,
    };
  }

  private async open(features: Ort.Tensor, geometry: Geometry): Promise<Geometry> {
    release(this.features ? { features: this.features } : null);
    release(this.plain);
    release(this.fed?.shared ?? null);
    this.geometry = geometry;
    this.features = features;
    this.fed = null;
    this.plain = await this.share(null);
    return geometry;
  }

  private async sharedFor(earlier: Earlier | null): Promise<Shared> {
    if (!this.plain) throw new Error("no photo is open");
    if (!earlier) return this.plain;
    if (this.fed?.key !== earlier.key) {
      release(this.fed?.shared ?? null);
      this.fed = { key: earlier.key, shared: await this.share(earlier.logits) };
    }
    return this.fed.shared;
  }

  private async share(logits: Float32Array | null): Promise<Shared> {
    const side = this.described.input_size / 4;
    const earlier = logits ?? new Float32Array(side * side);
    return this.run("image", {
      features: this.features as Ort.Tensor,
      mask_logits: this.tensor(earlier, [1, 1, side, side]),
      has_mask: this.tensor(Float32Array.of(logits ? 1 : 0), [1]),
    });
  }

  private tokens(prompt: Prompt): [Float32Array, Float32Array] {
    const geometry = this.geometry as Geometry;
    const tokens = prompt.points.map(([x, y, label]) => [...toInput(geometry, x, y), label]);
    if (prompt.box) {
      const [left, top, right, bottom] = prompt.box;
      tokens.push([...toInput(geometry, left, top), FIRST_CORNER]);
      tokens.push([...toInput(geometry, right, bottom), SECOND_CORNER]);
    } else {
      tokens.push([0, 0, NO_POINT]);
    }
    const xy = Float32Array.from(tokens.flatMap(([x, y]) => [x, y]));
    return [xy, Float32Array.from(tokens.map(([, , label]) => label))];
  }

  /** Resized, normalised, padded with zeros at the right and the bottom. */
  private pixels(rgba: Uint8ClampedArray, geometry: Geometry): Ort.Tensor {
    const scaled = scaledSize(geometry);
    const rgb = resize(rgba, geometry, scaled);
    const side = geometry.inputSize;
    const out = new Float32Array(3 * side * side);
    for (let channel = 0; channel < 3; channel++) {
      const normal = this.normalised(channel);
      for (let y = 0; y < scaled.height; y++) {
        const to = channel * side * side + y * side;
        let from = y * scaled.width * 3 + channel;
        for (let x = 0; x < scaled.width; x++, from += 3) out[to + x] = normal[rgb[from]];
      }
    }
    return this.tensor(out, [1, 3, side, side]);
  }

  /** What each value of a channel becomes. */
  private normalised(channel: number): Float32Array {
    const { pixel_mean: mean, pixel_std: std } = this.described;
    return Float32Array.from({ length: 256 }, (_, value) => (value - mean[channel]) / std[channel]);
  }

  private tensor(values: Float32Array, dims: number[]): Ort.Tensor {
    return new this.compiled.ort.Tensor("float32", values, dims);
  }

  private async run(part: string, inputs: Shared): Promise<Shared> {
    const session = this.compiled.sessions.get(part);
    if (!session) throw new Error(`this model has no ${part} for the browser`);
    return (await session.run(inputs)) as Shared;
  }
}

function pick(described: Description, part: string) {
  return described.files[`${part}.half`] ?? described.files[part];
}

/** What passes from one graph to the next stays on the graphics card. */
async function compile(
  ort: typeof Ort,
  compute: Compute,
  graphs: ReadonlyMap<string, Uint8Array>,
): Promise<Compiled> {
  const sessions = new Map<string, Ort.InferenceSession>();
  for (const [part, bytes] of graphs) {
    const stays = compute === "webgpu" && part !== "prompt";
    const options = stays ? { preferredOutputLocation: "gpu-buffer" as const } : {};
    const providers = { executionProviders: [compute] };
    sessions.set(part, await ort.InferenceSession.create(bytes, { ...providers, ...options }));
  }
  return { ort, sessions };
}

/** Memory of a graphics card is given back by hand. */
function release(tensors: Shared | null): void {
  for (const tensor of Object.values(tensors ?? {})) {
    if (tensor.location === "gpu-buffer") tensor.dispose();
  }
}
