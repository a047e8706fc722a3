import assert from "node:assert/strict";
import { test } from "node:test";

import type { Finding } from "../src/finding.ts";
import { findingsFile, findingsFileName } from "../src/findings-file.ts";

function finding(message: string, column?: string): Finding {
  return { policy: "csv-schema", rule: "range", severity: "error", message, row: 1204, column, offset: 99 };
}

function rows(file: string): string[] {
  return file.replace("\uFEFF", "").trimEnd().split("\r\n");
}

test("each finding is a row below the header", () => {
  const file = findingsFile("a.csv", [finding("is over 2025", "birthYear")]);
  assert.ok(file.startsWith("\uFEFF"));
  assert.deepEqual(rows(file), [
    "file,severity,row,column,message,rule,policy,offset",
    "a.csv,error,1204,birthYear,is over 2025,range,csv-schema,99",
  ]);
});

test("commas, quotes and line breaks stay within their cell", () => {
  const file = findingsFile("a.csv", [finding('a "b", c\r\nd')]);
  assert.ok(file.includes('"a ""b"", c\r\nd"'), file);
});

test("nothing that a file has named is a formula to a spreadsheet", () => {
  for (const hostile of ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", " =1", "\u200B=1", "\uFF1D1", "|cmd", "%0A"]) {
    const file = findingsFile("a.csv", [finding("m", hostile)]);
    const cell = file.split("1204,")[1]?.replace(/^"/, "");
    assert.ok(cell?.startsWith("'"), JSON.stringify(file));
  }
});

test("the file is named after the one that it is about", () => {
  assert.equal(findingsFileName("patient.2024.csv"), "patient.2024-findings.csv");
  assert.equal(findingsFileName("patient"), "patient-findings.csv");
});
