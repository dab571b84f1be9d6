// "Everything": all masks of the photo, with two sliders for what is shown.
import { everything, type GridMask, type Lowest } from "../edit/everything";
import { newId, type MaskObject } from "../edit/state";
import { decode } from "../masks/rle";
import { reasonOf } from "../server";
import type { Workspace } from "../workspace";
import { byId, el, percent } from "./dom";
import { busy, failed, messageOf } from "./notices";

interface Sa1b {
  annotations: {
    segmentation: { size: [number, number]; counts: string };
    predicted_iou: number;
    stability_score: number;
  }[];
}

export class EverythingPanel {
  private found: GridMask[] = [];
  private shown: MaskObject[] = [];
  private minIou: number;
  private minStability: number;
  /** How far down the sliders reach: masks below are not kept at all. */
  private readonly lowest: Lowest;
  private runs = 0;

  constructor(
    private readonly workspace: Workspace,
    recommended: { predictedIou: number; stability: number },
  ) {
    this.minIou = recommended.predictedIou;
    this.minStability = recommended.stability;
    this.lowest = {
      predictedIou: Math.max(0, Math.min(0.5, recommended.predictedIou - 0.2)),
      stability: Math.max(0, Math.min(0.6, recommended.stability - 0.2)),
    };
    this.draw();
  }

  /** Another photo: nothing is found yet. */
  reset(): void {
    this.runs++;
    this.found = [];
    this.shown = [];
    busy("");
    this.draw();
  }

  /** Finds all masks: asks the server where it offers that, else a grid in the browser. */
  async run(address?: string): Promise<void> {
    const { prompter, model } = this.workspace;
    if (!prompter) return;
    if (this.found.length) return this.clear();
    const run = ++this.runs;
    const stopped = () => run !== this.runs;
    busy("Finding all masks", 0);
    try {
      const found = address
        ? await this.fromServer(address)
        : await everything(model, prompter, this.lowest, (share) => busy("Finding all masks", share), stopped);
      if (stopped()) return;
      this.found = found;
      if (!found.length) failed("No masks were found on this photo.");
    } catch (error) {
      failed(`Not all masks could be found: ${messageOf(error)}`);
    } finally {
      if (!stopped()) busy("");
    }
    this.draw();
    this.show();
  }

  private async fromServer(address: string): Promise<GridMask[]> {
    const response = await fetch(address);
    if (!response.ok) throw new Error(await reasonOf(response));
    const { annotations } = (await response.json()) as Sa1b;
    return annotations.map(({ segmentation, predicted_iou, stability_score }) => ({
      mask: decode(segmentation.counts, segmentation.size[1], segmentation.size[0]),
      predictedIou: predicted_iou,
      stability: stability_score,
    }));
  }

  private clear(): void {
    this.found = [];
    this.show();
    this.draw();
  }

  private show(): void {
    this.shown = this.found
      .filter((one) => one.predictedIou >= this.minIou && one.stability >= this.minStability)
      .map((one, place) => ({
        id: newId(),
        mask: one.mask,
        predictedIou: one.predictedIou,
        stability: one.stability,
        prompt: null,
        label: "",
        colour: this.workspace.colourAhead(place),
        hidden: false,
        draft: null,
        origin: "grid",
        verdict: null,
        changed: false,
      }));
    const { objects } = this.workspace.history.state;
    this.workspace.stage.showObjects([...objects, ...this.shown]);
    const count = byId("everything-panel").querySelector(".count");
    if (count) count.textContent = `${this.shown.length} of ${this.found.length} masks`;
  }

  private keep(): void {
    const kept = this.shown.map((object) => ({ ...object, colour: this.workspace.takeColour() }));
    this.found = [];
    this.draw();
    this.workspace.addObjects(kept);
  }

  private draw(): void {
    const target = byId("everything-panel");
    target.replaceChildren(el("h2", {}, "Everything"));
    const find = el(
      "button",
      { class: "button grow", "aria-keyshortcuts": "G", click: () => this.onRun() },
      this.found.length ? "Hide" : "Find all masks",
      el("kbd", {}, "G"),
    );
    if (!this.found.length) {
      target.append(el("div", { class: "row" }, find));
      return;
    }
    target.append(
      el("p", { class: "quiet count", role: "status" }, ""),
      this.slider("Predicted IoU", this.lowest.predictedIou, this.minIou, (value) => (this.minIou = value)),
      this.slider("Stability", this.lowest.stability, this.minStability, (value) => (this.minStability = value)),
      el(
        "div",
        { class: "row" },
        el("button", { class: "button primary grow", click: () => this.keep() }, "Keep these"),
        find,
      ),
    );
  }

  /** The page decides which address is asked. */
  onRun: () => void = () => void this.run();

  private slider(name: string, min: number, value: number, set: (value: number) => void): HTMLElement {
    const shown = el("output", {}, percent(value));
    const input = el("input", { type: "range", min, max: 1, step: 0.01, value, "aria-label": `Lowest ${name}` });
    input.addEventListener("input", () => {
      set(input.valueAsNumber);
      shown.textContent = percent(input.valueAsNumber);
      this.show();
    });
    return el("label", { class: "slider" }, el("span", {}, name, shown), input);
  }
}
