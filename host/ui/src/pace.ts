/** How fast an upload goes. The last seconds count: what was fast an hour ago says nothing about now. */

/** Over how many milliseconds the speed is measured. */
const WINDOW_MS = 8_000;
/** Before this many milliseconds a speed would be a guess. */
const SETTLE_MS = 1_000;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

export class Pace {
  #samples: Sample[] = [];

  /** Notes how many bytes have been sent in all at a time in milliseconds. */
  note(bytes: number, atMs: number): void {
    this.#samples.push({ atMs, bytes });
    // One sample older than the window stays: the window is measured from it.
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) >= WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second over the last seconds. Absent while there is too little to tell. */
  bytesPerSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs - first.atMs < SETTLE_MS) return undefined;
    return ((last.bytes - first.bytes) * 1_000) / (last.atMs - first.atMs);
  }
}
