//! What became of an attempt: for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_engine::{Call, Outcome, Trial, Word};
use portcullis_types::{CounterName, Finding};
use serde::Serialize;

use crate::findings;
use crate::screen::{self, BAD, DOUBTFUL, GOOD, HEAD, styled};

/// A policy's last word, coloured.
fn shown(word: Word) -> String {
    match word {
        Word::Accept => styled(GOOD, "accept"),
        Word::Route => styled(GOOD, "route"),
        Word::Quarantine => styled(DOUBTFUL, "quarantine"),
        Word::Reject => styled(BAD, "reject"),
        Word::Fail => styled(BAD, "failed"),
    }
}

#[derive(Serialize)]
pub(crate) struct Report<'a> {
    verdict: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    findings: &'a [Finding],
    totals: Vec<Total<'a>>,
    facts: BTreeMap<&'a str, &'a str>,
    counters: &'a BTreeMap<CounterName, u64>,
    stages: Vec<Stage>,
    bytes_shown: u64,
    peak_memory_bytes: u64,
}

#[derive(Serialize)]
struct Total<'a> {
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    count: u64,
}

#[derive(Serialize)]
struct Stage {
    call: String,
    calls: u64,
    cpu_us: f64,
}

impl<'a> Report<'a> {
    pub(crate) fn of(trial: &'a Trial) -> Self {
        let refusal = match &trial.outcome {
            Ok(Outcome::Reject(refusal) | Outcome::Quarantine(refusal)) => Some(refusal),
            _ => None,
        };
        let place = match &trial.outcome {
            Ok(Outcome::Route(disk, path)) => Some((disk.as_str(), path.to_string())),
            _ => None,
        };
        let (disk, path) = place.unzip();
        let total = |tally: &'a portcullis_types::Tally| Total {
            rule: &tally.rule,
            column: tally.column.as_deref(),
            count: tally.count,
        };
        let facts = trial.facts.iter();
        Self {
            verdict: Word::of(trial),
            rule: refusal.map(|refusal| refusal.rule.as_str()),
            message: refusal.map(|refusal| refusal.message.as_str()),
            disk,
            path,
            failure: trial.outcome.as_ref().err().map(ToString::to_string),
            findings: &trial.findings.listed,
            totals: trial.findings.tallies.iter().map(total).collect(),
            facts: facts
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            counters: &trial.record.counters,
            stages: trial
                .stages
                .iter()
                .map(|stage| Stage {
                    call: stage.call.to_string(),
                    calls: stage.calls,
                    cpu_us: stage.busy.as_secs_f64() * 1e6,
                })
                .collect(),
            bytes_shown: trial.record.bytes,
            peak_memory_bytes: trial.record.memory_bytes,
        }
    }
}

pub(crate) fn print(trial: &Trial, memory_limit: usize) {
    let word = shown(Word::of(trial));
    match &trial.outcome {
        Ok(Outcome::Accept) => anstream::println!("{word}"),
        Ok(Outcome::Route(disk, path)) => anstream::println!("{word}  {path} on disk {disk}"),
        Ok(Outcome::Quarantine(refusal) | Outcome::Reject(refusal)) => {
            anstream::println!("{word}  {}: {}", refusal.rule, refusal.message);
        }
        Err(failure) => anstream::println!("{word}  {failure}"),
    }
    let listed = &trial.findings.listed;
    print_section("Findings", &findings::table(listed));
    let rows = trial.findings.tallies.iter();
    let rows: Vec<_> = rows
        .map(|tally| {
            let column = tally.column.clone().unwrap_or_default();
            vec![tally.rule.clone(), column, tally.count.to_string()]
        })
        .collect();
    print_section(
        "Totals of what is not listed in full",
        &screen::table(&["rule", "column", "count"], &rows),
    );
    let rows: Vec<_> = trial
        .facts
        .iter()
        .map(|(name, value)| vec![name.clone(), value.clone()])
        .collect();
    print_section("Facts", &screen::table(&["name", "value"], &rows));
    let counted = trial
        .record
        .counters
        .iter()
        .filter(|(_, count)| **count > 0);
    let rows: Vec<_> = counted
        .map(|(name, count)| vec![name.to_string(), count.to_string()])
        .collect();
    print_section("Counters", &screen::table(&["counter", "count"], &rows));
    print_section("Time", &stages(trial));
    anstream::println!(
        "  peak memory {} of {}",
        screen::bytes(trial.record.memory_bytes),
        screen::bytes(memory_limit as u64)
    );
}

fn stages(trial: &Trial) -> String {
    let rows: Vec<_> = trial
        .stages
        .iter()
        .map(|stage| {
            let rate = match stage.call {
                Call::Chunk => screen::rate(trial.record.bytes, stage.busy),
                _ => String::new(),
            };
            let call = match stage.call {
                Call::Configure => "instance + configure".to_owned(),
                call => call.to_string(),
            };
            vec![
                call,
                stage.calls.to_string(),
                screen::time(stage.busy),
                rate,
            ]
        })
        .collect();
    let total: Duration = trial.stages.iter().map(|stage| stage.busy).sum();
    let table = screen::table(&["call", "calls", "CPU time", ""], &rows);
    format!("{table}  in all {}\n", screen::time(total))
}

fn print_section(title: &str, text: &str) {
    if !text.is_empty() {
        anstream::print!("\n{}\n{text}", styled(HEAD, title));
    }
}
