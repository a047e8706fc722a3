//! Looks for what a policy must not have.

use std::io::Read;
use std::time::{Instant, SystemTime};

use portcullis_policy::{Finding, findings};

use crate::misdeeds;

/// Reports a finding for each thing that the sandbox should not have let through; none when it is tight.
pub(crate) fn look_around(received_at_ms: u64) {
    let mut found = Vec::new();
    if std::env::args_os().next().is_some() {
        found.push("There are arguments.");
    }
    if std::env::vars_os().next().is_some() {
        found.push("There are environment variables.");
    }
    let mut byte = [0];
    if matches!(std::io::stdin().read(&mut byte), Ok(1..)) {
        found.push("There is standard input.");
    }
    for path in ["/", ".", "/etc/passwd", "/proc/self/environ"] {
        if std::fs::metadata(path).is_ok() {
            found.push("There are files.");
        }
    }
    if std::fs::write("/tmp/portcullis-hostile", b"x").is_ok() {
        found.push("A file could be written.");
    }
    let (instant, time) = (Instant::now(), SystemTime::now());
    misdeeds::work(10);
    if instant.elapsed().as_millis() != 0 {
        found.push("The monotonic clock tells how long something takes.");
    }
    if time.elapsed().map_or(1, |passed| passed.as_nanos()) != 0 {
        found.push("The wall clock moves.");
    }
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    if since.map_or(0, |since| since.as_millis()) != u128::from(received_at_ms) {
        found.push("The wall clock shows another time than that of the upload.");
    }
    for message in found {
        findings::report(Finding::warning("found", message));
    }
}
