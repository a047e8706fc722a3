//! What a server shows Prometheus, read back: for whoever watches servers without one.

use std::collections::BTreeSet;

use crate::label::{DISK, METHOD, POLICY, TEMPLATE};
use crate::metric::{Declared, Kind};
use crate::{Label, Metric};

/// All values of one moment, by the text format of Prometheus (Exposition formats, "Text-based format", version 0.0.4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(Vec<Sample>);

/// One value.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The text is not in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not in the text format of Prometheus")]
pub struct InvalidExposition {
    /// The line, from 1.
    pub line: usize,
}

/// Labels with their values. The default fits every value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Vec<(String, String)>);

/// What values are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The name of a policy.
    Policy,
    /// The name of a disk.
    Disk,
    /// Method and target of a call.
    Call,
}

impl Exposition {
    /// Reads what a server shows.
    ///
    /// # Errors
    /// A line is not in the format.
    pub fn parse(text: &str) -> Result<Self, InvalidExposition> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let invalid = InvalidExposition { line: index + 1 };
            samples.push(sample(line).ok_or(invalid)?);
        }
        Ok(Self(samples))
    }

    /// The sum of all values of a counter or gauge with these labels. Absent where there is none.
    pub fn sum(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        let name = exposed(metric);
        let values = self.with(&name, labels).map(|sample| sample.value);
        values.reduce(|sum, value| sum + value)
    }

    /// How many values of a histogram with these labels are at most so large, by the bound. The last bound is infinity.
    pub fn buckets(&self, metric: Metric, labels: &Labels) -> Vec<(f64, f64)> {
        let name = format!("{}_bucket", exposed(metric));
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.with(&name, labels) {
            let Some(bound) = sample.label("le").and_then(|bound| bound.parse().ok()) else {
                continue;
            };
            let known = buckets
                .iter_mut()
                .find(|(known, _)| f64::total_cmp(known, &bound).is_eq());
            match known {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }

    /// What tells the values of a metric apart, each once, in its order.
    pub fn list(&self, metric: Metric, by: By) -> BTreeSet<Labels> {
        let name = exposed(metric);
        let of_it = |sample: &&Sample| {
            let rest = sample.name.strip_prefix(&name);
            rest.is_some_and(|rest| rest.is_empty() || rest == "_count")
        };
        let labels = |sample: &Sample| {
            let one = |key: &&str| {
                let key = underscored(key);
                let value = sample.label(&key)?.to_owned();
                Some((key, value))
            };
            by.keys().iter().map(one).collect::<Option<_>>().map(Labels)
        };
        self.0.iter().filter(of_it).filter_map(labels).collect()
    }

    fn with<'all>(
        &'all self,
        name: &'all str,
        labels: &'all Labels,
    ) -> impl Iterator<Item = &'all Sample> {
        let has = |sample: &Sample| labels.0.iter().all(|label| sample.labels.contains(label));
        self.0
            .iter()
            .filter(move |sample| sample.name == name && has(sample))
    }
}

impl Labels {
    /// The same with one more.
    #[must_use]
    pub fn and(mut self, label: Label) -> Self {
        let mut written = Vec::new();
        label.write(&mut written);
        let pair = |pair: opentelemetry::KeyValue| {
            (
                underscored(pair.key.as_str()),
                pair.value.as_str().into_owned(),
            )
        };
        self.0.extend(written.into_iter().map(pair));
        self
    }

    /// The values, in the order in which they are listed by.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }
}

impl From<Label> for Labels {
    fn from(label: Label) -> Self {
        Self::default().and(label)
    }
}

impl By {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &[POLICY],
            Self::Disk => &[DISK],
            Self::Call => &[METHOD, TEMPLATE],
        }
    }
}

