/** The findings of one file: how many, where, by severity and rule, and as a file to take along. */

import { button, element, prose } from "./element.ts";
import { countAll, type Filter, filtered, type Finding, type RuleCount, ruleCounts, SEVERITIES, type Tally } from "./finding.ts";
import { findingsFile, findingsFileName } from "./findings-file.ts";
import { counted, grouped } from "./quantity.ts";

/** How many rows are shown at first: thousands at once would make the page slow. */
const PAGE_ROWS = 200;

const ALL: Filter = { severity: undefined, rule: undefined };

/** The findings, or nothing if there are none. */
export function findingsView(
  filename: string,
  findings: readonly Finding[],
  tallies: readonly Tally[],
): HTMLElement | undefined {
  const all = countAll(findings, tallies);
  if (all === 0) return undefined;
  return new FindingsView(filename, findings, tallies, all).element;
}

class FindingsView {
  readonly element: HTMLElement;
  readonly #findings: readonly Finding[];
  readonly #body = element("tbody");
  readonly #shown = element("p", { class: "hint", role: "status" });
  readonly #more: HTMLButtonElement;
  /** Brings the buttons into line with the filter. */
  readonly #choices: (() => void)[] = [];
  #filter = ALL;
  #rows = PAGE_ROWS;

  constructor(filename: string, findings: readonly Finding[], tallies: readonly Tally[], all: number) {
    this.#findings = findings;
    this.#more = button("Show more", () => {
      this.#rows += PAGE_ROWS;
      this.#fill();
    });
    const listed = findings.length;
    this.element = element(
      "section",
      { class: "findings" },
      element(
        "div",
        { class: "findings-head" },
        element("h3", {}, counted(all, "finding")),
        listed > 0 && button("Download as CSV", () => download(filename, findings), { class: "quiet" }),
      ),
      this.#weights(ruleCounts(findings, tallies)),
      listed < all &&
        element("p", { class: "hint" }, `${grouped(listed)} of them are listed; the others are of the same kinds.`),
      listed > 0 && this.#table(),
      this.#shown,
      this.#more,
    );
    this.#fill();
  }

  /** Each severity with its rules and their numbers; pressing one shows only its findings. */
  #weights(rules: readonly RuleCount[]): HTMLElement {
    const groups = SEVERITIES.flatMap((severity) => {
      const own = rules.filter((rule) => rule.severity === severity);
      if (own.length === 0) return [];
      const sum = own.reduce((all, { count }) => all + count, 0);
      const whole = this.#choice({ severity, rule: undefined }, `severity ${severity}`, counted(sum, severity));
      const each = own.map(({ rule, count }) => {
        const number = element("span", { class: "tally-count" }, grouped(count));
        return element("li", {}, this.#choice({ severity, rule }, "tally", rule, " ", number));
      });
      return [element("li", { class: "weight" }, whole, element("ul", { class: "tallies" }, ...each))];
    });
    return element("ul", { class: "weights", "aria-label": "Show only" }, ...groups);
  }

  /** A button that narrows the list, and widens it again when it is pressed once more. */
  #choice(filter: Filter, kind: string, ...words: (string | Node)[]): HTMLButtonElement {
    const isChosen = () => filter.severity === this.#filter.severity && filter.rule === this.#filter.rule;
    const made = button("", () => this.#choose(isChosen() ? ALL : filter), { class: kind });
    made.append(...words);
    // Without a list there is nothing to narrow.
    made.disabled = this.#findings.length === 0;
    this.#choices.push(() => made.setAttribute("aria-pressed", String(isChosen())));
    return made;
  }

  #table(): HTMLElement {
    const heading = (words: string, kind?: string) => element("th", { scope: "col", class: kind }, words);
    return element(
      "div",
      // Focusable, so that it can be scrolled by keyboard.
      { class: "table-frame", role: "region", "aria-label": "Findings", tabindex: "0" },
      element(
        "table",
        { class: "finding-table" },
        element("caption", {}, "Row 1 is the first one after the header."),
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            heading("Severity"),
            heading("Row", "number"),
            heading("Column"),
            heading("Message"),
            heading("Rule"),
          ),
        ),
        this.#body,
      ),
    );
  }

  #choose(filter: Filter): void {
    this.#filter = filter;
    this.#rows = PAGE_ROWS;
    this.#fill();
  }

  #fill(): void {
    const chosen = filtered(this.#findings, this.#filter);
    const visible = chosen.slice(0, this.#rows);
    this.#body.replaceChildren(...visible.map(row));
    for (const bring of this.#choices) bring();
    const isFiltered = chosen.length < this.#findings.length;
    this.#more.hidden = visible.length === chosen.length;
    this.#shown.hidden = !isFiltered && this.#more.hidden;
    this.#shown.textContent = isFiltered
      ? `${counted(chosen.length, "finding")} of ${grouped(this.#findings.length)} match.`
      : `The first ${grouped(visible.length)} of ${grouped(chosen.length)} are shown.`;
  }
}

function row({ severity, row: line, column, message, rule }: Finding): HTMLTableRowElement {
  return element(
    "tr",
    {},
    element("td", {}, element("span", { class: `severity ${severity}` }, severity)),
    element("td", { class: "number", "data-label": "row" }, line === undefined ? "" : grouped(line)),
    element("td", { class: "column" }, column ?? ""),
    prose("td", message, { class: "message" }),
    element("td", { class: "rule" }, rule),
  );
}

function download(filename: string, findings: readonly Finding[]): void {
  const file = new Blob([findingsFile(filename, findings)], { type: "text/csv;charset=utf-8" });
  const address = URL.createObjectURL(file);
  element("a", { href: address, download: findingsFileName(filename) }).click();
  // The browser has the content by then; the address would keep it in memory.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
