import assert from "node:assert/strict";
import { test } from "node:test";

import { Patience } from "../src/patience.ts";

test("each failure waits longer, up to half a minute, and a success begins anew", () => {
  const patience = new Patience();
  const waits = Array.from({ length: 12 }, () => patience.next());
  assert.deepEqual(waits, waits.toSorted((one, other) => one - other));
  assert.equal(waits.at(-1), 30_000);
  patience.restore();
  assert.equal(patience.next(), waits[0]);
});

test("it waits as long as the server says, and never less than it would", () => {
  const patience = new Patience();
  assert.equal(patience.next(5_000), 5_000);
  for (let nth = 0; nth < 12; nth += 1) patience.next();
  assert.equal(patience.next(5_000), 30_000);
});
