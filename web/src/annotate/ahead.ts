// The next photo and its features, fetched while this one is under work.
import { decodePhoto, type Photo } from "../files/photo";
import { readFeatures, reasonOf, type PhotoEntry } from "../server";

export interface Fetched {
  readonly photo: Photo;
  readonly features: Awaited<ReturnType<typeof readFeatures>>;
}

export class Ahead {
  private readonly waiting = new Map<string, Promise<Fetched>>();

  /** Begins to fetch photos, and forgets others. */
  fetch(entries: readonly PhotoEntry[]): void {
    const wanted = new Set(entries.map((entry) => entry.id));
    for (const id of this.waiting.keys()) if (!wanted.has(id)) this.waiting.delete(id);
    for (const entry of entries) {
      if (this.waiting.has(entry.id)) continue;
      const fetched = load(entry);
      fetched.catch(() => this.waiting.delete(entry.id));
      this.waiting.set(entry.id, fetched);
    }
  }

  /** A photo that was fetched ahead, or is fetched now. */
  take(entry: PhotoEntry): Promise<Fetched> {
    const fetched = this.waiting.get(entry.id) ?? load(entry);
    this.waiting.delete(entry.id);
    return fetched;
  }
}

async function load(entry: PhotoEntry): Promise<Fetched> {
  const features = readFeatures(entry.features as string);
  features.catch(() => undefined);
  const response = await fetch(entry.image);
  if (!response.ok) throw new Error(await reasonOf(response));
  const photo = await decodePhoto(await response.blob(), entry.name);
  return { photo, features: await features };
}
