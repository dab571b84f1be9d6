// A few words for making elements.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found as T;
}

type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;

/** An element; attributes that are functions listen to the event of their name. */
export function el<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (typeof value === "boolean") made.toggleAttribute(key, value);
    else made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

const ICONS: Record<string, string> = {
  add: "M12 5v14M5 12h14",
  take: "M5 12h14",
  box: "M5 5h14v14H5z",
  brush: "M14 5l5 5-8 8-5 1 1-5zM12.5 6.5l5 5",
  eraser: "M8 19h11M4.5 15.5l9-9 5 5-7 7.500h-3.500z",
  hand: "M8 12V6.500a1.500 1.500 0 013 0V11V5a1.500 1.500 0 013 0v6V6.500a1.500 1.500 0 013 0V14c0 4-2 6-5 6s-4-1-6-4l-2-3.500c-.5-1.500 1-2.300 2-1.300z",
  undo: "M9 7L5 11l4 4M5 11h9a5 5 0 010 10h-2",
  redo: "M15 7l4 4-4 4M19 11h-9a5 5 0 000 10h2",
  help: "M9.500 9a2.500 2.500 0 114 2c-1 .7-1.500 1.200-1.500 2.500M12 17v.5",
  eye: "M3 12c3-5 6-6 9-6s6 1 9 6c-3 5-6 6-9 6s-6-1-9-6zM12 9.500a2.500 2.500 0 100 5 2.500 2.500 0 000-5z",
  hidden: "M4 4l16 16M6 8c-1 1-2 2.300-3 4 3 5 6 6 9 6 1.500 0 3-.3 4.500-1M10 6.200C13.500 5.500 17.500 6 21 12c-.6 1-1.200 1.900-1.800 2.600",
  trash: "M5 7h14M9 7V5h6v2M7 7l1 12h8l1-12",
};

export function icon(name: string): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon-drawing");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
