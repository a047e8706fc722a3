/** One file on its way: what state it is in, and what can be done about it. */

import { localProblem, type Problem, type Receipt } from "./answer.ts";
import type { Chosen } from "./folder.ts";
import type { Lanes } from "./lanes.ts";
import { Pace } from "./pace.ts";
import { type Ending, type Remains, Transfer } from "./transfer.ts";

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
  /** It cannot go on now, and will by itself: from this share on. */
  | { readonly name: "interrupted"; readonly share: number; readonly why: string }
  /** All bytes are on their way; the verdict is still to come. */
  | { readonly name: "judging" }
  | { readonly name: "cancelling" }
  | { readonly name: "stored"; readonly receipt: Receipt }
  | { readonly name: "refused"; readonly problem: Problem }
  | { readonly name: "cancelled"; readonly sentence: string };

const UNDER_WAY: readonly State["name"][] = ["waiting", "sending", "interrupted", "judging", "cancelling"];

export class Upload {
  #chosen: Chosen;
  #state: State = { name: "chosen" };
  #attributes: AttributeValues = [];
  #withdraw: () => void = () => {};
  #transfer: Transfer | undefined;
  readonly #address: string;
  readonly #lanes: Lanes;

  /** Called after every change of the state. */
  onChange: () => void = () => {};

  constructor(chosen: Chosen, address: string, lanes: Lanes) {
    this.#chosen = chosen;
    this.#address = address;
    this.#lanes = lanes;
  }

  get file(): File {
    return this.#chosen.file;
  }

  /** The name under which the uploader knows the file. */
  get path(): string {
    return this.#chosen.path;
  }

  get state(): State {
    return this.#state;
  }

  /** What was said about the data when the file was last sent. */
  get attributes(): AttributeValues {
    return this.#attributes;
  }

  get isUnderWay(): boolean {
    return UNDER_WAY.includes(this.#state.name);
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
  replace(chosen: Chosen): void {
    if (this.isUnderWay) return;
    this.#chosen = chosen;
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
    } else if (this.#transfer !== undefined) {
      this.#change({ name: "cancelling" });
      this.#transfer.cancel();
    }
  }

  async #run(): Promise<void> {
    let pace = new Pace();
    let share = 0;
    this.#change({ name: "sending", share, bytesPerSecond: undefined, secondsLeft: undefined });
    const cargo = { ...this.#chosen, attributes: this.#attributes };
    this.#transfer = new Transfer(this.#address, cargo, {
      progress: (sent) => {
        // What it is from is not known of an empty file, which is there at once.
        share = this.file.size === 0 ? 1 : sent / this.file.size;
        this.#progress(sent, share, pace);
      },
      interrupted: (why) => {
        pace = new Pace();
        // One try after the other fails for the same reason: that is said once.
        if (this.#state.name === "interrupted" && this.#state.why === why) return;
        this.#change({ name: "interrupted", share, why });
      },
    });
    const ending = await this.#transfer.ending;
    this.#transfer = undefined;
    this.#change(ended(ending));
  }

  #progress(sent: number, share: number, pace: Pace): void {
    if (!this.isUnderWay || this.#state.name === "cancelling") return;
    if (share >= 1) {
      this.#change({ name: "judging" });
      return;
    }
    pace.note(sent, performance.now());
    const bytesPerSecond = pace.bytesPerSecond();
    const secondsLeft = bytesPerSecond ? (this.file.size - sent) / bytesPerSecond : undefined;
    this.#change({ name: "sending", share, bytesPerSecond, secondsLeft });
  }

  #change(state: State): void {
    this.#state = state;
    this.onChange();
  }
}

function ended(ending: Ending): State {
  if ("stored" in ending) return { name: "stored", receipt: ending.stored };
  if ("refused" in ending) return { name: "refused", problem: ending.refused };
  return { name: "cancelled", sentence: CANCELLED[ending.cancelled] };
}

const CANCELLED: Readonly<Record<Remains, string>> = {
  nothing: "Cancelled: nothing of it is stored.",
  unknown:
    "Cancelled, but the server cannot be told so. What has come of it is dropped there after a while; if all of it had come, it may be stored.",
};
