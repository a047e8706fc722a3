//! What policies noticed: how often each rule was broken, and where.

use maud::{Markup, html};
use portcullis_types::{Finding, PolicyName, Severity, Tally};

use super::prose::prose;
use super::quantity::{counted, grouped};

/// In the order of their weight.
const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Info];

/// How often one rule was broken in all.
#[derive(Debug, PartialEq, Eq)]
struct RuleCount<'a> {
    policy: &'a PolicyName,
    rule: &'a str,
    severity: Severity,
    count: u64,
}

/// How many findings one file has, listed or not.
pub(super) fn count(findings: &[Finding], totals: &[Tally]) -> u64 {
    tallies(findings, totals)
        .iter()
        .map(|tally| tally.count)
        .sum()
}

/// The findings of one file. Nothing if there are none.
pub(super) fn findings(findings: &[Finding], totals: &[Tally]) -> Markup {
    let tallies = tallies(findings, totals);
    let all = count(findings, totals);
    let listed = findings.len() as u64;
    html! {
        @if all > 0 {
            section class="findings" {
                h3 { (counted(all, "finding")) }
                ul class="weights" {
                    @for severity in SEVERITIES { (rules(severity, &tallies)) }
                }
                @if listed < all {
                    p class="hint" { (grouped(listed)) " of them are listed; the others are of the same kinds." }
                }
                @if listed > 0 { (table(findings)) }
            }
        }
    }
}

/// The rules of one severity. Nothing if there are none.
fn rules(severity: Severity, tallies: &[RuleCount<'_>]) -> Markup {
    let rules: Vec<_> = tallies
        .iter()
        .filter(|tally| tally.severity == severity)
        .collect();
    let count = rules.iter().map(|tally| tally.count).sum();
    html! {
        @if count > 0 {
            li class="weight" {
                span class={ "severity " (word(severity)) } { (counted(count, word(severity))) }
                ul class="tallies" {
                    @for tally in rules {
                        li class="tally" {
                            (tally.rule) " " span class="tally-count" { (grouped(tally.count)) }
                        }
                    }
                }
            }
        }
    }
}

fn table(findings: &[Finding]) -> Markup {
    html! {
        // Focusable, so that it can be scrolled by keyboard.
        div class="table-frame" role="region" aria-label="Findings" tabindex="0" {
            table class="finding-table" {
                caption { "Row 1 is the first one after the header." }
                thead {
                    tr {
                        th scope="col" { "Severity" }
                        th scope="col" class="number" { "Row" }
                        th scope="col" { "Column" }
                        th scope="col" { "Message" }
                        th scope="col" { "Rule" }
                    }
                }
                tbody {
                    @for finding in findings {
                        tr {
                            td { span class={ "severity " (word(finding.severity)) } { (word(finding.severity)) } }
                            td class="number" data-label="row" { @if let Some(row) = finding.row { (grouped(row)) } }
                            td class="column" { @if let Some(column) = &finding.column { (column) } }
                            td class="message" { (prose(&finding.message)) }
                            td class="rule" { (finding.rule) }
                        }
                    }
                }
            }
        }
    }
}

/// One count for each rule, in the order in which rules appear. A tally is the total of its rule and column,
/// what is listed of it included.
fn tallies<'a>(findings: &'a [Finding], totals: &'a [Tally]) -> Vec<RuleCount<'a>> {
    let mut counts: Vec<RuleCount<'a>> = Vec::new();
    let mut add = |policy, rule, severity, more: u64| {
        let known = |count: &&mut RuleCount<'a>| count.policy == policy && count.rule == rule;
        match counts.iter_mut().find(known) {
            Some(count) => count.count += more,
            None => counts.push(RuleCount {
                policy,
                rule,
                severity,
                count: more,
            }),
        }
    };
    let total_of = |finding: &Finding| {
        totals.iter().find(|total| {
            total.policy == finding.policy
                && total.rule == finding.rule
                && total.column == finding.column
        })
    };
    for finding in findings {
        let one = u64::from(total_of(finding).is_none());
        add(&finding.policy, &finding.rule, finding.severity, one);
    }
    for total in totals {
        add(&total.policy, &total.rule, Severity::Error, total.count);
    }
    counts
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, message: &str) -> Finding {
        Finding {
            policy: "csv-schema".parse().expect("is a name"),
            rule: rule.to_owned(),
            severity: Severity::Error,
            message: message.to_owned(),
            row: Some(1_204),
            column: Some("birthYear".to_owned()),
            offset: None,
            excerpt: None,
        }
    }

    fn total(rule: &str, column: Option<&str>, count: u64) -> Tally {
        Tally {
            policy: "csv-schema".parse().expect("is a name"),
            rule: rule.to_owned(),
            column: column.map(str::to_owned),
            count,
        }
    }

    #[test]
    fn a_total_replaces_what_is_listed_and_never_adds_to_it() {
        let listed = [
            finding("range", "a"),
            finding("range", "b"),
            finding("enum", "c"),
        ];
        let page = findings(
            &listed,
            &[
                total("range", Some("birthYear"), 1_000),
                total("date", None, 7),
            ],
        )
        .into_string();
        assert!(page.contains("1,008 findings"), "{page}");
        assert!(page.contains("3 of them are listed"), "{page}");
    }

    #[test]
    fn a_finding_says_where_it_is() {
        let page = findings(&[finding("range", "is over 2025")], &[]).into_string();
        for words in [
            "1 finding<",
            "1,204",
            "birthYear",
            "is over 2025",
            "range",
            "error",
        ] {
            assert!(page.contains(words), "{words}");
        }
    }

    #[test]
    fn messages_and_columns_are_text_and_never_markup() {
        let mut hostile = finding("<u>", "<script>alert(1)</script>");
        hostile.column = Some("<b onclick=x>".to_owned());
        let page = findings(&[hostile], &[]).into_string();
        assert!(
            !page.contains("<script") && !page.contains("<b ") && !page.contains("<u>"),
            "{page}"
        );
    }

    #[test]
    fn without_findings_nothing_is_shown() {
        assert_eq!(findings(&[], &[]).into_string(), "");
    }
}
