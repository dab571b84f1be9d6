// How long each mask that was there before was the one under judgement, by the photo's clock.
import type { Clock } from "./clock";

export class Looked {
  private counted = new Map<string, number>();
  private current: string | null = null;
  private since = 0;

  constructor(private readonly clock: Clock) {}

  /** Another photo, with what was counted on it before. */
  begin(seconds: Readonly<Record<string, number>>): void {
    this.counted = new Map(Object.entries(seconds));
    this.current = null;
  }

  /** From now on it is this one, or none. */
  at(id: string | null): void {
    this.count();
    this.current = id;
  }

  /** Seconds by mask. */
  get seconds(): Record<string, number> {
    this.count();
    const rounded = [...this.counted].map(([id, seconds]) => [id, Math.round(seconds * 1000) / 1000]);
    return Object.fromEntries(rounded) as Record<string, number>;
  }

  private count(): void {
    const now = this.clock.seconds;
    if (this.current) {
      this.counted.set(this.current, (this.counted.get(this.current) ?? 0) + now - this.since);
    }
    this.since = now;
  }
}
