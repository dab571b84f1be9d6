// Saving while people work: soon after each change, again and again until the server has it.
import { reasonOf } from "../server";
import type { Next, Progress, WireWork } from "./wire";

const SOON_MS = 600;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8_000;

export class Saving {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly work: () => { id: string; work: WireWork } | null,
    private readonly told: (state: "saved" | "saving" | "waiting", why: string) => void,
  ) {
    // The last chance of a page that is closed; what was sent twice counts once.
    addEventListener("pagehide", () => this.lastWords());
  }

  /** Something changed. */
  soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.now().catch(() => undefined), SOON_MS);
  }

  /** Saves what there is now; resolves when the server has it. */
  now(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const saved = this.running.then(() => this.untilSaved());
    this.running = saved.catch(() => undefined);
    return saved;
  }

  /** What is not sent yet is not to be sent any more: another photo is open. */
  forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private async untilSaved(): Promise<void> {
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
      const current = this.work();
      if (!current) return;
      this.told("saving", "");
      try {
        await put(current.id, current.work);
        this.told("saved", "");
        return;
      } catch (error) {
        if (error instanceof Refused) throw error;
        this.told("waiting", "The server cannot be reached; trying again. Your work is kept here.");
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  private lastWords(): void {
    const current = this.timer === undefined ? null : this.work();
    if (!current) return;
    const body = JSON.stringify(current.work);
    // Longer ones are not sent by closing pages.
    const keepalive = body.length < 60_000;
    void fetch(`api/work/${current.id}`, { method: "PUT", body, keepalive }).catch(() => undefined);
  }
}

/** The server understood and said no: sending again would not help. */
export class Refused extends Error {}

async function put(id: string, work: WireWork): Promise<Progress> {
  const response = await fetch(`api/work/${id}`, { method: "PUT", body: JSON.stringify(work) });
  if (response.status >= 400 && response.status < 500) throw new Refused(await reasonOf(response));
  if (!response.ok) throw new Error(await reasonOf(response));
  return ((await response.json()) as { progress: Progress }).progress;
}

/** Asks for the photo that is to be done now, until the server answers. */
export async function askNext(annotator: string, told: (why: string) => void): Promise<Next> {
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
    try {
      const response = await fetch(`api/next?annotator=${encodeURIComponent(annotator)}`);
      if (response.status >= 400 && response.status < 500) throw new Refused(await reasonOf(response));
      if (!response.ok) throw new Error(await reasonOf(response));
      told("");
      return (await response.json()) as Next;
    } catch (error) {
      if (error instanceof Refused) throw error;
      told("The server cannot be reached; trying again.");
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
