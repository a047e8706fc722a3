/**
 * What the server says about one upload. Its JSON is parsed here, once; everything behind works with
 * these types.
 */

import { type Finding, type Severity, type Tally } from "./finding.ts";

export interface PolicyVerdict {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly verdict: string;
}

/** The file is stored, in its place or apart. */
export interface Receipt {
  readonly id: string;
  readonly status: "accepted" | "quarantined";
  readonly disk: string;
  readonly path: string;
  readonly version: number;
  readonly size: number;
  readonly sha256: string;
  /** Why it is set apart, where it is. */
  readonly reason: string | undefined;
  readonly policies: readonly PolicyVerdict[];
  readonly findings: readonly Finding[];
  readonly tallies: readonly Tally[];
  readonly storedAt: string;
  readonly traceId: string;
}

/** The file is not stored (RFC 9457). */
export interface Problem {
  /** The last part of the problem's type, such as `policy-rejected`. */
  readonly kind: string;
  readonly detail: string;
  readonly policies: readonly PolicyVerdict[];
  readonly findings: readonly Finding[];
  readonly tallies: readonly Tally[];
  readonly supportId: string | undefined;
}

export type Answer = { readonly stored: Receipt } | { readonly refused: Problem };

const TYPE_PREFIX = "urn:portcullis:problem:";

/** What became of an upload, by its record. Absent while nothing has become of it. */
export function parseRecord(body: string): Answer | undefined {
  const record = parseJson(body);
  const stored = receipt(members(record?.["receipt"]) ?? {});
  if (stored !== undefined) return { stored };
  const refused = problem(members(record?.["problem"]));
  return refused === undefined ? undefined : { refused };
}

/** Why a request was refused. What is no answer of Portcullis becomes a problem that says so. */
export function parseProblem(status: number, body: string): Problem {
  return problem(parseJson(body)) ?? notOurs(status);
}

/** A problem that the browser notices, in the form of those that the server notices. */
export function localProblem(kind: string, detail: string): Problem {
  return { kind, detail, policies: [], findings: [], tallies: [], supportId: undefined };
}

/** Statuses that say nothing against the file: the next try may go well (RFC 9110, RFC 4918). */
const PASSING_STATUSES = [408, 423, 425, 429, 502, 503, 504];
/** The same of a conflict, which may also be one that stays. */
const PASSING_CONFLICTS = ["fenced", "offset-mismatch", "upload-ended"];

/** Whether this may pass, so that the upload can be gone on with. */
export function mayPass(status: number, problem: Problem): boolean {
  return status === 409 ? PASSING_CONFLICTS.includes(problem.kind) : PASSING_STATUSES.includes(status);
}

/** Whether policies refuse the data: sending the same file again gives the same answer. */
export function isRejection(problem: Problem): boolean {
  return problem.kind === "policy-rejected";
}

/** A proxy in between has answered, or the server is not the one that this page belongs to. */
function notOurs(status: number): Problem {
  if (status === 413) {
    const detail = "A server on the way does not let a file of this size pass; tell the operator of this site.";
    return localProblem("not-ours", detail);
  }
  return localProblem(
    "not-ours",
    `The server answered with status ${status} and without saying what became of the file. ` +
      "Try again; if it stays like this, tell the operator of this site.",
  );
}

function receipt(json: Members): Receipt | undefined {
  const status = text(json["status"]);
  const path = text(json["path"]);
  if ((status !== "accepted" && status !== "quarantined") || path === undefined) return undefined;
  return {
    id: text(json["id"]) ?? "",
    status,
    disk: text(json["disk"]) ?? "",
    path,
    version: whole(json["version"]) ?? 1,
    size: whole(json["size"]) ?? 0,
    sha256: text(json["sha256"]) ?? "",
    reason: text(members(json["refusal"])?.["message"]),
    policies: list(json["policies"], policyVerdict),
    findings: list(json["findings"], finding),
    tallies: list(json["tallies"], tally),
    storedAt: text(json["stored_at"]) ?? "",
    traceId: text(json["trace_id"]) ?? "",
  };
}

function problem(json: Members | undefined): Problem | undefined {
  const type = text(json?.["type"]);
  if (json === undefined || type === undefined || !type.startsWith(TYPE_PREFIX)) return undefined;
  return {
    kind: type.slice(TYPE_PREFIX.length),
    detail: text(json["detail"]) ?? text(json["title"]) ?? "",
    policies: list(json["policies"], policyVerdict),
    findings: list(json["findings"], finding),
    tallies: list(json["tallies"], tally),
    supportId: text(json["support_id"]),
  };
}

function policyVerdict(json: Members): PolicyVerdict | undefined {
  const name = text(json["name"]);
  const verdict = text(json["verdict"]);
  if (name === undefined || verdict === undefined) return undefined;
  return {
    name,
    verdict,
    version: text(json["version"]) ?? "",
    digest: text(json["digest"]) ?? "",
  };
}

function finding(json: Members): Finding | undefined {
  const message = text(json["message"]);
  if (message === undefined) return undefined;
  return {
    message,
    policy: text(json["policy"]) ?? "",
    rule: text(json["rule"]) ?? "",
    severity: severity(json["severity"]),
    row: whole(json["row"]),
    column: text(json["column"]),
    offset: whole(json["offset"]),
  };
}

function tally(json: Members): Tally | undefined {
  const rule = text(json["rule"]);
  const count = whole(json["count"]);
  if (rule === undefined || count === undefined) return undefined;
  return { rule, count, policy: text(json["policy"]) ?? "", column: text(json["column"]) };
}

/** A severity that this page does not know weighs most. */
function severity(json: unknown): Severity {
  if (json === "info") return "note";
  return json === "warning" ? "warning" : "error";
}

type Members = Readonly<Record<string, unknown>>;

function parseJson(body: string): Members | undefined {
  try {
    return members(JSON.parse(body));
  } catch {
    return undefined;
  }
}

function members(json: unknown): Members | undefined {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Members) : undefined;
}

function list<Item>(json: unknown, parse: (item: Members) => Item | undefined): Item[] {
  if (!Array.isArray(json)) return [];
  return json.flatMap((item: unknown) => {
    const found = members(item);
    const parsed = found === undefined ? undefined : parse(found);
    return parsed === undefined ? [] : [parsed];
  });
}

function text(json: unknown): string | undefined {
  return typeof json === "string" ? json : undefined;
}

function whole(json: unknown): number | undefined {
  return typeof json === "number" && Number.isFinite(json) && json >= 0 ? json : undefined;
}
