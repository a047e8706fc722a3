import assert from "node:assert/strict";
import { test } from "node:test";

import { countAll, type Finding, filtered, ruleCounts, type Severity, type Tally } from "../src/finding.ts";

function finding(rule: string, severity: Severity = "error"): Finding {
  return { policy: "p", rule, severity, message: "m", row: 1, column: undefined, offset: undefined };
}

const LISTED = [finding("range"), finding("range"), finding("enum", "warning")];
const TALLIES: Tally[] = [
  { policy: "p", rule: "range", column: undefined, count: 1000 },
  { policy: "p", rule: "date", column: "born", count: 7 },
];

test("a tally replaces what is listed and never adds to it", () => {
  assert.deepEqual(
    ruleCounts(LISTED, TALLIES).map(({ rule, count }) => [rule, count]),
    [["range", 1000], ["enum", 1], ["date", 7]],
  );
  assert.equal(countAll(LISTED, TALLIES), 1008);
});

test("severity and rule narrow the list together", () => {
  const rules = (severity?: Severity, rule?: string) => filtered(LISTED, { severity, rule }).map((kept) => kept.rule);
  assert.deepEqual(rules(), ["range", "range", "enum"]);
  assert.deepEqual(rules("warning"), ["enum"]);
  assert.deepEqual(rules("warning", "range"), []);
  assert.deepEqual(rules(undefined, "range"), ["range", "range"]);
});
