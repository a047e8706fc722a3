//! What has changed between two looks at a server.

use std::collections::BTreeSet;
use std::time::Instant;

use portcullis_telemetry::{By, Exposition, Labels, Metric};

/// What a server showed at one moment.
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) values: Exposition,
}

/// The newest reading beside the one before.
#[derive(Clone, Copy)]
pub(super) struct Change<'reading> {
    before: Option<&'reading Reading>,
    now: &'reading Reading,
}

impl<'reading> Change<'reading> {
    pub(super) fn new(before: Option<&'reading Reading>, now: &'reading Reading) -> Self {
        Self { before, now }
    }

    /// The value now, 0 for what never happened.
    pub(super) fn value(&self, metric: Metric, labels: &Labels) -> f64 {
        self.known(metric, labels).unwrap_or_default()
    }

    /// The same of something that not every server has.
    pub(super) fn known(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        self.now.values.sum(metric, labels)
    }

    /// What a counter grew by per second. Absent at the first look.
    pub(super) fn rate(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        let before = self.before?;
        let earlier = before.values.sum(metric, labels).unwrap_or_default();
        Some(grown(earlier, self.value(metric, labels)) / self.seconds()?)
    }

    /// What a histogram grew by per second. Absent at the first look.
    pub(super) fn frequency(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        self.before?;
        let total = self
            .grown_buckets(metric, labels)
            .last()
            .map_or(0.0, |(_, count)| *count);
        Some(total / self.seconds()?)
    }

    /// What so large a share of the values of a histogram did not exceed since the last look; before a second look, and where
    /// nothing came since, of all values. Within a bucket they are taken as evenly spread, and beyond the last bound as at it
    /// (Prometheus, `histogram_quantile`). Absent without a value.
    pub(super) fn quantile(&self, metric: Metric, labels: &Labels, share: f64) -> Option<f64> {
        let new = quantile(&self.grown_buckets(metric, labels), share);
        new.or_else(|| quantile(&self.now.values.buckets(metric, labels), share))
    }

    /// What tells the values of a metric apart.
    pub(super) fn list(&self, metric: Metric, by: By) -> BTreeSet<Labels> {
        self.now.values.list(metric, by)
    }

    fn grown_buckets(&self, metric: Metric, labels: &Labels) -> Vec<(f64, f64)> {
        let mut buckets = self.now.values.buckets(metric, labels);
        let Some(before) = self.before else {
            return buckets;
        };
        let earlier = before.values.buckets(metric, labels);
        for ((_, count), (_, before)) in buckets.iter_mut().zip(&earlier) {
            *count = grown(*before, *count);
        }
        buckets
    }

    fn seconds(&self) -> Option<f64> {
        let seconds = self.now.at.duration_since(self.before?.at).as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    }
}

/// A counter that is less than before began anew.
fn grown(before: f64, now: f64) -> f64 {
    if now < before { now } else { now - before }
}

fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let (_, all) = buckets.last()?;
    if *all <= 0.0 {
        return None;
    }
    let wanted = share * all;
    let (mut low, mut below) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= wanted && count > below {
            let within = (wanted - below) / (count - below);
            return Some(if bound.is_finite() {
                low + (bound - low) * within
            } else {
                low
            });
        }
        (low, below) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_telemetry::{Label, Outcome, Step};

    use super::*;

    fn reading(at: Instant, stored: u32, fast: u32, slow: u32) -> Reading {
        let step = "portcullis_storage_step=\"fsync\"";
        let text = format!(
            "portcullis_uploads_total{{portcullis_upload_outcome=\"stored\"}} {stored}\n\
             portcullis_storage_time_seconds_bucket{{{step},le=\"0.01\"}} {fast}\n\
             portcullis_storage_time_seconds_bucket{{{step},le=\"0.1\"}} {slow}\n\
             portcullis_storage_time_seconds_bucket{{{step},le=\"+Inf\"}} {slow}\n"
        );
        Reading {
            at,
            values: Exposition::parse(&text).expect("is a page"),
        }
    }

    fn stored() -> Labels {
        Label::Outcome(Outcome::Stored).into()
    }

    #[test]
    fn counters_grow_and_begin_anew() {
        let start = Instant::now();
        let later = start + Duration::from_secs(2);
        let (before, now) = (reading(start, 10, 0, 0), reading(later, 16, 0, 0));
        let change = Change::new(Some(&before), &now);
        assert_eq!(change.rate(Metric::Uploads, &stored()), Some(3.0));
        let restarted = reading(later, 4, 0, 0);
        let change = Change::new(Some(&before), &restarted);
        assert_eq!(change.rate(Metric::Uploads, &stored()), Some(2.0));
        assert_eq!(
            Change::new(None, &now).rate(Metric::Uploads, &stored()),
            None
        );
    }

    #[test]
    fn quantiles_are_of_what_came_since() {
        let fsync = Label::Step(Step::Fsync).into();
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        // 100 fast ones before, and 10 slow ones since.
        let (before, now) = (reading(start, 0, 100, 100), reading(later, 0, 100, 110));
        let close = |value: Option<f64>, wanted: f64| {
            assert!(
                value.is_some_and(|value| (value - wanted).abs() < 1e-9),
                "{value:?}"
            );
        };
        let change = Change::new(Some(&before), &now);
        close(change.quantile(Metric::StorageTime, &fsync, 0.5), 0.055);
        assert_eq!(change.frequency(Metric::StorageTime, &fsync), Some(10.0));
        // Nothing came: of all.
        let change = Change::new(Some(&before), &before);
        close(change.quantile(Metric::StorageTime, &fsync, 0.5), 0.005);
        let nothing = reading(start, 0, 0, 0);
        assert_eq!(
            Change::new(None, &nothing).quantile(Metric::StorageTime, &fsync, 0.5),
            None
        );
    }
}
