/**
 * One file on its way by tus (<https://tus.io/protocols/resumable-upload>). Where the connection breaks off, it is gone on with
 * by itself, for as long as it takes; what became of it is told by its record, so that no lost answer loses a verdict.
 */

import { type DetailedError, Upload as TusUpload } from "tus-js-client";

import { type Answer, localProblem, mayPass, parseProblem, parseRecord, type Problem } from "./answer.ts";
import type { Chosen } from "./folder.ts";
import { sha256OfFile } from "./digest.ts";
import { addressOf, forget, keep, keyOf } from "./interrupted.ts";
import { Patience, pause } from "./patience.ts";
import type { AttributeValues } from "./upload.ts";

/** What is sent. */
export interface Cargo extends Chosen {
  readonly attributes: AttributeValues;
}

export type Ending = Answer | { readonly cancelled: Remains };

/** What is left of an upload that was cancelled: nothing, or what only the server knows. */
export type Remains = "nothing" | "unknown";

export interface Listener {
  /** Bytes of the file that have been sent. */
  progress(sent: number): void;
  /** It cannot go on now, and will by itself. */
  interrupted(why: string): void;
}

/** How long a short answer may take, in milliseconds. */
const ANSWER_MS = 15_000;
/** How long nothing may go out before the connection counts as dead, in milliseconds. */
const STALLED_MS = 60_000;
/** What an upload is refused for that can be gone on with once that is mended. */
const RESUMABLE_REFUSALS = ["unauthenticated", "forbidden", "disk-full", "over-quota", "disk-read-only", "storage-failed", "internal"];
/** How long a server waits for more that does not say so: a day, in milliseconds. */
const USUAL_TERM_MS = 86_400_000;
/** How often to note that it is good for longer, in milliseconds. */
const KEEP_EVERY_MS = 60_000;
/** Uploads under way on this page, by their keys: the same file twice is two uploads. */
const underWay = new Set<string>();

export class Transfer {
  readonly ending: Promise<Ending>;
  readonly #cargo: Cargo;
  readonly #listener: Listener;
  readonly #endpoint: string;
  readonly #stop = new AbortController();
  readonly #patience = new Patience();
  #key: string | undefined;
  /** What the server compares the whole file with: it may change while it is sent. */
  #sha256: string | undefined;
  #tus: TusUpload | undefined;
  /** How many bytes the server had when it was last asked. */
  #offset = 0;
  /** For how long the server waits for more of it, in milliseconds. */
  #termMs = USUAL_TERM_MS;
  /** When it was kept last, in milliseconds since 1970. */
  #keptAt = 0;

  constructor(endpoint: string, cargo: Cargo, listener: Listener) {
    this.#endpoint = endpoint;
    this.#cargo = cargo;
    this.#listener = listener;
    this.ending = this.#run();
  }

  /** Stops it and gives up what has come of it. */
  cancel(): void {
    this.#stop.abort();
  }

