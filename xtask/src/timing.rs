//! Where the time of a task goes: the seconds of each step and of the slowest tests, as one table at its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How many tests are listed.
const SLOWEST: usize = 20;
/// Test binaries whose tests take less together are not listed, in seconds.
const SHORT_SECONDS: f64 = 1.0;

/// What was timed so far.
#[derive(Default)]
pub(crate) struct Timing {
    steps: RefCell<Vec<(String, Duration)>>,
    tests: RefCell<Vec<TestTime>>,
}

/// How long one test took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TestTime {
    /// Its binary.
    pub(crate) binary: String,
    /// Its name within the binary.
    pub(crate) name: String,
    pub(crate) seconds: f64,
}

impl Timing {
    /// Does a step and notes how long it takes, whether or not it succeeds.
    pub(crate) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let outcome = work();
        let mut steps = self.steps.borrow_mut();
        steps.push((name.to_owned(), began.elapsed()));
        outcome
    }

    /// Notes how long tests took.
    pub(crate) fn tests(&self, tests: Vec<TestTime>) {
        self.tests.borrow_mut().extend(tests);
    }

    /// Everything as a table; empty if nothing was timed.
    pub(crate) fn table(&self) -> String {
        let steps = self.steps.borrow();
        let mut table = String::new();
        if steps.is_empty() {
            return table;
        }
        let mut row = |name: &str, seconds: f64| {
            let _ = writeln!(table, "{seconds:8.1}  {name}");
        };
        for (name, took) in steps.iter() {
            row(name, took.as_secs_f64());
        }
        let all: Duration = steps.iter().map(|(_, took)| took).sum();
        row("all steps", all.as_secs_f64());
        self.test_rows(&mut table);
        format!("\nseconds\n{table}")
    }

    fn test_rows(&self, table: &mut String) {
        let tests = self.tests.borrow();
        let mut binaries: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
        for test in tests.iter() {
            let (count, seconds) = binaries.entry(&test.binary).or_default();
            *count += 1;
            *seconds += test.seconds;
        }
        let mut binaries: Vec<_> = binaries.into_iter().collect();
        binaries.sort_by(|(_, (_, one)), (_, (_, other))| other.total_cmp(one));
        if !binaries.is_empty() {
            let _ = writeln!(
                table,
                "\ntests of each binary, added together; they run side by side"
            );
        }
        for (binary, (count, seconds)) in &binaries {
            if *seconds >= SHORT_SECONDS {
                let _ = writeln!(table, "{seconds:8.1}  {binary} ({count})");
            }
        }
        let mut slowest: Vec<_> = tests.iter().collect();
        slowest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        if !slowest.is_empty() {
            let _ = writeln!(table, "\nthe slowest tests");
        }
        for TestTime {
            binary,
            name,
            seconds,
        } in slowest.into_iter().take(SLOWEST)
        {
            let _ = writeln!(table, "{seconds:8.1}  {binary} {name}");
        }
    }
}

/// The tests in a report in the format of JUnit, as cargo-nextest writes it: an element `testcase` for each, whose attributes
/// say the binary, the test and its seconds. Names of tests need no escapes in XML.
pub(crate) fn junit(report: &str) -> Vec<TestTime> {
    let cases = report.split("<testcase ").skip(1);
    let read = |case: &str| {
        let head = case.split('>').next()?;
        let attribute = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        Some(TestTime {
            binary: attribute("classname")?,
            name: head.strip_prefix("name=\"")?.split_once('"')?.0.to_owned(),
            seconds: attribute(" time")?.parse().ok()?,
        })
    };
    cases.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_steps_binaries_and_the_slowest_tests() {
        let timing = Timing::default();
        assert_eq!(timing.table(), "");
        timing.step("build", || Ok(())).expect("succeeds");
        let report = r#"<testsuite name="portcullis-web">
            <testcase name="lines::a" classname="portcullis-web" timestamp="2026-12-01T03:00:00" time="0.250"></testcase>
            <testcase name="lines::b" classname="portcullis-web" timestamp="2026-12-01T03:00:00" time="1.500"/>"#;
        let read = junit(report);
        assert_eq!(read[0].name, "lines::a");
        timing.tests(read);
        let table = timing.table();
        assert!(table.contains("0.0  build\n"), "{table}");
        assert!(table.contains("1.8  portcullis-web (2)\n"), "{table}");
        let slowest = "1.5  portcullis-web lines::b\n     0.2  portcullis-web lines::a\n";
        assert!(table.contains(slowest), "{table}");
    }
}
