/** One file on its way: what state it is in, and what can be done about it. */

import { type Answer, localProblem, type Problem, parseAnswer, type Receipt } from "./answer.ts";
import type { Lanes } from "./lanes.ts";
import { Pace } from "./pace.ts";
import { size } from "./quantity.ts";
import { type Ending, type Transfer, transfer } from "./transfer.ts";

/** What the uploader says about the data, in the order of the form. */
export type AttributeValues = readonly (readonly [name: string, value: string])[];

export type State =
  | { readonly name: "chosen" }
  | { readonly name: "waiting" }
  | {
      readonly name: "sending";
      /** From 0 to 1. */
      readonly share: number;
      readonly bytesPerSecond: number | undefined;
      readonly secondsLeft: number | undefined;
    }
  /** All bytes are on their way; the verdict is still to come. */
  | { readonly name: "judging" }
  | { readonly name: "stored"; readonly receipt: Receipt }
  | { readonly name: "refused"; readonly problem: Problem }
  | { readonly name: "cancelled"; readonly sentence: string };

export class Upload {
  #file: File;
  #state: State = { name: "chosen" };
  #attributes: AttributeValues = [];
  #withdraw: () => void = () => {};
  #transfer: Transfer | undefined;
  readonly #address: string;
  readonly #lanes: Lanes;

  /** Called after every change of the state. */
  onChange: () => void = () => {};

  constructor(file: File, address: string, lanes: Lanes) {
    this.#file = file;
    this.#address = address;
    this.#lanes = lanes;
  }

  get file(): File {
    return this.#file;
  }

  get state(): State {
    return this.#state;
  }

  /** What was said about the data when the file was last sent. */
  get attributes(): AttributeValues {
    return this.#attributes;
  }

  get isUnderWay(): boolean {
    return ["waiting", "sending", "judging"].includes(this.#state.name);
  }

  get isFinished(): boolean {
    return ["stored", "refused", "cancelled"].includes(this.#state.name);
  }

  /** Sends the file, or sends it again. Does nothing while it is under way. */
  send(attributes: AttributeValues): void {
    if (this.isUnderWay) return;
    this.#attributes = attributes;
    this.#change({ name: "waiting" });
    this.#withdraw = this.#lanes.add(() => this.#run());
  }

  /** Takes another file instead, as long as this one is not under way. */
  replace(file: File): void {
    if (this.isUnderWay) return;
    this.#file = file;
    this.#change({ name: "chosen" });
  }

  /** Refuses the file without sending it. */
  refuse(detail: string): void {
    this.#change({ name: "refused", problem: localProblem("not-sent", detail) });
  }

  cancel(): void {
    if (this.#state.name === "waiting") {
      this.#withdraw();
      this.#change({ name: "cancelled", sentence: "Cancelled before it was sent." });
    } else {
      this.#transfer?.cancel();
    }
  }

  async #run(): Promise<void> {
    const form = new FormData();
    // Fields stand before the file: policies decide with them while the file is still coming.
    for (const [name, value] of this.#attributes) form.append(name, value);
    form.append("file", this.#file, this.#file.name);
    const pace = new Pace();
    this.#change({ name: "sending", share: 0, bytesPerSecond: undefined, secondsLeft: undefined });
    this.#transfer = transfer(this.#address, form, (sent, total) => this.#progress(sent, total, pace));
    const ending = await this.#transfer.ending;
    this.#transfer = undefined;
    const wasJudging = this.#state.name === "judging";
    if (ending.kind === "cancelled") {
      const sentence = wasJudging
        ? "Cancelled while the verdict was still to come: it is not known whether the file is stored."
        : "Cancelled: nothing of it is stored.";
      this.#change({ name: "cancelled", sentence });
    } else {
      const answer = await toAnswer(ending, this.#file);
      if ("stored" in answer) this.#change({ name: "stored", receipt: answer.stored });
      else this.#change({ name: "refused", problem: answer.refused });
    }
  }

  #progress(sent: number, total: number, pace: Pace): void {
    if (!this.isUnderWay) return;
    if (sent >= total) {
      this.#change({ name: "judging" });
      return;
    }
    pace.note(sent, performance.now());
    const bytesPerSecond = pace.bytesPerSecond();
    const secondsLeft = bytesPerSecond ? (total - sent) / bytesPerSecond : undefined;
    this.#change({ name: "sending", share: sent / total, bytesPerSecond, secondsLeft });
  }

  #change(state: State): void {
    this.#state = state;
    this.onChange();
  }
}

async function toAnswer(ending: Exclude<Ending, { kind: "cancelled" }>, file: File): Promise<Answer> {
  if (ending.kind === "answered") return parseAnswer(ending.status, ending.body);
  return { refused: await broken(ending.sent, ending.total, file) };
}

/** Why no answer came, as far as a browser can know. */
async function broken(sent: number, total: number, file: File): Promise<Problem> {
  if (!(await isReadable(file))) {
    return localProblem(
      "unreadable",
      "The file cannot be read any more: it was changed, moved or deleted after it was chosen. " +
        "Nothing of it is stored; choose it again.",
    );
  }
  if (!navigator.onLine) {
    return localProblem("offline", "This computer is offline. Connect it to the network and try again.");
  }
  if (sent === 0) {
    return localProblem("unreachable", "The server cannot be reached. Check the network and try again.");
  }
  if (sent < total) {
    return localProblem(
      "broken",
      `The connection broke after ${size(sent)} of ${size(total)}; nothing of it is stored. ` +
        "Check the network and try again.",
    );
  }
  return localProblem(
    "unknown",
    "The connection broke before the verdict came, so it is not known whether the file is stored. " +
      "Try again: if it is, the same bytes become another version of it.",
  );
}

/** Browsers refuse to read a file that has changed since it was chosen. */
async function isReadable(file: File): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
