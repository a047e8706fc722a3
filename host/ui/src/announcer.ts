/** Says what happens to people who do not see it happen. */

export class Announcer {
  readonly #region: HTMLElement;
  #pending: string[] = [];

  constructor(region: HTMLElement) {
    this.#region = region;
  }

  /** What comes in one go is said in one go: a live region drops what is replaced at once. */
  say(sentence: string): void {
    this.#pending.push(sentence);
    if (this.#pending.length > 1) return;
    setTimeout(() => {
      this.#region.textContent = this.#pending.join(" ");
      this.#pending = [];
    }, 100);
  }
}
