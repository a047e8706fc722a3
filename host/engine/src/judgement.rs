//! One upload before its policies: headers, then chunks, then the end. Any refusal is final.

use std::sync::Arc;

use portcullis_types::{DiskName, DiskPath, Findings, PolicyName, Verdict};

use crate::answer::{self, Conclusion, Progress};
use crate::breaker::Pass;
use crate::collected::FindingListener;
use crate::contract::v0_1::{RoutingPolicy, ValidationPolicy};
use crate::instance::{self, Failed, Instance};
use crate::mode::Mode;
use crate::policy_set::OnFailure;
use crate::record::PolicyRecord;
use crate::revision::{Policy, Revision};
use crate::{Call, End, FailureCause, PolicyFailure, Refusal, Upload};

/// The most bytes of one `chunk` call, as the contract says.
pub(crate) const MAX_CHUNK_BYTES: usize = 64 << 10;

/// What the policies say to the headers of an upload.
pub(crate) enum Admitted {
    Inspect(Box<Judgement>, DiskName),
    Refused(Box<Refused>),
}

/// An upload that is being judged. Everything here runs on the threads of the policies.
pub(crate) struct Judgement {
    // What judges stays in force for this upload to its end.
    pub(crate) revision: Arc<Revision>,
    pub(crate) upload: Upload,
    pub(crate) offset: u64,
    pub(crate) seats: Vec<Seat>,
    pub(crate) router: Router,
    pub(crate) so_far: SoFar,
}

/// A policy that has not decided yet.
pub(crate) struct Seat {
    /// Where its record stands: policies decide in any order, receipts list them in that of the set.
    pub(crate) place: usize,
    pub(crate) instance: Instance<ValidationPolicy>,
    pub(crate) pass: Pass,
}

/// The policy that has named the disk and will name the path.
pub(crate) struct Router {
    pub(crate) place: usize,
    instance: Instance<RoutingPolicy>,
    pass: Pass,
}

/// What the policies have said and noticed so far.
#[derive(Default)]
pub(crate) struct SoFar {
    /// One for each policy that was asked; absent while it has an instance.
    pub(crate) records: Vec<Option<PolicyRecord>>,
    pub(crate) findings: Findings,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) quarantine: Option<Refusal>,
    pub(crate) listener: Option<FindingListener>,
}

/// What becomes of an upload that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is published.
    Publish,
    /// It is stored apart, for this reason.
    Quarantine(Refusal),
}

/// An upload that may pass, and what was noticed about it.
pub struct Passed {
    /// What becomes of it.
    pub disposition: Disposition,
    /// Its path on the disk.
    pub path: DiskPath,
    /// What each policy did, in the order of the set.
    pub records: Vec<PolicyRecord>,
    /// What they noticed.
    pub findings: Findings,
}

/// An upload that may not pass.
pub struct Refused {
    /// Why.
    pub cause: RefusalCause,
    /// What each policy did, in the order of the set.
    pub records: Vec<PolicyRecord>,
    /// What they noticed.
    pub findings: Findings,
}

/// Why an upload may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalCause {
    /// A policy said no.
    Rejected {
        /// Which.
        policy: PolicyName,
        /// Its words to the uploader.
        refusal: Refusal,
    },
    /// A policy failed, and the set says that this rejects the upload.
    Failed(PolicyFailure),
    /// No routing policy is responsible for the attributes of this upload.
    NoRoute,
    /// No policy set is in force.
    NoPolicies,
    /// All instances are in use: not the upload's fault, and no policy's.
    Overloaded,
}

pub(crate) async fn admit(
    revision: Option<Arc<Revision>>,
    upload: &Upload,
    listener: Option<FindingListener>,
) -> Admitted {
    let mut so_far = SoFar {
        listener,
        ..SoFar::default()
    };
    let Some(revision) = revision else {
        return so_far.refused(RefusalCause::NoPolicies);
    };
    let mut seats = Vec::new();
    for policy in revision.validation_for(Mode::Enforce, upload) {
        match so_far.seat(policy, upload).await {
            Ok(seat) => seats.extend(seat),
            Err(cause) => return so_far.dismiss(seats, None).refused(cause),
        }
    }
    let Some(policy) = revision.routing_for(&upload.attributes) else {
        return so_far.dismiss(seats, None).refused(RefusalCause::NoRoute);
    };
    match so_far.place(policy, upload).await {
        Ok((router, disk)) => {
            let judgement = Judgement {
                upload: upload.clone(),
                revision: Arc::clone(&revision),
                offset: 0,
                seats,
                router,
                so_far,
            };
            Admitted::Inspect(Box::new(judgement), disk)
        }
        Err(cause) => so_far.dismiss(seats, None).refused(cause),
    }
}

