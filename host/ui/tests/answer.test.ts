import assert from "node:assert/strict";
import { test } from "node:test";

import { mayPass, type Problem, parseProblem, parseRecord } from "../src/answer.ts";

const RECEIPT = {
  id: "01900000-0000-7000-8000-000000000000",
  status: "accepted",
  disk: "local",
  path: "submissions/c1/2024/patient/patient.csv",
  size: 12,
  sha256: "ab".repeat(32),
  policies: [{ name: "file-type", version: "0.1.0", digest: "sha256:00", verdict: "accept" }],
  findings: [{ policy: "csv-schema", rule: "range", severity: "warning", message: "is high", row: 3, column: "age" }],
  stored_at: "2024-05-01T10:00:00Z",
  trace_id: "0af7651916cd43dd8448eb211c80319c",
};

function refused(record: unknown): Problem {
  const answer = parseRecord(JSON.stringify(record));
  assert.ok(answer !== undefined && "refused" in answer);
  return answer.refused;
}

test("a receipt is read with its findings", () => {
  const answer = parseRecord(JSON.stringify({ state: "committed", receipt: RECEIPT }));
  assert.ok(answer !== undefined && "stored" in answer);
  assert.equal(answer.stored.path, RECEIPT.path);
  assert.equal(answer.stored.traceId, RECEIPT.trace_id);
  assert.deepEqual(answer.stored.tallies, []);
  assert.deepEqual(answer.stored.findings, [
    { ...RECEIPT.findings[0], offset: undefined },
  ]);
});

test("why a file is set apart is read", () => {
  const refusal = { rule: "under-review", message: "Somebody will look at it." };
  const answer = parseRecord(JSON.stringify({ receipt: { ...RECEIPT, status: "quarantined", refusal } }));
  assert.ok(answer !== undefined && "stored" in answer);
  assert.equal(answer.stored.reason, refusal.message);
});

test("a rejection is read with its kind, findings and support id", () => {
  const body = {
    type: "urn:portcullis:problem:policy-rejected",
    title: "A policy refused the upload",
    status: 422,
    detail: "1 value breaks a rule.",
    support_id: "0af7651916cd43dd8448eb211c80319c",
    findings: [{ policy: "p", rule: "r", severity: "error", message: "m" }],
    tallies: [{ policy: "p", rule: "r", count: 900 }],
  };
  for (const problem of [parseProblem(422, JSON.stringify(body)), refused({ state: "rejected", problem: body })]) {
    assert.equal(problem.kind, "policy-rejected");
    assert.equal(problem.detail, "1 value breaks a rule.");
    assert.equal(problem.supportId, body.support_id);
    assert.equal(problem.findings.length, 1);
    assert.equal(problem.tallies[0]?.count, 900);
  }
});

test("only a record with a receipt counts as stored", () => {
  for (const body of [
    JSON.stringify({ state: "open", offset: 12 }),
    JSON.stringify({ receipt: { ...RECEIPT, status: "lost" } }),
    JSON.stringify(RECEIPT),
    JSON.stringify([RECEIPT]),
    "<html>signed out</html>",
    "",
  ]) {
    assert.equal(parseRecord(body), undefined, body);
  }
});

test("what is no answer of Portcullis is said to be none", () => {
  for (const [status, body] of [
    [201, "<html>signed out</html>"],
    [502, "<h1>Bad gateway</h1>"],
    [0, ""],
  ] as const) {
    const problem = parseProblem(status, body);
    assert.equal(problem.kind, "not-ours");
    assert.match(problem.detail, new RegExp(String(status)));
  }
});

test("only what may pass is waited for", () => {
  const of = (status: number, kind: string) =>
    mayPass(status, parseProblem(status, JSON.stringify({ type: `urn:portcullis:problem:${kind}` })));
  assert.ok(of(503, "services-unavailable") && of(429, "too-many") && of(423, "upload-locked") && of(409, "fenced"));
  assert.ok(!of(422, "policy-rejected") && !of(409, "path-taken") && !of(507, "disk-full") && !of(410, "upload-gone"));
  assert.ok(mayPass(502, parseProblem(502, "<h1>Bad gateway</h1>")));
});

test("members of another shape are left out, and an unknown severity weighs most", () => {
  const body = {
    type: "urn:portcullis:problem:policy-rejected",
    detail: "No.",
    findings: [7, { rule: "no message" }, { message: "m", row: -1, column: 3, severity: "dire" }],
    tallies: "many",
    policies: [{ name: "p" }],
  };
  const problem = parseProblem(422, JSON.stringify(body));
  assert.deepEqual(problem.findings, [
    { policy: "", rule: "", severity: "error", message: "m", row: undefined, column: undefined, offset: undefined },
  ]);
  assert.deepEqual([problem.tallies, problem.policies], [[], []]);
});
