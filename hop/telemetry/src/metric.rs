//! Everything that is counted and measured. What a metric is called, in what unit it is and what tells its values apart is
//! declared here and nowhere else; `docs/metrics.md` is made from it.

use std::fmt::Write as _;

use crate::label::{
    CHANGE, COUNTER, DIRECTION, DISK, ERROR, FAILURE, METHOD, OUTCOME, POLICY, RESULT, ROUTE,
    SIGNAL, STATUS, STEP, TEMPLATE, VERDICT,
};

/// A metric, by the names of OpenTelemetry; Prometheus has `_` for `.`, the unit and `_total` behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// How long requests take.
    HttpServer,
    /// How long calls of the other server take, each attempt by itself.
    HttpClient,
    /// Uploads that ended.
    Uploads,
    /// Uploads under way.
    UploadsOpen,
    /// Bytes of uploads.
    Bytes,
    /// Words of policies.
    PolicyVerdicts,
    /// CPU time of a policy for an upload.
    PolicyTime,
    /// Memory of a policy for an upload.
    PolicyMemory,
    /// Failures of policies.
    PolicyFailures,
    /// What policies count themselves.
    PolicyCounted,
    /// Instances of policies.
    PolicyInstances,
    /// Policies that are not asked because they keep failing.
    PolicyBreaker,
    /// Sets of policies that were to come into force.
    PolicyLoads,
    /// Verdicts in the shadow that would change something.
    ShadowChanges,
    /// Calls of services that were tried again.
    HopRetries,
    /// Memory that no policy has.
    PolicyMemoryFree,
    /// Which policies are in force.
    PolicyRevision,
    /// How long steps of storing take.
    StorageTime,
    /// Appends under way.
    AppendsOpen,
    /// What waits for the catalog.
    CatalogWaiting,
    /// Files in quarantine.
    QuarantineFiles,
    /// Their bytes.
    QuarantineBytes,
    /// How long ago the audit was signed for.
    AuditSigned,
    /// Room on a disk.
    DiskFree,
    /// All room of a disk.
    DiskSize,
    /// What was not sent to the collector.
    Dropped,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// It only grows.
    Counter,
    /// It is looked at when it is asked for.
    Gauge,
    /// How its values are spread, by these bounds.
    Histogram(&'static [f64]),
}

/// How a metric is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    /// As the Unified Code for Units of Measure writes it.
    pub(crate) unit: &'static str,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
    pub(crate) labels: &'static [&'static str],
    /// Who has it.
    of: &'static str,
}

