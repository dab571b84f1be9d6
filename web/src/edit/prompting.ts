// From clicks to masks: what is asked, what is fed back, which of three masks is taken.
import { Upsampler } from "../masks/upsample";
import { inBox, type Mask } from "../masks/mask";
import type { Model } from "../model/client";
import { logitsSide, scaledSize, type Geometry } from "../model/geometry";
import type { Answer, Earlier, Prompt } from "../model/protocol";
import { newId, type Candidate, type Draft } from "./state";

// Longest side of the copy that the mask under the pointer is painted on.
const PREVIEW_SIDE = 900;
// Logits of a mask that no model gave, inside and outside.
const SURE = 8;

export interface Preview {
  readonly mask: Mask;
  readonly predictedIou: number;
}

/** Asks the model about one photo. */
export class Prompter {
  private readonly full: Upsampler;
  private readonly small: Upsampler;
  private readonly side: number;
  readonly previewSize: { width: number; height: number };

  constructor(
    private readonly model: Model,
    readonly geometry: Geometry,
  ) {
    const scale = Math.min(1, PREVIEW_SIDE / Math.max(geometry.width, geometry.height));
    this.previewSize = {
      width: Math.max(1, Math.round(geometry.width * scale)),
      height: Math.max(1, Math.round(geometry.height * scale)),
    };
    this.full = new Upsampler(geometry);
    this.small = new Upsampler(geometry, this.previewSize);
    this.side = logitsSide(geometry);
  }

  /** The mask that a click here would give, on a small copy. */
  async preview(prompt: Prompt): Promise<Preview> {
    const answer = await this.model.ask(prompt);
    const best = prompt.box ? 0 : bestOfThree(answer);
    return {
      mask: this.small.mask(answer.logits, best * this.side * this.side),
      predictedIou: answer.predictedIou[best],
    };
  }

  /** A draft with one more prompt, and the model's masks for all of them. */
  async refine(draft: Draft, prompt: Prompt): Promise<Draft> {
    const earlier = this.earlierOf(draft);
    const answer = await this.model.ask(prompt, earlier);
    const places = earlier || prompt.box ? [0] : [1, 2, 3];
    const candidates = places.map((place) => this.candidate(answer, place));
    candidates.sort((one, other) => other.mask.bits.length - one.mask.bits.length);
    const scores = candidates.map((candidate) => candidate.predictedIou);
    const chosen = scores.indexOf(Math.max(...scores));
    return { ...draft, prompt, candidates, chosen, answerId: newId() };
  }

  /** All masks of an answer whose predicted IoU reaches a limit. */
  masksOf(answer: Answer, minPredictedIou: number): Candidate[] {
    return [1, 2, 3]
      .filter((place) => answer.predictedIou[place] >= minPredictedIou)
      .map((place) => this.candidate(answer, place))
      .filter((candidate) => candidate.mask.bits.length > 0);
  }

  private earlierOf(draft: Draft): Earlier | null {
    const current = draft.candidates[draft.chosen];
    if (current) {
      return { key: `${draft.answerId}-${draft.chosen}`, logits: current.logits };
    }
    if (!draft.base) return null;
    return { key: `${draft.id}-base`, logits: this.logitsOf(draft.base) };
  }

  private candidate(answer: Answer, place: number): Candidate {
    const size = this.side * this.side;
    const logits = answer.logits.slice(place * size, (place + 1) * size);
    return {
      mask: this.full.mask(logits),
      logits,
      predictedIou: answer.predictedIou[place],
      stability: this.full.stability(logits),
    };
  }

  /** Logits for a mask that has none: how much of each cell it covers. */
  private logitsOf(mask: Mask): Float32Array {
    const logits = new Float32Array(this.side * this.side).fill(-SURE);
    const scaled = scaledSize(this.geometry);
    const stepX = (this.geometry.width / scaled.width) * 4;
    const stepY = (this.geometry.height / scaled.height) * 4;
    const { bits } = inBox(mask, 0, 0, mask.width, mask.height);
    for (let y = 0; y < Math.ceil(scaled.height / 4); y++) {
      for (let x = 0; x < Math.ceil(scaled.width / 4); x++) {
        const column = Math.min(mask.width - 1, Math.floor((x + 0.5) * stepX));
        const row = Math.min(mask.height - 1, Math.floor((y + 0.5) * stepY));
        if (bits[row * mask.width + column]) logits[y * this.side + x] = SURE;
      }
    }
    return logits;
  }
}

function bestOfThree(answer: Answer): number {
  let best = 1;
  for (const place of [2, 3]) {
    if (answer.predictedIou[place] > answer.predictedIou[best]) best = place;
  }
  return best;
}

/** Runs the newest of many requests: those that came while one ran are forgotten but the last. */
export class Latest<T> {
  private running = false;
  private waiting: T | null = null;

  constructor(private readonly work: (request: T) => Promise<void>) {}

  ask(request: T): void {
    this.waiting = request;
    if (!this.running) void this.run();
  }

  forget(): void {
    this.waiting = null;
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      for (let next = this.waiting; next !== null; next = this.waiting) {
        this.waiting = null;
        await this.work(next);
      }
    } finally {
      this.running = false;
    }
  }
}
