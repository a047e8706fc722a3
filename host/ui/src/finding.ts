/** What policies notice about a file. */

export const SEVERITIES = ["error", "warning", "note"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  readonly policy: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly message: string;
  /** Counted from 1 for the first one after the header, which is row 0. */
  readonly row: number | undefined;
  readonly column: string | undefined;
  readonly offset: number | undefined;
}

/** How often a rule was broken in all, in one column where it has one: more often than it is listed. */
export interface Tally {
  readonly policy: string;
  readonly rule: string;
  readonly column: string | undefined;
  readonly count: number;
}

/** How often one rule was broken. */
export interface RuleCount {
  readonly policy: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly count: number;
}

/** What of the findings is to be seen. Absent: all. */
export interface Filter {
  readonly severity: Severity | undefined;
  readonly rule: string | undefined;
}

/** One count for each rule, in the order in which rules appear. A tally counts what is listed as well. */
export function ruleCounts(findings: readonly Finding[], tallies: readonly Tally[]): RuleCount[] {
  const counts = new Map<string, RuleCount>();
  const add = (policy: string, rule: string, severity: Severity, more: number) => {
    const key = JSON.stringify([policy, rule]);
    const known = counts.get(key) ?? { policy, rule, severity, count: 0 };
    counts.set(key, { ...known, count: known.count + more });
  };
  const isTallied = (finding: Finding) =>
    tallies.some(
      ({ policy, rule, column }) => policy === finding.policy && rule === finding.rule && column === finding.column,
    );
  for (const finding of findings) {
    add(finding.policy, finding.rule, finding.severity, isTallied(finding) ? 0 : 1);
  }
  for (const { policy, rule, count } of tallies) add(policy, rule, "error", count);
  return [...counts.values()];
}

/** How many there are in all. */
export function countAll(findings: readonly Finding[], tallies: readonly Tally[]): number {
  return ruleCounts(findings, tallies).reduce((sum, { count }) => sum + count, 0);
}

export function filtered(findings: readonly Finding[], filter: Filter): Finding[] {
  return findings.filter(
    ({ severity, rule }) =>
      (filter.severity === undefined || filter.severity === severity) &&
      (filter.rule === undefined || filter.rule === rule),
  );
}
