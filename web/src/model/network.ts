// The network's three graphs in onnxruntime-web: encoder and image part once a photo, prompt part
// once a movement of the pointer.
import * as ort from "onnxruntime-web";
import { download, unpacked, type Progress } from "./download";
import { logitsSide, scaledSize, toInput, type Geometry } from "./geometry";
import type { Answer, Earlier, ModelFacts, Prompt } from "./protocol";
import { resize } from "./resize";

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

type Shared = Record<string, ort.Tensor>;

const WASM = "ort-wasm-simd-threaded";
// A prompt's positions among the labels of the graph.
const FIRST_CORNER = 2;
const SECOND_CORNER = 3;
const NO_POINT = -1;

/** Feeds the runtime its own files; nothing comes from elsewhere. */
async function prepareRuntime(folder: string, threads: number, progress: Progress): Promise<void> {
  const packed = await download(`${folder}${WASM}.wasm.gz`, "1.30.0", progress);
  ort.env.wasm.wasmBinary = await unpacked(packed);
  ort.env.wasm.wasmPaths = { mjs: new URL(`${folder}${WASM}.mjs`, self.location.href).href };
  ort.env.wasm.numThreads = threads;
}

export class Network {
  private geometry: Geometry | null = null;
  private features: ort.Tensor | null = null;
  private plain: Shared | null = null;
  private fed: { key: string; shared: Shared } | null = null;

  private constructor(
    private readonly described: Description,
    private readonly sessions: Map<string, ort.InferenceSession>,
  ) {}

  static async load(
    model: string,
    runtime: string,
    threads: number,
    told: (bytes: number, of: number) => void,
  ): Promise<Network> {
    const described = (await (await fetch(`${model}model.json`)).json()) as Description;
    const parts = ["prompt", "image", "encoder"].filter((part) => pick(described, part));
    const total = parts.reduce((sum, part) => sum + pick(described, part).bytes, 0);
    let done = 0;
    const progress = (bytes: number) => told((done += bytes), total);
    await prepareRuntime(runtime, threads, () => undefined);
    const sessions = new Map<string, ort.InferenceSession>();
    for (const part of parts) {
      const file = pick(described, part);
      const bytes = await download(`${model}${file.name}`, file.blake2b, progress);
      sessions.set(part, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }));
    }
    return new Network(described, sessions);
  }

  get facts(): ModelFacts {
    return {
      modelId: this.described.model_id,
      architecture: this.described.architecture,
      inputSize: this.described.input_size,
      encodes: this.sessions.has("encoder"),
      threads: ort.env.wasm.numThreads ?? 1,
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
    return this.open(new ort.Tensor("float32", features, [1, 256, side, side]), geometry);
  }

  /** Answers a prompt about the photo that is open. */
  async ask(prompt: Prompt, earlier: Earlier | null): Promise<Answer> {
    const started = performance.now();
    const shared = await this.sharedFor(earlier);
    const [points, labels] = this.tokens(prompt);
    const inputs = {
      points_xy: new ort.Tensor("float32", points, [1, labels.length, 2]),
      point_labels: new ort.Tensor("float32", labels, [1, labels.length]),
    };
    const { logits, predicted_iou } = await this.run("prompt", { ...inputs, ...shared });
    return {
      logits: logits.data as Float32Array,
      predictedIou: predicted_iou.data as Float32Array,
      milliseconds: performance.now() - started,
    };
  }

  private async open(features: ort.Tensor, geometry: Geometry): Promise<Geometry> {
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
      this.fed = { key: earlier.key, shared: await this.share(earlier.logits) };
    }
    return this.fed.shared;
  }

  private async share(logits: Float32Array | null): Promise<Shared> {
    const side = this.described.input_size / 4;
    const earlier = logits ?? new Float32Array(side * side);
    return this.run("image", {
      features: this.features as ort.Tensor,
      mask_logits: new ort.Tensor("float32", earlier, [1, 1, side, side]),
      has_mask: new ort.Tensor("float32", [logits ? 1 : 0], [1]),
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
  private pixels(rgba: Uint8ClampedArray, geometry: Geometry): ort.Tensor {
    const scaled = scaledSize(geometry);
    const rgb = resize(rgba, geometry, scaled);
    const side = geometry.inputSize;
    const out = new Float32Array(3 * side * side);
    for (let channel = 0; channel < 3; channel++) {
      const mean = this.described.pixel_mean[channel];
      const std = this.described.pixel_std[channel];
      for (let y = 0; y < scaled.height; y++) {
        const to = channel * side * side + y * side;
        const from = y * scaled.width;
        for (let x = 0; x < scaled.width; x++) {
          out[to + x] = (rgb[(from + x) * 3 + channel] - mean) / std;
        }
      }
    }
    return new ort.Tensor("float32", out, [1, 3, side, side]);
  }

  private async run(part: string, inputs: Shared): Promise<Shared> {
    const session = this.sessions.get(part);
    if (!session) throw new Error(`this model has no ${part} for the browser`);
    return (await session.run(inputs)) as Shared;
  }
}

function pick(described: Description, part: string) {
  return described.files[`${part}.half`] ?? described.files[part];
}

export { logitsSide };
