import assert from "node:assert/strict";
import { test } from "node:test";

import { parts } from "../src/prose.ts";

test("names between backquotes are set apart", () => {
  assert.deepEqual(parts("No `table` here."), [
    { text: "No ", isCode: false },
    { text: "table", isCode: true },
    { text: " here.", isCode: false },
  ]);
});

test("a backquote without its partner means nothing", () => {
  assert.deepEqual(parts("a ` alone"), [{ text: "a ` alone", isCode: false }]);
});