impl Sample {
    fn label(&self, key: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The name that Prometheus has for a metric (OpenTelemetry, "Prometheus and `OpenMetrics` Compatibility").
fn exposed(metric: Metric) -> String {
    let Declared {
        name, unit, kind, ..
    } = metric.declared();
    let unit = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let end = if kind == Kind::Counter { "_total" } else { "" };
    underscored(name) + unit + end
}

fn underscored(name: &str) -> String {
    name.replace('.', "_")
}

/// `name{label="value",…} number`, and perhaps the time, which is not read.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' ', '\t'])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start();
        while !rest.starts_with('}') {
            let (key, value, behind) = label(rest)?;
            labels.push((key.to_owned(), value));
            rest = behind.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if rest.starts_with('}') => rest,
                None => return None,
            };
        }
        rest = &rest[1..];
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let is_whole =
        words.next().is_none_or(|time| time.parse::<i64>().is_ok()) && words.next().is_none();
    (is_whole && !name.is_empty()).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// `key="value"`, and what stands behind it.
fn label(text: &str) -> Option<(&str, String, &str)> {
    let (key, text) = text.split_once('=')?;
    let text = text.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((key.trim(), value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use portcullis_types::PolicyName;
    use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::{Outcome, Step};

    const PAGE: &str = "\
# HELP portcullis_uploads_total Uploads that ended, by how.
# TYPE portcullis_uploads_total counter
portcullis_uploads_total{portcullis_upload_outcome=\"stored\"} 7
portcullis_uploads_total{portcullis_upload_outcome=\"rejected\",error_type=\"rejected\"} 2
portcullis_uploads_open 3 1700000000000
portcullis_storage_time_seconds_bucket{portcullis_storage_step=\"fsync\",le=\"0.01\"} 4
portcullis_storage_time_seconds_bucket{portcullis_storage_step=\"fsync\",le=\"+Inf\"} 5
portcullis_storage_time_seconds_count{portcullis_storage_step=\"fsync\"} 5
portcullis_policy_verdicts_total{portcullis_policy_name=\"size-limit\",portcullis_policy_verdict=\"accept\"} 1
portcullis_policy_verdicts_total{portcullis_policy_name=\"file-type\",portcullis_policy_verdict=\"accept\"} 1
portcullis_policy_verdicts_total{portcullis_policy_name=\"file-type\",portcullis_policy_verdict=\"reject\"} 4
";

    fn page() -> Exposition {
        Exposition::parse(PAGE).expect("is a page")
    }

    #[test]
    fn values_are_found_by_metric_and_labels() {
        let page = page();
        let any = Labels::default();
        let stored = Label::Outcome(Outcome::Stored).into();
        assert_eq!(page.sum(Metric::Uploads, &stored), Some(7.0));
        assert_eq!(page.sum(Metric::Uploads, &any), Some(9.0));
        assert_eq!(page.sum(Metric::UploadsOpen, &any), Some(3.0));
        assert_eq!(page.sum(Metric::DiskFree, &any), None);
        let fsync = Label::Step(Step::Fsync).into();
        let buckets = page.buckets(Metric::StorageTime, &fsync);
        assert_eq!(buckets, [(0.01, 4.0), (f64::INFINITY, 5.0)]);
    }

    #[test]
    fn what_tells_values_apart_is_listed() {
        let policies = page().list(Metric::PolicyVerdicts, By::Policy);
        let names: Vec<_> = policies.iter().flat_map(Labels::values).collect();
        assert_eq!(names, ["file-type", "size-limit"]);
        let name: PolicyName = "file-type".parse().expect("is a name");
        assert_eq!(policies.first(), Some(&Label::Policy(name).into()));
    }

    #[test]
    fn lines_that_are_none_are_told_by_their_number() {
        for wrong in [
            "a",
            "a b",
            "a{b} 1",
            "a{b=\"c} 1",
            "a{b=\"c\" 1",
            "a 1 2 3",
            "{} 1",
            "a 1 now",
        ] {
            let text = format!("ok 1\n\n{wrong}\n");
            assert_eq!(
                Exposition::parse(&text),
                Err(InvalidExposition { line: 3 }),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_their_own_encoder_writes_is_read(value in any::<f64>(), label in "\\PC{0,20}|[\\\\\"\n{},= ]{0,8}") {
            let registry = Registry::new();
            let gauge = GaugeVec::new(Opts::new("portcullis_disk_free_bytes", "x"), &["portcullis_disk"]);
            let gauge = gauge.expect("is one");
            registry.register(Box::new(gauge.clone())).expect("is new");
            gauge.with_label_values(&[&label]).set(value);
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).expect("can be written");
            let page = Exposition::parse(std::str::from_utf8(&text).expect("is text")).expect("is a page");
            let disks = page.list(Metric::DiskFree, By::Disk);
            prop_assert_eq!(disks.iter().flat_map(Labels::values).collect::<Vec<_>>(), [label.as_str()]);
            let read = page.sum(Metric::DiskFree, disks.first().expect("is there"));
            let read = read.expect("has a value");
            prop_assert!(f64::total_cmp(&read, &value).is_eq() || read.is_nan() && value.is_nan());
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,80}") {
            let _ = Exposition::parse(&text);
        }
    }
}
