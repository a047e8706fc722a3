//! What policies in the shadow would have said goes to services: in batches, after the uploads, and never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_engine::{Passed, RefusalCause, Refused, Shadow, ShadowRecord, Upload};
use portcullis_hop::policies::shadow::{
    Decided, MAX_SHADOW_REPORTS, ShadowReport, ShadowReports, ShadowVerdict,
};
use portcullis_hop::{HopClient, StoreError};
use portcullis_telemetry::{Detail, Line, Span, SpanName, log};
use portcullis_types::{PolicyName, Sha256Digest};
use tokio::sync::mpsc;

use crate::record;

/// How long after its upload a shadow policy may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How long the first report of a batch waits for others.
const BATCH: Duration = Duration::from_millis(250);
/// How many reports wait at most; what comes beyond is lost, and counted.
const MAX_WAITING: usize = 2_000;
/// How long it is waited after services could not be reached.
const PAUSE: Duration = Duration::from_secs(2);

/// Where reports go.
#[derive(Clone)]
pub(crate) struct ShadowDesk {
    reports: mpsc::Sender<ShadowReport>,
    lost: Arc<AtomicU64>,
}

/// What became of an upload, and under which revision.
pub(crate) struct Decision {
    revision: Sha256Digest,
    decided: Decided,
    by: Option<PolicyName>,
}

impl Decision {
    /// An upload that was stored, or set apart.
    pub(crate) fn passed(revision: Sha256Digest, passed: &Passed) -> Self {
        use portcullis_types::Verdict::Quarantine;
        let mut records = passed.records.iter();
        let by = records.find(|record| record.verdict == Quarantine);
        Self {
            revision,
            decided: match by {
                Some(_) => Decided::Quarantine,
                None => Decided::Accept,
            },
            by: by.map(|record| record.name.clone()),
        }
    }

    /// An upload that was refused; none where it is to come again.
    pub(crate) fn refused(revision: Sha256Digest, refused: &Refused) -> Option<Self> {
        let by = match &refused.cause {
            RefusalCause::Rejected { policy, .. } => Some(policy.clone()),
            RefusalCause::Failed(failure) => Some(failure.policy.clone()),
            RefusalCause::NoRoute => None,
            RefusalCause::NoPolicies | RefusalCause::Overloaded => return None,
        };
        Some(Self {
            revision,
            decided: Decided::Reject,
            by,
        })
    }
}

impl ShadowDesk {
    /// A desk, and what sends its reports for as long as the desk is there.
    pub(crate) fn new(store: Arc<HopClient>) -> (Self, impl Future<Output = ()> + Send) {
        let (reports, waiting) = mpsc::channel(MAX_WAITING);
        let lost = Arc::<AtomicU64>::default();
        let desk = Self {
            reports,
            lost: Arc::clone(&lost),
        };
        (desk, send(store, waiting, lost))
    }

    /// Waits for what shadow policies say about an upload, and has it reported.
    pub(crate) async fn report(self, upload: Upload, shadow: Shadow, decision: Decision) {
        let records = shadow.records(LONGEST).await;
        if records.is_empty() {
            return;
        }
        for record in &records {
            record::in_shadow(&record.record);
        }
        let report = ShadowReport {
            upload: upload.id,
            revision: decision.revision,
            decided: decision.decided,
            by: decision.by,
            attributes: upload.attributes,
            verdicts: records.iter().map(verdict).collect(),
        };
        if self.reports.try_send(report).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn verdict(record: &ShadowRecord) -> ShadowVerdict {
    ShadowVerdict {
        set: record.set,
        policy: record.record.verdict(),
        rule: record.rule.clone(),
        rules: record.rules.clone(),
        passes: record.passes,
        incomplete: record.incomplete,
    }
}

/// Sends reports until the desk is gone and the last one is sent.
async fn send(
    store: Arc<HopClient>,
    mut waiting: mpsc::Receiver<ShadowReport>,
    lost: Arc<AtomicU64>,
) {
    let mut reports = Vec::new();
    while waiting.recv_many(&mut reports, 1).await > 0 {
        tokio::time::sleep(BATCH).await;
        while reports.len() < MAX_SHADOW_REPORTS
            && let Ok(report) = waiting.try_recv()
        {
            reports.push(report);
        }
        let batch = ShadowReports {
            reports: std::mem::take(&mut reports),
            lost: lost.swap(0, Ordering::Relaxed),
        };
        while let Err(error) = deliver(&store, &batch).await {
            let may_pass = matches!(error, StoreError::Unavailable | StoreError::Timeout);
            if !may_pass || waiting.is_closed() {
                let count = batch.reports.len() as u64 + batch.lost;
                lost.fetch_add(count, Ordering::Relaxed);
                let problem = Detail::Problem(error.kind().slug());
                log(Line::ShadowNotReported, [Detail::Count(count), problem]);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn deliver(store: &HopClient, batch: &ShadowReports) -> Result<(), StoreError> {
    let span = Span::root(SpanName::PolicyFollow, None);
    store.report_shadows(batch, &span).await
}
