// Who is at work: a name, kept in this browser, that stands beside every mask.
import { byId, el } from "../ui/dom";

const KEY = "mask-engine-annotator";

/** Asks for a name; the address may give one (`?name=Ada`), and the last one is offered. */
export function askName(instructions: string): Promise<string> {
  const given = new URLSearchParams(location.hash.slice(1)).get("name")?.trim();
  if (given) return Promise.resolve(given.slice(0, 100));
  const dialog = byId<HTMLDialogElement>("who");
  const input = el("input", {
    type: "text",
    value: localStorage.getItem(KEY) ?? "",
    maxlength: 100,
    required: true,
    autocomplete: "name",
    "aria-label": "Your name",
    placeholder: "Your name",
  });
  const start = el("button", { class: "button primary", type: "submit" }, "Start");
  const form = el("form", { class: "who" }, input, start);
  dialog.replaceChildren(el("h2", { id: "who-title" }, "Who is at work?"), el("p", {}, instructions), form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (!name) return;
      localStorage.setItem(KEY, name);
      dialog.close();
      resolve(name);
    });
  });
}
