/** The findings as a CSV (RFC 4180) that is safe to open in a spreadsheet. */

import type { Finding } from "./finding.ts";

const HEADER = ["file", "severity", "row", "column", "message", "rule", "policy", "offset"];

/**
 * What a spreadsheet may take for a formula, in full-width spelling too, after whatever importers skip.
 * Column names and messages can come from the file that was sent.
 */
const FORMULA = /^[\s\p{C}]*[=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/u;

/** The whole file, with a byte order mark: without it spreadsheets do not read UTF-8. */
export function findingsFile(filename: string, findings: readonly Finding[]): string {
  const rows = findings.map((finding) => [
    filename,
    finding.severity,
    finding.row,
    finding.column,
    finding.message,
    finding.rule,
    finding.policy,
    finding.offset,
  ]);
  return `\uFEFF${[HEADER, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** What the file is called: by the file that the findings are about. */
export function findingsFileName(filename: string): string {
  return `${filename.replace(/\.[^.]*$/, "")}-findings.csv`;
}

function cell(value: string | number | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return String(value);
  const harmless = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
