//! The judgement of an upload that pauses, written down: another instance of each policy goes on from it, in this process
//! or another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_types::{CounterName, Finding, Findings, Sha256Digest, Verdict};
use serde::{Deserialize, Serialize};

use crate::collected::{Collected, FindingListener, Written};
use crate::contract::v0_1::ValidationPolicy;
use crate::inspection::Inspection;
use crate::instance::{Failed, Instance, Suspended};
use crate::judgement::{Admitted, Judgement, Refused, Seat, SoFar};
use crate::mode::Mode;
use crate::record::{LogTally, PolicyRecord};
use crate::revision::Revision;
use crate::{FailureCause, Refusal, RefusalCause, Upload};

/// All that the policies of an upload know of it so far. It holds data of the upload, and is protected as that is.
///
/// It is good for the same upload and the same revision, whose digest covers components, settings and resources, and
/// from the byte at which it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    revision: Sha256Digest,
    offset: u64,
    /// What each validation policy that was asked said, in the order of the set.
    policies: Vec<Said>,
    findings: Findings,
    facts: Vec<(String, String)>,
    quarantine: Option<(String, String)>,
}

/// What one policy has said so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It has decided.
    Decided(Verdict),
    /// It wants to see more.
    Waits {
        suspended: Suspended,
        reported: Written,
        /// CPU time of its calls so far, in nanoseconds.
        busy_ns: u64,
        /// The bytes that it was shown.
        bytes: u64,
        /// What it counted.
        #[serde(default)]
        counted: BTreeMap<CounterName, u64>,
        /// How much it wrote into its log.
        #[serde(default)]
        log: LogTally,
    },
}

/// What becomes of an upload that is gone on with.
pub enum Resumed {
    /// Its policies go on.
    Inspect(Box<Inspection>),
    /// It may not pass.
    Refused(Box<Refused>),
    /// They cannot go on from there: they have to see it from its first byte.
    Impossible,
}

impl Suspension {
    /// The revision that judges the upload.
    pub fn revision(&self) -> Sha256Digest {
        self.revision
    }

    /// How much of it the policies have seen, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The findings so far: of policies that have decided, then of those that wait for more.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let waiting = self.policies.iter().flat_map(|said| match said {
            Said::Decided(_) => &[],
            Said::Waits { reported, .. } => reported.listed(),
        });
        self.findings.listed.iter().chain(waiting)
    }
}

impl Judgement {
    /// Writes it down; absent where one of its policies has to see the upload again from its first byte.
    pub(crate) async fn suspend(mut self) -> Option<Suspension> {
        let mut policies = Vec::new();
        for record in &self.so_far.records {
            let verdict = record.as_ref().map(|record| record.verdict);
            policies.push(verdict.map(Said::Decided));
        }
        for seat in &mut self.seats {
            let suspended = match seat.instance.suspend().await {
                Ok(suspended) => suspended?,
                // It is shown the upload again, and fails there or not.
                Err(_) => return None,
            };
            let record = seat.instance.record();
            policies[seat.place] = Some(Said::Waits {
                suspended,
                reported: seat.instance.written(),
                busy_ns: u64::try_from(record.busy.as_nanos()).unwrap_or(u64::MAX),
                bytes: record.bytes,
                counted: seat.instance.counted(),
                log: seat.instance.log_tally(),
            });
        }
        // The router is asked anew: what it says follows from the headers.
        policies.truncate(self.router.place);
        Some(Suspension {
            revision: self.revision.digest(),
            offset: self.offset,
            policies: policies.into_iter().collect::<Option<_>>()?,
            findings: self.so_far.findings,
            facts: self.so_far.facts,
            quarantine: self
                .so_far
                .quarantine
                .map(|refusal| (refusal.rule, refusal.message)),
        })
    }

    /// Goes on; absent where that is not possible.
    pub(crate) async fn resume(
        revision: Arc<Revision>,
        upload: &Upload,
        suspension: Suspension,
        listener: Option<FindingListener>,
    ) -> Option<Admitted> {
        let mut so_far = SoFar {
            findings: suspension.findings,
            facts: suspension.facts,
            quarantine: suspension
                .quarantine
                .map(|(rule, message)| Refusal { rule, message }),
            listener: listener.clone(),
            ..SoFar::default()
        };
        let mut seats = Vec::new();
        let asked: Vec<_> = revision
            .validation_for(Mode::Enforce, upload)
            .cloned()
            .collect();
        if revision.digest() != suspension.revision || asked.len() != suspension.policies.len() {
            return None;
        }
        for (policy, said) in asked.iter().zip(suspension.policies) {
            let place = so_far.records.len();
            let (suspended, reported, busy_ns, bytes, counted, log) = match said {
                Said::Decided(verdict) => {
                    let mut record = PolicyRecord::of(policy);
                    record.verdict = verdict;
                    so_far.records.push(Some(record));
                    continue;
                }
                Said::Waits {
                    suspended,
                    reported,
                    busy_ns,
                    bytes,
                    counted,
                    log,
                } => (suspended, reported, busy_ns, bytes, counted, log),
            };
            so_far.records.push(None);
            let pass = so_far.enter(policy, place).ok()?;
            let ready = Instance::<ValidationPolicy>::ready(policy, upload, None).await;
            let mut instance = match ready {
                Ok(instance) => instance,
                Err(Failed { failure, .. }) if failure.cause == FailureCause::NoRoom => {
                    return Some(
                        so_far
                            .dismiss(seats, None)
                            .refused(RefusalCause::Overloaded),
                    );
                }
                Err(_) => return None,
            };
            instance.adopt(Collected::read(reported, listener.clone()), counted, log);
            instance.charge(Duration::from_nanos(busy_ns));
            instance.shown_before(bytes);
            instance.resume(upload, &suspended).await.ok()?;
            seats.push(Seat {
                place,
                instance,
                pass,
            });
        }
        let router = revision.routing_for(&upload.attributes)?;
        let placed = so_far.place(router, upload).await;
        Some(match placed {
            Ok((router, disk)) => {
                let judgement = Self {
                    upload: upload.clone(),
                    revision,
                    offset: suspension.offset,
                    seats,
                    router,
                    so_far,
                };
                Admitted::Inspect(Box::new(judgement), disk)
            }
            Err(cause) => so_far.dismiss(seats, None).refused(cause),
        })
    }
}
