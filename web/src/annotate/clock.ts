// How long a photo was looked at: only while the page is seen, and not while nobody is there.

const AWAY_MS = 60_000;

export class Clock {
  private counted = 0;
  private last = 0;
  private lastSign = 0;

  constructor() {
    for (const sign of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      addEventListener(sign, () => this.seen(), { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => this.tick());
    setInterval(() => this.tick(), 500);
  }

  begin(seconds: number): void {
    this.counted = seconds * 1000;
    this.last = this.lastSign = performance.now();
  }

  get seconds(): number {
    this.tick();
    return Math.round(this.counted) / 1000;
  }

  private seen(): void {
    this.tick();
    this.lastSign = performance.now();
  }

  private tick(): void {
    const now = performance.now();
    const there = !document.hidden && now - this.lastSign < AWAY_MS;
    if (there) this.counted += now - this.last;
    this.last = now;
  }
}