/// Semantic conventions for HTTP: the bounds of `http.server.request.duration`, and two more for long uploads.
const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 60.0, 600.0,
];
const STEP_SECONDS: &[f64] = &[
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    60.0,
];
const POLICY_SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0,
];
const POLICY_BYTES: &[f64] = &[
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

impl Metric {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::HttpServer,
        Self::HttpClient,
        Self::Uploads,
        Self::UploadsOpen,
        Self::Bytes,
        Self::PolicyVerdicts,
        Self::PolicyTime,
        Self::PolicyMemory,
        Self::PolicyFailures,
        Self::PolicyCounted,
        Self::PolicyInstances,
        Self::PolicyBreaker,
        Self::PolicyLoads,
        Self::ShadowChanges,
        Self::HopRetries,
        Self::PolicyMemoryFree,
        Self::PolicyRevision,
        Self::StorageTime,
        Self::AppendsOpen,
        Self::CatalogWaiting,
        Self::QuarantineFiles,
        Self::QuarantineBytes,
        Self::AuditSigned,
        Self::DiskFree,
        Self::DiskSize,
        Self::Dropped,
    ];

    #[expect(clippy::too_many_lines, reason = "it is one table")]
    pub(crate) fn declared(self) -> Declared {
        use Kind::{Counter, Gauge, Histogram};
        let (name, unit, kind, labels, of, about): (_, _, _, &'static [_], _, _) = match self {
            Self::HttpServer => (
                "http.server.request.duration",
                "s",
                Histogram(REQUEST_SECONDS),
                &[METHOD, ROUTE, STATUS, ERROR],
                "both",
                "How long requests take, from their headers to the end of the answer's making.",
            ),
            Self::HttpClient => (
                "http.client.request.duration",
                "s",
                Histogram(REQUEST_SECONDS),
                &[METHOD, TEMPLATE, ERROR],
                "web host",
                "How long calls of services take; each attempt counts.",
            ),
            Self::Uploads => (
                "portcullis.uploads",
                "{upload}",
                Counter,
                &[OUTCOME, ERROR],
                "web host",
                "Uploads that ended, by how.",
            ),
            Self::UploadsOpen => (
                "portcullis.uploads.open",
                "{upload}",
                Gauge,
                &[],
                "web host",
                "Uploads that this web host works on, or holds between two of their requests.",
            ),
            Self::Bytes => (
                "portcullis.upload.io",
                "By",
                Counter,
                &[DIRECTION],
                "both",
                "Bytes of uploads: that came from clients, that went on to services, and that arrived there.",
            ),
            Self::PolicyVerdicts => (
                "portcullis.policy.verdicts",
                "{verdict}",
                Counter,
                &[POLICY, VERDICT],
                "web host",
                "What policies said of uploads that ended.",
            ),
            Self::PolicyTime => (
                "portcullis.policy.time",
                "s",
                Histogram(POLICY_SECONDS),
                &[POLICY],
                "web host",
                "CPU time of all calls of a policy for one upload.",
            ),
            Self::PolicyMemory => (
                "portcullis.policy.memory",
                "By",
                Histogram(POLICY_BYTES),
                &[POLICY],
                "web host",
                "The most linear memory that a policy had for one upload.",
            ),
            Self::PolicyFailures => (
                "portcullis.policy.failures",
                "{failure}",
                Counter,
                &[POLICY, FAILURE],
                "web host",
                "Policies that failed, by why.",
            ),
            Self::PolicyCounted => (
                "portcullis.policy.counted",
                "{item}",
                Counter,
                &[POLICY, COUNTER],
                "web host",
                "What policies count themselves, by the names that they describe.",
            ),
            Self::PolicyInstances => (
                "portcullis.policies.instances",
                "{instance}",
                Gauge,
                &[],
                "web host",
                "Instances of policies at work or waiting for more of their uploads.",
            ),
            Self::PolicyBreaker => (
                "portcullis.policy.breaker.open",
                "{policy}",
                Gauge,
                &[POLICY],
                "web host",
                "1 for a policy that is not asked for a while because it kept failing, otherwise 0.",
            ),
            Self::PolicyLoads => (
                "portcullis.policies.loads",
                "{load}",
                Counter,
                &[RESULT],
                "web host",
                "Sets of policies that came into force, and those that were refused.",
            ),
            Self::ShadowChanges => (
                "portcullis.shadow.changes",
                "{verdict}",
                Counter,
                &[POLICY, CHANGE],
                "services",
                "Verdicts of policies in the shadow: those that would have changed what became of the upload, by how, and the others.",
            ),
            Self::HopRetries => (
                "portcullis.hop.retries",
                "{call}",
                Counter,
                &[METHOD, TEMPLATE],
                "web host",
                "Calls of services that were tried again.",
            ),
            Self::PolicyMemoryFree => (
                "portcullis.policies.memory.free",
                "By",
                Gauge,
                &[],
                "web host",
                "Memory that no policy has now, of `limits.policy-memory-bytes`.",
            ),
            Self::PolicyRevision => (
                "portcullis.policies.revision",
                "{revision}",
                Gauge,
                &[],
                "web host",
                "Which policies are in force: the first 48 bits of the revision's digest, as a number; 0 for none. Where two web hosts differ, \
                 they judge by different policies.",
            ),
            Self::StorageTime => (
                "portcullis.storage.time",
                "s",
                Histogram(STEP_SECONDS),
                &[STEP],
                "services",
                "How long steps of storing take.",
            ),
            Self::AppendsOpen => (
                "portcullis.appends.open",
                "{append}",
                Gauge,
                &[],
                "services",
                "Appends under way, of `limits.appends`.",
            ),
            Self::CatalogWaiting => (
                "portcullis.catalog.waiting",
                "{job}",
                Gauge,
                &[],
                "services",
                "Transactions and look-ups that wait for the catalog.",
            ),
            Self::QuarantineFiles => (
                "portcullis.quarantine.files",
                "{file}",
                Gauge,
                &[],
                "services",
                "Files in quarantine.",
            ),
            Self::QuarantineBytes => (
                "portcullis.quarantine.size",
                "By",
                Gauge,
                &[],
                "services",
                "Bytes of the files in quarantine.",
            ),
            Self::AuditSigned => (
                "portcullis.audit.checkpoint.age",
                "s",
                Gauge,
                &[],
                "services",
                "How long ago the audit was signed for last, which happens every hour; each row is signed when it is written.",
            ),
            Self::DiskFree => (
                "portcullis.disk.free",
                "By",
                Gauge,
                &[DISK],
                "services",
                "Room that is left on the file system of a disk.",
            ),
            Self::DiskSize => (
                "portcullis.disk.size",
                "By",
                Gauge,
                &[DISK],
                "services",
                "The size of the file system of a disk.",
            ),
            Self::Dropped => (
                "portcullis.telemetry.dropped",
                "{item}",
                Counter,
                &[SIGNAL],
                "both",
                "What the collector was not sent because it was slow, away, or refused it.",
            ),
        };
        Declared {
            name,
            unit,
            kind,
            about,
            labels,
            of,
        }
    }

    /// All of them as a table of Markdown.
    pub fn table() -> String {
        let mut table = String::from(
            "| metric | unit | kind | told apart by | of | what |\n|---|---|---|---|---|---|\n",
        );
        for metric in Self::ALL {
            let Declared {
                name,
                unit,
                kind,
                about,
                labels,
                of,
            } = metric.declared();
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            let _ = writeln!(
                table,
                "| `{name}` | `{unit}` | {kind} | {labels} | {of} | {about} |"
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::documentation;

    /// What stands before the table in the documentation.
    const HEADING: &str = "# What is counted\n";

    #[test]
    fn the_documentation_has_what_is_declared() {
        documentation::ends_with("metrics.md", HEADING, "| metric |", &Metric::table());
    }

    #[test]
    fn names_are_told_apart_and_bounds_grow() {
        let names: BTreeSet<_> = Metric::ALL
            .iter()
            .map(|metric| metric.declared().name)
            .collect();
        assert_eq!(names.len(), Metric::ALL.len());
        // What is made for a metric is found by this.
        assert!(
            Metric::ALL
                .iter()
                .enumerate()
                .all(|(place, metric)| *metric as usize == place)
        );
        for metric in Metric::ALL {
            if let Kind::Histogram(bounds) = metric.declared().kind {
                assert!(bounds.is_sorted_by(|one, next| one < next), "{metric:?}");
            }
        }
    }
}
