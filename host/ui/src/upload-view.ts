/** One file in the list: its progress while it goes, its verdict in the end. */

import { isRejection, type Problem, type Receipt } from "./answer.ts";
import { button, element, prose } from "./element.ts";
import { countAll } from "./finding.ts";
import { findingsView } from "./findings-view.ts";
import { counted, size, timeLeft } from "./quantity.ts";
import { particularsView, receiptView } from "./receipt-view.ts";
import type { State, Upload } from "./upload.ts";

/** The verdict in a word, where it is not that the file is not stored. */
const REFUSED: Readonly<Record<string, string>> = {
  "policy-rejected": "Rejected",
  "not-sent": "Not sent",
};

/** What the list can be asked to do with one of its files. */
export interface Actions {
  send(upload: Upload): void;
  replace(upload: Upload): void;
  remove(upload: Upload): void;
}

export class UploadView {
  readonly element = element("li", { class: "card outcome" });
  readonly #upload: Upload;
  readonly #actions: Actions;
  #bar: HTMLProgressElement | undefined;
  #pace: HTMLElement | undefined;
  #shown: State["name"] | undefined;

  constructor(upload: Upload, actions: Actions) {
    this.#upload = upload;
    this.#actions = actions;
    this.update();
  }

  /** Shows the state of the upload as it is now. */
  update(): void {
    const { state } = this.#upload;
    if (state.name === "sending" && this.#shown === "sending") {
      this.#progress(state);
      return;
    }
    this.#shown = state.name;
    // What had the focus goes away with the state it belonged to; the list item takes it over.
    const hadFocus = this.element.contains(document.activeElement);
    this.element.className = `card outcome ${fate(state)}`;
    this.element.replaceChildren(this.#head(state), ...this.#content(state));
    if (hadFocus) {
      this.element.tabIndex = -1;
      this.element.focus({ preventScroll: true });
    }
  }

  #head(state: State): HTMLElement {
    const { file, path, attributes } = this.#upload;
    const about = [size(file.size), ...attributes.map(([, value]) => value)].join(" \u00B7 ");
    return element(
      "div",
      { class: "outcome-head" },
      element("h3", { class: "filename" }, path),
      element("p", { class: "verdict" }, verdict(state)),
      element("p", { class: "about" }, about),
      state.name === "chosen" && this.#named(this.#remove()),
      state.name === "waiting" && this.#named(this.#cancel()),
    );
  }

