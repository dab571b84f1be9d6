// The page for anybody: open a photo, point, click, download.
import { asJson, cutOut, save } from "./files/downloads";
import { decodePhoto } from "./files/photo";
import type { ModelFacts } from "./model/protocol";
import { readFeatures, reasonOf, type PhotoEntry, type Settings } from "./server";
import { byId, el } from "./ui/dom";
import { EverythingPanel } from "./ui/everythingPanel";
import type { Action } from "./ui/keyboard";
import { busy, failed, messageOf, settled } from "./ui/notices";
import type { Workspace } from "./workspace";

export class Demo {
  private readonly everything: EverythingPanel;
  private entry: PhotoEntry | null = null;
  private opening = 0;

  constructor(
    private readonly workspace: Workspace,
    private readonly settings: Settings,
    private readonly facts: ModelFacts,
  ) {
    this.everything = new EverythingPanel(workspace, facts);
    this.everything.onRun = () => this.findAll();
    this.takeFiles();
    this.showSamples();
    this.drawExport();
    byId("welcome").hidden = false;
  }

  /** Opens the photo that the address names, such as `#photo=2`. */
  async openFromAddress(): Promise<void> {
    const place = Number(new URLSearchParams(location.hash.slice(1)).get("photo") ?? Number.NaN);
    const entry = this.settings.photos[place - 1];
    if (entry) await this.openEntry(entry);
  }

  actions(): Action[] {
    return [
      { keys: ["g"], shown: "G", says: "Find all masks, or hide them", run: () => this.findAll() },
      { keys: ["c"], shown: "C", says: "Download the cut-out", run: () => void this.saveCutOut() },
      { keys: ["j"], shown: "J", says: "Download the masks as SA-1B JSON", run: () => this.saveJson("sa1b") },
      { keys: ["o"], shown: "O", says: "Open a photo", run: () => byId<HTMLInputElement>("file").click() },
    ];
  }

  private findAll(): void {
    void this.everything.run(this.entry?.everything);
  }

  private takeFiles(): void {
    for (const id of ["file", "file-first"]) {
      const input = byId<HTMLInputElement>(id);
      input.addEventListener("change", () => {
        const file = input.files?.[0];
        if (file) void this.openFile(file);
        input.value = "";
      });
    }
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      const file = event.dataTransfer?.files[0];
      if (file) void this.openFile(file);
    });
    document.addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (file) void this.openFile(file);
    });
  }

  private async openFile(file: File): Promise<void> {
    if (!this.facts.encodes) {
      failed("This model's encoder runs on the server only: choose one of the photos it serves.");
      return;
    }
    await this.open(async () => decodePhoto(file, file.name), null);
  }

  private async openEntry(entry: PhotoEntry): Promise<void> {
    const load = async () => {
      const response = await fetch(entry.image);
      if (!response.ok) throw new Error(await reasonOf(response));
      return decodePhoto(await response.blob(), entry.name);
    };
    await this.open(load, entry);
  }

  private async open(
    load: () => ReturnType<typeof decodePhoto>,
    entry: PhotoEntry | null,
  ): Promise<void> {
    const turn = ++this.opening;
    settled();
    busy("Reading the photo");
    try {
      const photo = await load();
      busy("Looking at the photo");
      const geometry =
        this.facts.encodes || !entry?.features
          ? (await this.workspace.model.encode(photo.pixels)).geometry
          : await this.fromServer(entry.features);
      if (turn !== this.opening) return;
      this.entry = entry;
      this.everything.reset();
      this.workspace.open(photo, geometry);
      byId("photo-name").textContent = photo.name;
      byId("welcome").hidden = true;
      document.body.dataset.photo = "open";
      this.drawExport();
      byId("stage").focus({ preventScroll: true });
    } catch (error) {
      if (turn === this.opening) failed(messageOf(error));
    } finally {
      if (turn === this.opening) busy("");
    }
  }

  private async fromServer(address: string) {
    const { features, width, height } = await readFeatures(address);
    const geometry = { width, height, inputSize: this.facts.inputSize };
    return (await this.workspace.model.takeFeatures(features, geometry)).geometry;
  }

  private showSamples(): void {
    const samples = this.settings.photos.slice(0, 12).map((entry) => {
      const picture = el("img", { src: entry.image, alt: "", loading: "lazy", decoding: "async" });
      const label = `Open ${entry.name}`;
      return el(
        "button",
        { class: "sample", role: "listitem", "aria-label": label, title: entry.name, click: () => void this.openEntry(entry) },
        picture,
      );
    });
    byId("samples").replaceChildren(...samples);
  }

  /** The mask under work, or the one finished last. */
  private async saveCutOut(): Promise<void> {
    const { photo, history } = this.workspace;
    const mask = this.workspace.currentMask() ?? history.state.objects.at(-1)?.mask;
    if (!photo || !mask?.bits.length) {
      failed("There is no mask to cut out yet: click an object first.");
      return;
    }
    save(await cutOut(photo, mask), `${stem(photo.name)}-cut-out.png`);
  }

  private saveJson(format: "sa1b" | "coco"): void {
    const { photo, history } = this.workspace;
    if (!photo || !history.state.objects.length) {
      failed("There are no masks yet: keep one first.");
      return;
    }
    const text = asJson(format, photo, history.state.objects);
    const name = `${stem(photo.name)}-${format}.json`;
    save(new Blob([text], { type: "application/json" }), name);
  }

  private drawExport(): void {
    byId("export-panel").replaceChildren(
      el("h2", {}, "Download"),
      el(
        "div",
        { class: "row wrap" },
        el("button", { class: "button", click: () => void this.saveCutOut() }, "Cut-out", el("kbd", {}, "C")),
        el("button", { class: "button", click: () => this.saveJson("sa1b") }, "SA-1B", el("kbd", {}, "J")),
        el("button", { class: "button", click: () => this.saveJson("coco") }, "COCO"),
      ),
    );
  }
}

function stem(name: string): string {
  return name.replace(/\.[^.]*$/, "") || "photo";
}
