/** How long to wait before the next try: longer each time, and not at all once the network is back. */

const DELAYS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
/** After all of these. */
const LONGEST_MS = 30_000;

export class Patience {
  #failures = 0;

  /** Something went well: the next failure is the first again. */
  restore(): void {
    this.#failures = 0;
  }

  /** Milliseconds to wait after one more failure, and at least these. */
  next(leastMs = 0): number {
    const delay = DELAYS_MS[this.#failures] ?? LONGEST_MS;
    this.#failures += 1;
    return Math.max(delay, leastMs);
  }
}

/** Waits so many milliseconds, or until the computer is back on its network, or until the signal comes. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    }
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
