import assert from "node:assert/strict";
import { test } from "node:test";

import { Pace } from "../src/pace.ts";

test("no speed is told from less than a second", () => {
  const pace = new Pace();
  assert.equal(pace.bytesPerSecond(), undefined);
  pace.note(0, 0);
  pace.note(1_000, 500);
  assert.equal(pace.bytesPerSecond(), undefined);
});

test("the speed is that of the last seconds", () => {
  const pace = new Pace();
  for (let second = 0; second <= 60; second += 1) {
    // 1 MB/s at first, 100 kB/s for the last half minute.
    pace.note(second <= 30 ? second * 1e6 : 30e6 + (second - 30) * 1e5, second * 1_000);
  }
  assert.equal(pace.bytesPerSecond(), 1e5);
});
