// What the page has to say: what it is busy with, a hint, or what went wrong.
import { byId, el } from "./dom";

/** Says that something takes a moment; an empty text says that it is over. */
export function busy(text: string, share: number | null = null): void {
  const target = byId("busy");
  target.hidden = !text;
  if (!text) return;
  const bar = el("progress", share === null ? {} : { value: share, max: 1 });
  bar.setAttribute("aria-label", text);
  target.replaceChildren(el("span", {}, text), bar);
}

export function progressText(text: string): void {
  byId("progress").textContent = text;
}

/** A hint that goes away by itself. */
export function tip(text: string): void {
  const target = byId("tip");
  target.textContent = text;
  target.hidden = !text;
}

/** Says what went wrong and what to do; stays until it is closed or the next one comes. */
export function failed(text: string): void {
  const target = byId("notice");
  const close = el("button", { class: "icon", "aria-label": "Close", click: settled }, "✕");
  target.replaceChildren(el("span", {}, text), close);
  target.hidden = false;
}

export function settled(): void {
  byId("notice").hidden = true;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
