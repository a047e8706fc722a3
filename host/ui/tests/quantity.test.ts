import assert from "node:assert/strict";
import { test } from "node:test";

import { counted, size, timeLeft } from "../src/quantity.ts";

test("sizes are never larger than they are", () => {
  assert.deepEqual(
    [0, 1, 1_999, 12_390_000, 2 ** 30, 100e9].map(size),
    ["0 bytes", "1 byte", "1.9 kB", "12.3 MB", "1.0 GB", "100.0 GB"],
  );
});

test("one thing is not things", () => {
  assert.deepEqual([counted(1, "finding"), counted(1200, "finding")], ["1 finding", "1,200 findings"]);
});

test("the time left is coarse", () => {
  assert.deepEqual(
    [2, 12, 54, 61, 3_599, 7_260].map(timeLeft),
    [
      "a few seconds left",
      "about 15 s left",
      "about 55 s left",
      "about 2 min left",
      "about 1 h 0 min left",
      "about 2 h 1 min left",
    ],
  );
});