  async #run(): Promise<Ending> {
    const { file, path, attributes } = this.#cargo;
    const key = await keyOf(file, path, attributes);
    if (key !== undefined && !underWay.has(key)) {
      underWay.add(key);
      this.#key = key;
    }
    this.#sha256 = await sha256OfFile(file);
    try {
      const ending = await this.#untilItEnds();
      if (this.#key !== undefined && isOver(ending)) forget(this.#key);
      return ending;
    } finally {
      if (this.#key !== undefined) underWay.delete(this.#key);
    }
  }

  async #untilItEnds(): Promise<Ending> {
    for (;;) {
      const failure = await this.#attempt();
      if (this.#stop.signal.aborted) return this.#giveUp();
      const answer = refusal(failure) ?? (await this.#record(this.#stop.signal));
      if (answer !== undefined) return answer;
      if (!(await isReadable(this.#cargo.file))) {
        await this.#giveUp();
        return { refused: unreadable() };
      }
      this.#listener.interrupted(reason(failure));
      await pause(this.#patience.next(failure?.answer?.retryAfterMs), this.#stop.signal);
      if (this.#stop.signal.aborted) return this.#giveUp();
    }
  }

  /** Sends what is missing. Returns why it could not; nothing where all was taken, or where it was told to stop. */
  async #attempt(): Promise<Failure | undefined> {
    const { signal } = this.#stop;
    if (signal.aborted) return undefined;
    const tus = (this.#tus ??= this.#begin());
    let stall: Stall | undefined;
    const failure = await new Promise<Failure | undefined>((resolve) => {
      const end = () => resolve(undefined);
      signal.addEventListener("abort", end, { once: true });
      const moving = (stall = new Stall(STALLED_MS, () => resolve(SILENCE)));
      let isFirst = true;
      tus.options.onProgress = (sent, total) => {
        if (isFirst) this.#standsAt(sent);
        isFirst = false;
        this.#remember();
        this.#listener.progress(sent);
        // Once all is sent there is nothing to see until the verdict, however long that takes.
        if (sent < total) moving.isMoving();
        else moving.end();
      };
      tus.options.onSuccess = end;
      tus.options.onError = (error) => resolve(failureOf(error));
      moving.isMoving();
      tus.start();
    });
    stall?.end();
    // Only for what did not end by itself: what did has nothing to stop.
    await tus.abort();
    return failure;
  }

  #begin(): TusUpload {
    const { file } = this.#cargo;
    return new TusUpload(file, {
      endpoint: this.#endpoint,
      uploadUrl: this.#key === undefined ? null : (addressOf(this.#key, Date.now()) ?? null),
      metadata: metadata(this.#cargo, this.#sha256),
      // Where it can be gone on with is kept here, and each failure is looked at here.
      storeFingerprintForResuming: false,
      retryDelays: null,
      onAfterResponse: (_, response) => this.#noteTerm(response.getHeader("Upload-Expires")),
      onUploadUrlAvailable: () => {
        // It may be another one than before: an upload that the server does not know any more begins anew.
        this.#keptAt = 0;
        this.#remember();
      },
    });
  }

  #noteTerm(expires: string | undefined): void {
    const term = Date.parse(expires ?? "") - Date.now();
    if (term > 0) this.#termMs = term;
  }

  /** The server has so many bytes. Where these are more than before, the line is not that bad. */
  #standsAt(offset: number): void {
    if (offset > this.#offset) this.#patience.restore();
    this.#offset = offset;
  }

  /** Keeps where it can be gone on with. What comes of it prolongs its term, so that it is kept again from time to time. */
  #remember(): void {
    const address = this.#tus?.url;
    const now = Date.now();
    if (this.#key === undefined || !address || now < this.#keptAt + KEEP_EVERY_MS) return;
    keep(this.#key, { address, until: now + this.#termMs });
    this.#keptAt = now;
  }

  /** What became of it. Nothing while it is under way, or while that cannot be asked. */
  async #record(signal?: AbortSignal): Promise<Answer | undefined> {
    const address = this.#tus?.url;
    if (!address) return undefined;
    const answer = await ask(address, { headers: { Accept: "application/json" } }, signal);
    return answer?.ok ? parseRecord(await answer.text().catch(() => "")) : undefined;
  }

  /** Has the server drop what has come. What is stored by then stays, and is shown. */
  async #giveUp(): Promise<Ending> {
    const address = this.#tus?.url;
    if (!address) return { cancelled: "nothing" };
    const given = await ask(address, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } });
    if (given !== undefined && (given.ok || given.status === 404 || given.status === 410)) {
      return { cancelled: "nothing" };
    }
    return (await this.#record()) ?? { cancelled: "unknown" };
  }
}

/** An answer, if there is one before long. */
async function ask(address: string, request: RequestInit, signal?: AbortSignal): Promise<Response | undefined> {
  const limit = AbortSignal.timeout(ANSWER_MS);
  try {
    return await fetch(address, {
      cache: "no-store",
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
      ...request,
    });
  } catch {
    return undefined;
  }
}

/** Calls when nothing has moved for a while. */
class Stall {
  #timer: number | undefined;
  readonly #afterMs: number;
  readonly #call: () => void;

  constructor(afterMs: number, call: () => void) {
    this.#afterMs = afterMs;
    this.#call = call;
  }

  isMoving(): void {
    this.end();
    this.#timer = window.setTimeout(this.#call, this.#afterMs);
  }

  end(): void {
    window.clearTimeout(this.#timer);
  }
}

/** Why an upload cannot go on: an answer that says so, or none. */
interface Failure {
  readonly answer?: Answered;
}

interface Answered {
  readonly status: number;
  readonly problem: Problem;
  /** An answer to HEAD says nothing but its status. */
  readonly saysWhy: boolean;
  /** For how long the server does not want to be asked (RFC 9110, section 10.2.3). */
  readonly retryAfterMs: number;
}

const SILENCE: Failure = {};

/** What went wrong. Read at once: a request that is ended later forgets its answer. */
function failureOf(error: DetailedError | Error): Failure {
  const response = "originalResponse" in error ? error.originalResponse : null;
  if (response === null) return SILENCE;
  const [status, body] = [response.getStatus(), response.getBody()];
  const seconds = Number(response.getHeader("Retry-After") ?? 0);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : 0;
  return { answer: { status, problem: parseProblem(status, body), saysWhy: body !== "", retryAfterMs } };
}

/** What stays wrong however often it is tried. */
function refusal(failure: Failure | undefined): Answer | undefined {
  const answer = failure?.answer;
  if (answer === undefined || mayPass(answer.status, answer.problem)) return undefined;
  return { refused: answer.problem };
}

/** Why it waits, for the uploader. */
function reason(failure: Failure | undefined): string {
  const answer = failure?.answer;
  if (answer !== undefined) return answer.saysWhy ? answer.problem.detail : "The server cannot go on with it at the moment.";
  return navigator.onLine ? "The server cannot be reached." : "This computer is offline.";
}

/** Whether there is nothing left to go on with. */
function isOver(ending: Ending): boolean {
  if (!("refused" in ending)) return true;
  return !RESUMABLE_REFUSALS.includes(ending.refused.kind);
}

/** What the server is told before the first byte, by the usual keys. */
function metadata({ file, path, attributes }: Cargo, sha256: string | undefined): Record<string, string> {
  const about: Record<string, string> = Object.fromEntries(attributes);
  about["filename"] = file.name;
  if (file.type !== "") about["filetype"] = file.type;
  if (path !== file.name) about["relativePath"] = path;
  if (sha256 !== undefined) about["sha256"] = sha256;
  return about;
}

function unreadable(): Problem {
  return localProblem(
    "unreadable",
    "The file cannot be read any more: it was changed, moved or deleted after it was chosen. " +
      "Nothing of it is stored; choose it again.",
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
