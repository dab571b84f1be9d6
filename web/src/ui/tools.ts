// The tools: one of them is in hand.
import { byId, el, icon } from "./dom";

export type Tool = "add" | "take" | "box" | "brush" | "eraser" | "hand";

const TOOLS: readonly { tool: Tool; name: string; key: string; says: string }[] = [
  { tool: "add", name: "Add", key: "A", says: "Click what belongs to the object; drag a box" },
  { tool: "take", name: "Take away", key: "T", says: "Click what does not belong to it" },
  { tool: "box", name: "Box", key: "R", says: "Drag a box around the object" },
  { tool: "brush", name: "Brush", key: "B", says: "Paint into the mask" },
  { tool: "eraser", name: "Eraser", key: "E", says: "Rub out of the mask" },
  { tool: "hand", name: "Move", key: "H", says: "Move the photo" },
];

export class Tools {
  private inHand: Tool = "add";
  private readonly buttons = new Map<Tool, HTMLButtonElement>();
  brushRadius = 12;

  constructor(private readonly changed: (tool: Tool) => void) {
    const target = byId("tools");
    for (const { tool, name, key, says } of TOOLS) {
      const button = el(
        "button",
        {
          role: "radio",
          class: "tool",
          title: `${says} (${key})`,
          "aria-label": name,
          "aria-keyshortcuts": key,
          "data-tool": tool,
          click: () => this.take(tool),
        },
        icon(tool),
        el("span", { class: "tool-name", "aria-hidden": "true" }, name),
      );
      this.buttons.set(tool, button);
      target.append(button);
    }
    target.addEventListener("keydown", (event) => this.move(event));
    this.show();
  }

  get tool(): Tool {
    return this.inHand;
  }

  get paints(): boolean {
    return this.inHand === "brush" || this.inHand === "eraser";
  }

  take(tool: Tool): void {
    this.inHand = tool;
    this.show();
    this.changed(tool);
  }

  /** Arrow keys go through a group of radio buttons. */
  private move(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const names = TOOLS.map(({ tool }) => tool);
    const next = names[(names.indexOf(this.inHand) + step + names.length) % names.length];
    this.take(next);
    this.buttons.get(next)?.focus();
  }

  private show(): void {
    for (const [tool, button] of this.buttons) {
      const chosen = tool === this.inHand;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  }
}