impl Judgement {
    /// Takes the next bytes into account without a policy that wants to see them; false when there is one.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> bool {
        if !self.seats.is_empty() {
            return false;
        }
        self.offset += bytes.len() as u64;
        true
    }

    /// Shows the next bytes to every policy that wants them. After an error only [`refuse`](Self::refuse) and
    /// [`abandon`](Self::abandon) may be called.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) -> Result<(), RefusalCause> {
        for piece in bytes.chunks(MAX_CHUNK_BYTES) {
            let mut next = 0;
            while next < self.seats.len() {
                let Some(decided) = self.seats[next].show(self.offset, piece).await else {
                    next += 1;
                    continue;
                };
                // The instance goes back to the pool at once.
                let seat = self.seats.remove(next);
                self.so_far.decide(seat, decided)?;
            }
            self.offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Tells every policy that has not decided yet that the upload is complete, and asks where it stays.
    pub(crate) async fn finish(mut self, end: &End) -> Result<Passed, Box<Refused>> {
        while !self.seats.is_empty() {
            let mut seat = self.seats.remove(0);
            let decided = seat.instance.finish(end).await;
            if let Err(cause) = self.so_far.decide(seat, decided) {
                return Err(self.refuse(cause));
            }
        }
        match self.so_far.route(self.router, &self.upload, end).await {
            Ok(path) => {
                let (records, findings) = (self.so_far.records, self.so_far.findings);
                Ok(Passed {
                    disposition: self
                        .so_far
                        .quarantine
                        .map_or(Disposition::Publish, Disposition::Quarantine),
                    path,
                    records: records.into_iter().flatten().collect(),
                    findings,
                })
            }
            Err(cause) => Err(self.so_far.into_refused(cause)),
        }
    }

    /// Ends the judgement for this reason, and gives what the policies did and noticed.
    pub(crate) fn refuse(self, cause: RefusalCause) -> Box<Refused> {
        let so_far = self.so_far.dismiss(self.seats, Some(self.router));
        so_far.into_refused(cause)
    }

    /// What the policies did so far, for an upload that ends for another reason than theirs.
    pub(crate) fn abandon(self) -> Vec<PolicyRecord> {
        let so_far = self.so_far.dismiss(self.seats, Some(self.router));
        so_far.records.into_iter().flatten().collect()
    }
}

impl Seat {
    /// Shows bytes to the policy. Gives its last word, if this was it.
    async fn show(
        &mut self,
        offset: u64,
        bytes: &[u8],
    ) -> Option<Result<Conclusion, PolicyFailure>> {
        match self.instance.chunk(offset, bytes).await {
            Ok(Progress::More) => None,
            Ok(Progress::Decided(conclusion)) => Some(Ok(conclusion)),
            Err(failure) => Some(Err(failure)),
        }
    }
}

impl SoFar {
    /// Makes an instance of a validation policy and shows it the headers. There is no seat when it has
    /// decided.
    async fn seat(
        &mut self,
        policy: &Arc<Policy>,
        upload: &Upload,
    ) -> Result<Option<Seat>, RefusalCause> {
        let place = self.records.len();
        self.records.push(None);
        let pass = match self.enter(policy, place) {
            Ok(pass) => pass,
            Err(failure) => return fail(policy, failure).map(|()| None),
        };
        let mut instance = match Instance::<ValidationPolicy>::ready(
            policy,
            upload,
            self.listener.clone(),
        )
        .await
        {
            Ok(instance) => instance,
            Err(Failed { failure, record }) => {
                self.records[place] = Some(record);
                pass.failed(&policy.name, &failure.cause);
                return fail(policy, failure).map(|()| None);
            }
        };
        let admitted = instance.admit(upload).await;
        let seat = Seat {
            place,
            instance,
            pass,
        };
        let decided = match admitted {
            Ok(answer::Admission::Inspect(_)) => return Ok(Some(seat)),
            Ok(answer::Admission::Accept) => Ok(Conclusion::Accept),
            Ok(answer::Admission::Reject(refusal)) => Ok(Conclusion::Reject(refusal)),
            Err(failure) => Err(failure),
        };
        self.decide(seat, decided).map(|()| None)
    }

    /// Takes a policy's last word, or its failure, and drops its instance.
    fn decide(
        &mut self,
        seat: Seat,
        decided: Result<Conclusion, PolicyFailure>,
    ) -> Result<(), RefusalCause> {
        let policy = Arc::clone(seat.instance.policy());
        match &decided {
            Ok(_) => seat.pass.judged(&policy.name),
            Err(failure) => seat.pass.failed(&policy.name, &failure.cause),
        }
        let (mut record, collected) = seat.instance.into_parts();
        collected.hand_over(&policy.name, &mut self.findings, &mut self.facts);
        let outcome = match decided {
            Ok(Conclusion::Accept) => {
                record.verdict = Verdict::Accept;
                Ok(())
            }
            Ok(Conclusion::Quarantine(refusal)) => {
                record.verdict = Verdict::Quarantine;
                self.quarantine.get_or_insert(refusal);
                Ok(())
            }
            Ok(Conclusion::Reject(refusal)) => {
                record.verdict = Verdict::Reject;
                Err(RefusalCause::Rejected {
                    policy: policy.name.clone(),
                    refusal,
                })
            }
            Err(failure) => {
                record.fail(failure.call, failure.cause.clone());
                fail(&policy, failure)
            }
        };
        self.records[seat.place] = Some(record);
        outcome
    }