  #content(state: State): Node[] {
    switch (state.name) {
      case "chosen":
      case "waiting":
        return [];
      case "sending":
        return [this.#progressRow(state.share, "Sending and checking\u2026")];
      case "interrupted": {
        const words = `${percent(state.share)} \u00B7 ${state.why} It goes on by itself as soon as it can.`;
        return [this.#progressRow(state.share, words)];
      }
      case "judging":
        return [this.#progressRow(undefined, "Sent. Waiting for the verdict\u2026")];
      case "cancelling":
        return [this.#progressRow(undefined, "Cancelling\u2026")];
      case "stored":
        return this.#stored(state.receipt);
      case "refused":
        return this.#refused(state.problem);
      case "cancelled":
        return [sentence(state.sentence), this.#buttons(this.#again("Send again"), this.#remove())];
    }
  }

  #progressRow(share: number | undefined, words: string): HTMLElement {
    const label = `Progress of ${this.#upload.path}`;
    // Without a value the bar says that it goes on, but not how far.
    this.#bar = element("progress", { max: 1, value: share, "aria-label": label });
    this.#pace = element("p", { class: "pace" }, words);
    const cancel = this.#upload.state.name !== "cancelling" && this.#named(this.#cancel());
    return element("div", { class: "progress" }, this.#bar, this.#pace, cancel);
  }

  #progress({ share, bytesPerSecond, secondsLeft }: Extract<State, { name: "sending" }>): void {
    if (this.#bar === undefined || this.#pace === undefined) return;
    this.#bar.value = share;
    const words = [percent(share)];
    if (bytesPerSecond !== undefined) words.push(`${size(Math.round(bytesPerSecond))}/s`);
    if (secondsLeft !== undefined) words.push(timeLeft(secondsLeft));
    this.#pace.textContent = words.join(" \u00B7 ");
  }

  #stored(receipt: Receipt): Node[] {
    const findings = findingsView(this.#upload.file.name, receipt.findings, receipt.tallies);
    return [sentence(storedSentence(receipt)), ...(findings === undefined ? [] : [findings]), receiptView(receipt)];
  }

  #refused(problem: Problem): Node[] {
    const findings = findingsView(this.#upload.file.name, problem.findings, problem.tallies);
    const details = particularsView(problem);
    const words = isRejection(problem) ? "Choose a corrected file" : "Choose another file";
    const other = button(words, () => this.#actions.replace(this.#upload));
    const again = this.#again("Try again");
    // The same data gets the same verdict, so the other file comes first; else the same file does.
    const first = isRejection(problem) ? [other, again] : problem.kind === "not-sent" ? [other] : [again, other];
    return [
      sentence(problem.detail),
      ...(findings === undefined ? [] : [findings]),
      this.#buttons(...first, this.#remove()),
      ...(details === undefined ? [] : [details]),
    ];
  }

  #again(label: string): HTMLButtonElement {
    return button(label, () => this.#actions.send(this.#upload));
  }

  #remove(): HTMLButtonElement {
    return button("Remove", () => this.#actions.remove(this.#upload), { class: "quiet" });
  }

  #cancel(): HTMLButtonElement {
    return button("Cancel", () => this.#upload.cancel(), { class: "quiet" });
  }

  #buttons(...buttons: HTMLButtonElement[]): HTMLElement {
    return element("div", { class: "buttons" }, ...buttons.map((made) => this.#named(made)));
  }

  /** Read out of its place, a button says which file it is about. */
  #named(made: HTMLButtonElement): HTMLButtonElement {
    made.setAttribute("aria-label", `${made.textContent}: ${this.#upload.path}`);
    return made;
  }
}

/** What is said aloud when a file has come to its end, or cannot go on by now; nothing else. */
export function announcement(upload: Upload): string | undefined {
  const { state, path } = upload;
  switch (state.name) {
    case "interrupted":
      return `${path}: ${verdict(state)}. ${state.why}`;
    case "stored":
      return `${path}: ${verdict(state)}. ${storedSentence(state.receipt)}`;
    case "refused": {
      const count = countAll(state.problem.findings, state.problem.tallies);
      const findings = count > 0 ? ` ${counted(count, "finding")}.` : "";
      return `${path}: ${verdict(state)}. ${state.problem.detail}${findings}`;
    }
    case "cancelled":
      return `${path}: ${state.sentence}`;
    default:
      return undefined;
  }
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

function storedSentence({ status, size: bytes, reason, findings, tallies }: Receipt): string {
  if (status === "quarantined") {
    return (
      `${size(bytes)} stored apart. ${reason ?? ""} An administrator looks at it and then releases or discards it; ` +
      "there is no need to send it again."
    );
  }
  const count = countAll(findings, tallies);
  const checks = count === 0 ? "Every check passed." : `The checks left ${counted(count, "remark")}.`;
  return `${size(bytes)} stored and verified. ${checks}`;
}

function sentence(words: string): HTMLElement {
  return prose("p", words, { class: "sentence" });
}

export function verdict(state: State): string {
  switch (state.name) {
    case "chosen":
      return "Ready";
    case "waiting":
      return "Waiting";
    case "sending":
      return "Sending";
    case "interrupted":
      return "Interrupted";
    case "judging":
      return "Checking";
    case "cancelling":
      return "Cancelling";
    case "stored":
      return state.receipt.status === "accepted" ? "Accepted" : "Quarantined";
    case "refused":
      return REFUSED[state.problem.kind] ?? "Not stored";
    case "cancelled":
      return "Cancelled";
  }
}

function fate(state: State): string {
  switch (state.name) {
    case "stored":
      return state.receipt.status;
    case "refused":
      return isRejection(state.problem) ? "rejected" : "failed";
    case "sending":
    case "judging":
    case "cancelling":
      return "under-way";
    default:
      return state.name;
  }
}
