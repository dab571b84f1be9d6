// Every action by key; the help dialog is made of the same table.
import { byId, el } from "./dom";

export interface Action {
  /** As `KeyboardEvent.key`, lower case for letters; several mean the same. */
  readonly keys: readonly string[];
  readonly ctrl?: boolean;
  readonly says: string;
  readonly shown: string;
  /** Only while the photo has the focus. */
  readonly onStage?: boolean;
  readonly run: (event: KeyboardEvent) => void;
}

export class Keyboard {
  private actions: readonly Action[] = [];

  constructor(private readonly stage: HTMLElement) {
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  use(actions: readonly Action[]): void {
    this.actions = actions;
    byId("help").replaceChildren(...helpOf(actions));
  }

  toggleHelp(): void {
    const help = byId<HTMLDialogElement>("help");
    if (help.open) help.close();
    else help.showModal();
  }

  private pressed(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (target.closest("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const onStage = target === this.stage || target === document.body;
    // A button takes its own keys.
    if (!onStage && (event.key === " " || event.key === "Enter") && target.closest("button, a")) return;
    if (target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const ctrl = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = this.actions.find(
      (one) => one.keys.includes(key) && !!one.ctrl === ctrl && (!one.onStage || onStage),
    );
    if (!action) return;
    event.preventDefault();
    action.run(event);
  }
}

function helpOf(actions: readonly Action[]): Node[] {
  const rows = actions
    .filter((action) => action.shown)
    .map((action) =>
      el("tr", {}, el("td", {}, el("kbd", {}, action.shown)), el("td", {}, action.says)),
    );
  const close = el(
    "button",
    { class: "button primary", click: () => byId<HTMLDialogElement>("help").close() },
    "Close",
  );
  return [
    el("h2", { id: "help-title" }, "Keys"),
    el("div", { class: "keys" }, el("table", {}, el("tbody", {}, ...rows))),
    el("p", {}, "Wheel zooms, right or middle button moves. Two fingers zoom and move."),
    close,
  ];
}
