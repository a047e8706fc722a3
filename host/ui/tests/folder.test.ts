import assert from "node:assert/strict";
import { test } from "node:test";

import { isMeant } from "../src/folder.ts";

test("what systems leave in a folder is not sent, and what was chosen by itself always is", () => {
  for (const path of ["site/2024/patient.csv", "site/a.b/c", ".hidden.csv", "Thumbs.db", ".config/patient.csv"]) {
    assert.ok(isMeant({ path }), path);
  }
  for (const path of ["site/.DS_Store", "site/.git/config", "site/Thumbs.db", "site/x/desktop.ini"]) {
    assert.ok(!isMeant({ path }), path);
  }
});
