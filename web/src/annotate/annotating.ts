// Annotating: photo after photo from the server's queue, saved while people work.
import type { Draft, MaskObject } from "../edit/state";
import type { ModelFacts } from "../model/protocol";
import type { PhotoEntry, Settings } from "../server";
import { byId, el } from "../ui/dom";
import type { Action } from "../ui/keyboard";
import { busy, failed, messageOf, progressText, settled, tip } from "../ui/notices";
import type { Workspace } from "../workspace";
import { Ahead } from "./ahead";
import { Clock } from "./clock";
import { Looked } from "./looked";
import { askNext, Saving } from "./saving";
import { objectsOf, wireMasks, type Next, type WireClick, type WireWork } from "./wire";
import { askName } from "./who";

export class Annotating {
  private annotator = "";
  private entry: PhotoEntry | null = null;
  private clicks: WireClick[] = [];
  private opened: number[] = [];
  private done: WireWork["done"] = null;
  private ended: number | null = null;
  private exhaustive = false;
  private current: string | null = null;
  private warned = false;
  private readonly clock = new Clock();
  private readonly looked = new Looked(this.clock);
  private readonly ahead = new Ahead();
  private readonly saving: Saving;

  constructor(
    private readonly workspace: Workspace,
    private readonly settings: Settings,
    private readonly facts: ModelFacts,
  ) {
    this.saving = new Saving(
      () => this.work(),
      (state, why) => this.showSaved(state, why),
    );
    workspace.onAnswer = (draft, milliseconds) => this.note(draft, milliseconds);
    workspace.history.listen(() => this.changed());
    setInterval(() => this.hint(), 1000);
  }

  actions(): Action[] {
    const given = this.settings.queue?.kind !== "assisted_manual";
    const judging: Action[] = [
      { keys: ["y"], shown: "Y N", says: "Accept or reject the current mask", run: () => this.judge("accept") },
      { keys: ["n"], shown: "", says: "", run: () => this.judge("reject") },
      { keys: ["."], shown: ", .", says: "Mask before, next mask", run: () => this.step(1) },
      { keys: [","], shown: "", says: "", run: () => this.step(-1) },
      { keys: ["f"], shown: "F", says: "Correct the current mask", run: () => this.current && this.workspace.edit(this.current) },
    ];
    return [
      ...(given ? judging : []),
      { keys: ["d"], shown: "D", says: "Every object has its mask, or not", run: () => this.toggleExhaustive() },
      { keys: ["p"], shown: "P", says: "Photo done: to the next one", run: () => void this.finish("complete") },
      { keys: ["s"], shown: "S", says: "Skip the photo", run: () => void this.finish("skip") },
    ];
  }

  async begin(): Promise<void> {
    this.annotator = await askName(this.settings.queue?.instructions ?? "");
    await this.next();
  }

  private async next(): Promise<void> {
    this.entry = null;
    this.saving.forget();
    busy("Next photo");
    try {
      const next = await askNext(this.annotator, (why) => (why ? failed(why) : settled()));
      await this.open(next);
      this.ahead.fetch(next.ahead ?? []);
    } catch (error) {
      failed(messageOf(error));
    } finally {
      busy("");
    }
  }

  private async open(next: Next): Promise<void> {
    const { mine, finished, total } = next.progress;
    progressText(`${finished} of ${total} photos done · ${mine} by you`);
    if (!next.photo) {
      byId("photo-name").textContent = "";
      delete document.body.dataset.photo;
      this.drawQueue();
      tip(total === finished ? "All photos are done. Thank you." : "Nothing left for you. Thank you.");
      return;
    }
    const work = next.work;
    try {
      const { photo, features } = await this.ahead.take(next.photo);
      const geometry = {
        width: photo.bitmap.width,
        height: photo.bitmap.height,
        inputSize: this.facts.inputSize,
      };
      await this.workspace.model.takeFeatures(features.features, geometry);
      this.clicks = [...(work?.clicks ?? [])];
      this.opened = [...(work?.opened ?? []), now()];
      this.exhaustive = work?.exhaustive ?? false;
      this.done = null;
      this.ended = null;
      this.warned = false;
      this.clock.begin(work?.seconds ?? 0);
      this.looked.begin(work?.looked ?? {});
      this.workspace.open(photo, geometry, objectsOf(next));
      this.entry = next.photo;
      document.body.dataset.photo = "open";
      byId("photo-name").textContent = photo.name;
      byId("stage").focus({ preventScroll: true });
      tip("");
      this.current = null;
      this.step(1);
      this.drawQueue();
      this.saving.soon(); // opening is part of the log
    } catch (error) {
      this.unreadable(next.photo, error);
    }
  }

  /** A photo that cannot be opened must not stop the queue: it is skipped by hand. */
  private unreadable(entry: PhotoEntry, error: unknown): void {
    this.entry = entry;
    this.clicks = [];
    this.opened = [now()];
    this.done = null;
    this.ended = null;
    this.clock.begin(0);
    this.looked.begin({});
    byId("photo-name").textContent = entry.name;
    this.drawQueue();
    failed(`${messageOf(error)}. Skip it with S.`);
  }

  private async finish(how: "complete" | "skip"): Promise<void> {
    if (!this.entry || this.done) return;
    await this.workspace.settled();
    if (how === "complete") this.workspace.keep();
    const open = this.undecided().length;
    if (how === "complete" && this.settings.queue?.kind === "verify" && open && !this.warned) {
      this.warned = true;
      tip(`${open} masks have no verdict yet; they count as accepted if you go on (P).`);
      return;
    }
    this.done = how;
    this.ended = now();
    try {
      await this.saving.now();
      await this.next();
    } catch (error) {
      this.done = null;
      failed(`Not saved: ${messageOf(error)}`);
    }
  }

