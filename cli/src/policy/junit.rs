//! The results of fixtures in the XML format of JUnit, which CI systems show.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::policy::test::{Report, Verdict};

/// Writes them to a file.
pub(crate) fn write(report: &Report, path: &Path) -> Result<()> {
    let mut suite = TestSuite::new("fixtures");
    for case in &report.cases {
        let detail = anstream::adapter::strip_str(&case.detail).to_string();
        let status = match case.result {
            Verdict::Passed | Verdict::Blessed => TestCaseStatus::success(),
            Verdict::Failed => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let first = detail.lines().next().unwrap_or_default().trim();
                status.set_message(first).set_description(detail.as_str());
                status
            }
        };
        let mut test = TestCase::new(case.name.as_str(), status);
        test.set_time(Duration::from_secs_f64(case.seconds));
        suite.add_test_case(test);
    }
    let mut results = quick_junit::Report::new("portcullis policy test");
    results.add_test_suite(suite);
    let text = results.to_string().context("the results are no XML")?;
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
