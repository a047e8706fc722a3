/** What an auditor asks for: where it lies, its digest, who judged it. */

import type { PolicyVerdict, Problem, Receipt } from "./answer.ts";
import { button, element, rendered } from "./element.ts";
import { grouped, size } from "./quantity.ts";

const SAID: Readonly<Record<string, string>> = {
  accept: "accepts",
  quarantine: "quarantines",
  reject: "rejects",
  failed: "failed",
  undecided: "undecided",
};

type Row = readonly [term: string, value: string | Node];

export function receiptView(receipt: Receipt): HTMLElement {
  const bytes = receipt.size >= 1_000 ? ` (${grouped(receipt.size)} bytes)` : "";
  return details("Receipt", [
    ["Stored at", copyable(`${receipt.disk}:${receipt.path}`, "path")],
    ["Version", grouped(receipt.version)],
    ["Size", size(receipt.size) + bytes],
    ["SHA-256", copyable(receipt.sha256, "digest")],
    ["Time", element("time", { datetime: receipt.storedAt }, localTime(receipt.storedAt))],
    ...policyRows(receipt.policies),
    ["Upload", element("code", {}, receipt.id)],
    ["Trace", copyable(receipt.traceId, "trace", traceLink(receipt.traceId))],
  ]);
}

/** What is known of a file that was not stored. Nothing if it was not even sent. */
export function particularsView(problem: Problem): HTMLElement | undefined {
  const rows: Row[] = policyRows(problem.policies);
  if (problem.supportId !== undefined) {
    rows.push(["Support id", copyable(problem.supportId, "support id", traceLink(problem.supportId))]);
  }
  if (rows.length === 0) return undefined;
  return details("Details", [...rows, ["Kind", element("code", {}, problem.kind)]]);
}

function details(summary: string, rows: readonly Row[]): HTMLElement {
  const terms = rows.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]);
  return element("details", { class: "receipt" }, element("summary", {}, summary), element("dl", {}, ...terms));
}

function policyRows(policies: readonly PolicyVerdict[]): Row[] {
  if (policies.length === 0) return [];
  const items = policies.map(({ name, version, digest, verdict }) =>
    element(
      "li",
      {},
      element("span", { class: "policy-name" }, `${name} ${version}`),
      " ",
      element("span", { class: "policy-verdict" }, SAID[verdict] ?? verdict),
      " ",
      element("code", {}, digest),
    ),
  );
  return [["Policies", element("ul", { class: "policies" }, ...items)]];
}

/** Where a trace is looked at, if the site says where that is: the place of its id is marked, as in the settings of the web host. */
function traceLink(traceId: string): string | undefined {
  return rendered("uploads", HTMLElement).dataset["traceUrl"]?.replaceAll("{trace_id}", traceId);
}

/** A text with a button that copies it, where the browser can; it may lead somewhere. */
function copyable(text: string, what: string, href?: string): HTMLElement {
  const code = element("code", {}, text);
  const shown = href === undefined ? code : element("a", { href, target: "_blank", rel: "noopener noreferrer" }, code);
  if (!("clipboard" in navigator)) return shown;
  const copy = button(
    "Copy",
    () => {
      navigator.clipboard.writeText(text).then(
        () => label("Copied"),
        () => label("Not copied"),
      );
    },
    { class: "copy", "aria-label": `Copy the ${what}` },
  );
  const label = (words: string) => {
    copy.textContent = words;
    setTimeout(() => (copy.textContent = "Copy"), 2_000);
  };
  return element("span", { class: "copyable" }, shown, " ", copy);
}

function localTime(rfc3339: string): string {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return rfc3339;
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
