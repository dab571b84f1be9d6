// Starts the page: what the browser can do, what the server offers, the model, then the mode.
import "./style.css";
import { Demo } from "./demo";
import { missingInBrowser } from "./files/photo";
import { Model } from "./model/client";
import type { ModelFacts } from "./model/protocol";
import type { Wanted } from "./model/runtime";
import { readSettings } from "./server";
import { byId, icon } from "./ui/dom";
import { Keyboard, type Action } from "./ui/keyboard";
import { busy, failed, messageOf } from "./ui/notices";
import { Stage } from "./view/stage";
import { Workspace } from "./workspace";

async function start(): Promise<void> {
  const missing = missingInBrowser();
  if (missing) throw new Error(missing);
  busy("Loading the model", 0);
  const settings = await readSettings();
  document.body.dataset.mode = settings.mode;
  const model = new Model();
  model.onProgress = (bytes, of) => busy("Loading the model", bytes / of);
  const here = (path: string) => new URL(path, location.href).href.replace(/[?#].*$/, "");
  const stage = new Stage(byId("stage"));
  const workspace = new Workspace(model, stage);
  workspace.labels = settings.labels;
  const keyboard = new Keyboard(byId("stage"));
  drawButtons(workspace, keyboard);
  const facts = await model.load(here(settings.model), here("runtime/"), wantedCompute());
  busy("");
  byId("computing").textContent = computingText(facts);
  document.body.dataset.compute = facts.compute;
  document.body.dataset.model = facts.modelId;
  if (settings.mode === "annotate") {
    const { Annotating } = await import("./annotate/annotating");
    const annotating = new Annotating(workspace, settings, facts);
    keyboard.use([...commonActions(workspace, keyboard), ...annotating.actions()]);
    await annotating.begin();
    return;
  }
  const demo = new Demo(workspace, settings, facts);
  keyboard.use([...commonActions(workspace, keyboard), ...demo.actions()]);
  await demo.openFromAddress();
}

/** What the address asks for, such as `#compute=wasm`; else whatever is there. */
function wantedCompute(): Wanted {
  const asked = new URLSearchParams(location.hash.slice(1)).get("compute");
  return asked === "webgpu" || asked === "wasm" ? asked : "auto";
}

function computingText({ compute, threads, why }: ModelFacts): string {
  if (compute === "webgpu") return "Computed on the graphics card (WebGPU).";
  const share = threads > 1 ? `${threads} threads` : "one thread";
  return `Computed on the processor, ${share}. ${why}`.trim();
}

function drawButtons(workspace: Workspace, keyboard: Keyboard): void {
  const buttons: [string, string, () => void][] = [
    ["undo", "undo", () => workspace.undo()],
    ["redo", "redo", () => workspace.redo()],
    ["help-button", "help", () => keyboard.toggleHelp()],
  ];
  for (const [id, drawing, run] of buttons) {
    byId(id).append(icon(drawing));
    byId(id).addEventListener("click", run);
  }
  const enable = () => {
    byId<HTMLButtonElement>("undo").disabled = !workspace.history.canUndo;
    byId<HTMLButtonElement>("redo").disabled = !workspace.history.canRedo;
  };
  workspace.history.listen(enable);
  enable();
}

function commonActions(workspace: Workspace, keyboard: Keyboard): Action[] {
  const { tools, stage } = workspace;
  const move = (dx: number, dy: number) => (event: KeyboardEvent) =>
    workspace.moveCursor(event.shiftKey ? 10 * dx : dx, event.shiftKey ? 10 * dy : dy);
  const resizeBrush = (factor: number) => () => {
    tools.brushRadius = Math.min(400, Math.max(1, tools.brushRadius * factor));
    stage.brushRadius = tools.paints ? tools.brushRadius : null;
    stage.showCursor(workspace.cursor);
  };
  return [
    { keys: ["ArrowLeft"], shown: "Arrow keys", says: "Move the cross (Shift: faster)", onStage: true, run: move(-1, 0) },
    { keys: ["ArrowRight"], shown: "", says: "", onStage: true, run: move(1, 0) },
    { keys: ["ArrowUp"], shown: "", says: "", onStage: true, run: move(0, -1) },
    { keys: ["ArrowDown"], shown: "", says: "", onStage: true, run: move(0, 1) },
    { keys: [" "], shown: "Space", says: "Use the tool at the cross", onStage: true, run: () => workspace.useAtCursor(true) },
    { keys: ["x"], shown: "X", says: "Take away at the cross (mouse: Alt + click)", run: () => workspace.useAtCursor(false) },
    { keys: ["Enter"], shown: "Enter", says: "Keep the mask", run: () => workspace.keep() },
    { keys: ["Escape"], shown: "Esc", says: "Discard the mask under work", run: () => workspace.discard() },
    ...[0, 1, 2].map((place) => ({
      keys: [String(place + 1)],
      shown: place ? "" : "1 2 3",
      says: place ? "" : "Whole, part or subpart",
      run: () => workspace.choose(place),
    })),
    { keys: ["a"], shown: "A T R", says: "Tools: add, take away, box", run: () => tools.take("add") },
    { keys: ["t"], shown: "", says: "", run: () => tools.take("take") },
    { keys: ["r"], shown: "", says: "", run: () => tools.take("box") },
    { keys: ["b"], shown: "B E H", says: "Tools: brush, eraser, move", run: () => tools.take("brush") },
    { keys: ["e"], shown: "", says: "", run: () => tools.take("eraser") },
    { keys: ["h"], shown: "", says: "", run: () => tools.take("hand") },
    { keys: ["["], shown: "[ ]", says: "Smaller or larger brush", run: resizeBrush(1 / 1.25) },
    { keys: ["]"], shown: "", says: "", run: resizeBrush(1.25) },
    { keys: ["z"], ctrl: true, shown: "Ctrl+Z", says: "Undo (Ctrl+Shift+Z or Ctrl+Y: redo)", run: (event) => (event.shiftKey ? workspace.redo() : workspace.undo()) },
    { keys: ["y"], ctrl: true, shown: "", says: "", run: () => workspace.redo() },
    { keys: ["+", "="], shown: "+ - 0", says: "Zoom in, out, whole photo", run: () => stage.zoomBy(1.25) },
    { keys: ["-"], shown: "", says: "", run: () => stage.zoomBy(0.8) },
    { keys: ["0"], shown: "", says: "", run: () => stage.fit() },
    { keys: ["v"], shown: "V", says: "Correct the finished mask at the cross", run: () => workspace.cursor && workspace.editAt(workspace.cursor) },
    { keys: ["?"], shown: "?", says: "Show these keys", run: () => keyboard.toggleHelp() },
  ];
}

start().catch((error) => {
  busy("");
  failed(messageOf(error));
});
