import assert from "node:assert/strict";
import { test } from "node:test";

import { parseAnswer } from "../src/answer.ts";

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

test("a receipt is read with its findings", () => {
  const answer = parseAnswer(201, JSON.stringify({ uploads: [RECEIPT] }));
  assert.ok("stored" in answer);
  assert.equal(answer.stored.path, RECEIPT.path);
  assert.equal(answer.stored.traceId, RECEIPT.trace_id);
  assert.deepEqual(answer.stored.tallies, []);
  assert.deepEqual(answer.stored.findings, [
    { ...RECEIPT.findings[0], offset: undefined },
  ]);
});

test("why a file is set apart is read", () => {
  const refusal = { rule: "under-review", message: "Somebody will look at it." };
  const answer = parseAnswer(201, JSON.stringify({ uploads: [{ ...RECEIPT, status: "quarantined", refusal }] }));
  assert.ok("stored" in answer);
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
  const answer = parseAnswer(422, JSON.stringify(body));
  assert.ok("refused" in answer);
  assert.equal(answer.refused.kind, "policy-rejected");
  assert.equal(answer.refused.detail, "1 value breaks a rule.");
  assert.equal(answer.refused.supportId, body.support_id);
  assert.equal(answer.refused.findings.length, 1);
  assert.equal(answer.refused.tallies[0]?.count, 900);
});

test("only a 201 with a receipt counts as stored", () => {
  for (const [status, body] of [
    [200, JSON.stringify({ uploads: [RECEIPT] })],
    [201, "<html>signed out</html>"],
    [201, JSON.stringify({ uploads: [{ ...RECEIPT, status: "lost" }] })],
    [201, JSON.stringify([RECEIPT])],
    [502, "<h1>Bad gateway</h1>"],
    [0, ""],
  ] as const) {
    const answer = parseAnswer(status, body);
    assert.ok("refused" in answer && answer.refused.kind === "not-ours", `${status} ${body}`);
    assert.match(answer.refused.detail, new RegExp(String(status)));
  }
});

test("members of another shape are left out, and an unknown severity weighs most", () => {
  const body = {
    type: "urn:portcullis:problem:policy-rejected",
    detail: "No.",
    findings: [7, { rule: "no message" }, { message: "m", row: -1, column: 3, severity: "dire" }],
    tallies: "many",
    policies: [{ name: "p" }],
  };
  const answer = parseAnswer(422, JSON.stringify(body));
  assert.ok("refused" in answer);
  assert.deepEqual(answer.refused.findings, [
    { policy: "", rule: "", severity: "error", message: "m", row: undefined, column: undefined, offset: undefined },
  ]);
  assert.deepEqual([answer.refused.tallies, answer.refused.policies], [[], []]);
});
