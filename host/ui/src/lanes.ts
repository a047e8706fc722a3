/** Runs a few tasks at once and lets the others wait in line. */
export class Lanes {
  readonly #most: number;
  #running = 0;
  #waiting: (() => Promise<void>)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs the task when there is room for it. The result takes it out of the line; a running task stays. */
  add(task: () => Promise<void>): () => void {
    this.#waiting.push(task);
    this.#fill();
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== task);
    };
  }

  #fill(): void {
    while (this.#running < this.#most) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      this.#running += 1;
      void task().finally(() => {
        this.#running -= 1;
        this.#fill();
      });
    }
  }
}