    /// Asks whether a policy may be asked.
    pub(crate) fn enter(
        &mut self,
        policy: &Arc<Policy>,
        place: usize,
    ) -> Result<Pass, PolicyFailure> {
        policy.breaker.enter().map_err(|failures| {
            let cause = FailureCause::KeepsFailing(failures);
            let mut record = PolicyRecord::of(policy);
            record.fail(Call::Instantiate, cause.clone());
            self.records[place] = Some(record);
            instance::failure(policy, Call::Instantiate, cause)
        })
    }

    /// Asks a routing policy for the disk.
    pub(crate) async fn place(
        &mut self,
        policy: &Arc<Policy>,
        upload: &Upload,
    ) -> Result<(Router, DiskName), RefusalCause> {
        let place = self.records.len();
        self.records.push(None);
        let pass = self.enter(policy, place).map_err(refusal_of)?;
        let mut instance = match Instance::<RoutingPolicy>::ready(policy, upload, None).await {
            Ok(instance) => instance,
            Err(Failed { failure, record }) => {
                self.records[place] = Some(record);
                pass.failed(&policy.name, &failure.cause);
                return Err(refusal_of(failure));
            }
        };
        let placed = instance.place(upload).await;
        let router = Router {
            place,
            instance,
            pass,
        };
        match placed {
            Ok(Ok(disk)) => Ok((router, disk)),
            Ok(Err(refusal)) => Err(self.unrouted(router, Ok(refusal))),
            Err(failure) => Err(self.unrouted(router, Err(failure))),
        }
    }

    /// Asks it for the path.
    async fn route(
        &mut self,
        mut router: Router,
        upload: &Upload,
        end: &End,
    ) -> Result<DiskPath, RefusalCause> {
        match router.instance.route(upload, end, &self.facts).await {
            Ok(Ok(path)) => {
                router.pass.judged(&router.instance.policy().name);
                let (mut record, _) = router.instance.into_parts();
                record.verdict = Verdict::Accept;
                self.records[router.place] = Some(record);
                Ok(path)
            }
            Ok(Err(refusal)) => Err(self.unrouted(router, Ok(refusal))),
            Err(failure) => Err(self.unrouted(router, Err(failure))),
        }
    }

    /// An upload without a place cannot go on, whatever the reason.
    fn unrouted(&mut self, router: Router, why: Result<Refusal, PolicyFailure>) -> RefusalCause {
        let Router {
            place,
            instance,
            pass,
        } = router;
        let policy = instance.policy().name.clone();
        match &why {
            Ok(_) => pass.judged(&policy),
            Err(failure) => pass.failed(&policy, &failure.cause),
        }
        let (mut record, _) = instance.into_parts();
        let cause = match why {
            Ok(refusal) => {
                record.verdict = Verdict::Reject;
                RefusalCause::Rejected { policy, refusal }
            }
            Err(failure) => {
                record.fail(failure.call, failure.cause.clone());
                refusal_of(failure)
            }
        };
        self.records[place] = Some(record);
        cause
    }

    /// Takes what those noticed and did that have not decided.
    pub(crate) fn dismiss(mut self, seats: Vec<Seat>, router: Option<Router>) -> Self {
        for seat in seats {
            let policy = seat.instance.policy().name.clone();
            let (record, collected) = seat.instance.into_parts();
            collected.hand_over(&policy, &mut self.findings, &mut self.facts);
            self.records[seat.place] = Some(record);
        }
        if let Some(Router {
            place, instance, ..
        }) = router
        {
            self.records[place] = Some(instance.into_parts().0);
        }
        self
    }

    pub(crate) fn refused(self, cause: RefusalCause) -> Admitted {
        Admitted::Refused(self.into_refused(cause))
    }

    fn into_refused(self, cause: RefusalCause) -> Box<Refused> {
        Box::new(Refused {
            cause,
            records: self.records.into_iter().flatten().collect(),
            findings: self.findings,
        })
    }
}

/// A failure rejects, unless the set says otherwise; in any case the operator reads of it. A lack of
/// instances is no failure: were it one, load could turn `on-failure = "accept"` into a way past a policy.
fn fail(policy: &Policy, failure: PolicyFailure) -> Result<(), RefusalCause> {
    let cause = refusal_of(failure);
    match (&cause, policy.on_failure) {
        (RefusalCause::Failed(_), OnFailure::Accept) => Ok(()),
        _ => Err(cause),
    }
}

fn refusal_of(failure: PolicyFailure) -> RefusalCause {
    if failure.cause == FailureCause::NoRoom {
        return RefusalCause::Overloaded;
    }
    RefusalCause::Failed(failure)
}