  private work(): { id: string; work: WireWork } | null {
    if (!this.entry) return null;
    const { workspace } = this;
    const masks = this.done === "skip" ? [] : wireMasks(workspace.history.state, workspace.size);
    return {
      id: this.entry.id,
      work: {
        annotator: this.annotator,
        masks,
        clicks: this.clicks,
        opened: this.opened,
        seconds: this.clock.seconds,
        looked: this.looked.seconds,
        exhaustive: this.exhaustive,
        done: this.done,
        ended: this.ended,
      },
    };
  }

  /** Every answer is part of the log; a mask that is kept has the name of its last one. */
  private note(draft: Draft, milliseconds: number): void {
    const answered = now();
    const click = {
      at: answered - milliseconds / 1000,
      region_id: draft.corrects?.id ?? draft.answerId,
      object_id: draft.id,
      prompt: draft.prompt,
      predicted_iou: draft.candidates[draft.chosen]?.predictedIou ?? 0,
      milliseconds,
    };
    this.clicks.push(click);
    this.saving.soon();
  }

  private changed(): void {
    if (!this.entry) return;
    this.looked.at(this.underJudgement());
    this.drawQueue();
    this.saving.soon();
  }

  // Verdicts on masks that were there.

  private undecided(): MaskObject[] {
    return this.workspace.history.state.objects.filter((one) => one.origin === "given" && !one.verdict);
  }

  /** The given mask that is looked at or corrected now; none while a new one is made. */
  private underJudgement(): string | null {
    const { draft } = this.workspace.history.state;
    if (draft) return draft.corrects?.origin === "given" ? draft.corrects.id : null;
    return this.undecided().find((one) => one.id === this.current)?.id ?? null;
  }

  private judge(verdict: "accept" | "reject"): void {
    if (!this.current || this.workspace.history.state.draft) return;
    this.workspace.decide(this.current, verdict);
    this.step(1);
  }

  /** To the next mask without a verdict, the most prominent first. */
  private step(by: number): void {
    if (this.settings.queue?.kind === "assisted_manual") return;
    const given = this.workspace.history.state.objects.filter((one) => one.origin === "given");
    const open = this.undecided();
    const among = open.length ? open : given;
    const place = among.findIndex((one) => one.id === this.current);
    const before = given.findIndex((one) => one.id === this.current);
    let next = among[(place + by + among.length) % Math.max(1, among.length)];
    if (place < 0) next = among.find((one) => given.indexOf(one) > before) ?? among[0];
    this.current = next?.id ?? null;
    this.looked.at(this.underJudgement());
    this.workspace.highlight(this.current);
    this.drawQueue();
  }

  private toggleExhaustive(): void {
    this.exhaustive = !this.exhaustive;
    this.changed();
  }

  private hint(): void {
    const draft = this.workspace.history.state.draft;
    const limit = this.settings.queue?.hintSeconds ?? 30;
    const slow = draft && (Date.now() - draft.startedAt) / 1000 > limit;
    if (slow) tip(`This mask has taken ${limit} s: keep it as it is, or go on to the next photo.`);
    else if (byId("tip").textContent?.startsWith("This mask has taken")) tip("");
  }

  private showSaved(state: "saved" | "saving" | "waiting", why: string): void {
    document.body.dataset.saved = state;
    const shown = byId("queue-panel").querySelector(".saved");
    if (shown) shown.textContent = { saved: "Saved", saving: "Saving…", waiting: "Not saved yet" }[state];
    if (why) failed(why);
    else if (state === "saved") settled();
  }

  private drawQueue(): void {
    const target = byId("queue-panel");
    if (!this.entry) {
      target.replaceChildren();
      return;
    }
    const { queue } = this.settings;
    const box = el("input", { type: "checkbox", checked: this.exhaustive });
    box.addEventListener("change", () => this.toggleExhaustive());
    const given = this.workspace.history.state.objects.filter((one) => one.origin === "given");
    const judged = given.length - this.undecided().length;
    const verdicts = el(
      "div",
      { class: "row" },
      el("button", { class: "button grow", disabled: !this.current, click: () => this.judge("accept") }, "Accept", el("kbd", {}, "Y")),
      el("button", { class: "button grow danger", disabled: !this.current, click: () => this.judge("reject") }, "Reject", el("kbd", {}, "N")),
    );
    const saved = target.querySelector(".saved")?.textContent ?? "";
    target.replaceChildren(
      el("h2", {}, "This photo"),
      el("p", { class: "quiet" }, queue?.instructions ?? ""),
      ...(given.length ? [el("p", { class: "judged", role: "status" }, `${judged} of ${given.length} masks judged`), verdicts] : []),
      el("label", { class: "check" }, box, "Every object has its mask", el("kbd", {}, "D")),
      el(
        "div",
        { class: "row" },
        el("button", { class: "button primary grow", click: () => void this.finish("complete") }, "Photo done", el("kbd", {}, "P")),
        el("button", { class: "button", click: () => void this.finish("skip") }, "Skip", el("kbd", {}, "S")),
      ),
      el("p", { class: "quiet small" }, `${this.annotator} · `, el("span", { class: "saved", role: "status" }, saved)),
    );
  }
}

function now(): number {
  return Date.now() / 1000;
}
