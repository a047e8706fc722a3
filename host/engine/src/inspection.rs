//! An upload before its policies, as the threads that serve it see it: blocks go to the threads of the
//! policies, and verdicts come back.

use std::sync::Arc;

use bytes::Bytes;
use portcullis_types::{DiskName, Sha256Digest};

use crate::executor::{Account, Executor, Running};
use crate::judgement::{Admitted, Judgement};
use crate::{End, Passed, PolicyRecord, RefusalCause, Refused};

/// What the policies say to the headers of an upload.
pub enum Admission {
    /// It may come; show every byte to the [`Inspection`] before passing it on.
    Inspect(Box<Inspection>),
    /// It may not.
    Refused(Box<Refused>),
}

/// An upload that is being judged. Dropped before its end, its policies end with it.
pub struct Inspection {
    executor: Arc<Executor>,
    account: Arc<Account>,
    disk: DiskName,
    revision: Sha256Digest,
    state: State,
}

enum State {
    Waiting(Box<Judgement>),
    Judging(Running<(Box<Judgement>, Result<(), RefusalCause>)>),
    /// Only while it is being changed.
    Between,
}

impl Admission {
    pub(crate) fn new(
        admitted: Admitted,
        executor: Arc<Executor>,
        account: Arc<Account>,
        revision: Sha256Digest,
    ) -> Self {
        match admitted {
            Admitted::Refused(refused) => Self::Refused(refused),
            Admitted::Inspect(judgement, disk) => Self::Inspect(Box::new(Inspection {
                executor,
                account,
                disk,
                revision,
                state: State::Waiting(judgement),
            })),
        }
    }
}

impl Inspection {
    /// The disk that the upload goes to.
    pub fn disk(&self) -> &DiskName {
        &self.disk
    }

    /// The revision that judges it.
    pub fn revision(&self) -> Sha256Digest {
        self.revision
    }

    /// Begins to show the next bytes to every policy that wants them: one hand-off for all of them.
    /// [`judged`](Self::judged) says what comes of it, and must have said so before the next bytes.
    pub fn show(&mut self, bytes: Bytes) {
        let State::Waiting(mut judgement) = self.take() else {
            panic!("bytes are shown before those before them were judged");
        };
        self.state = if judgement.skip(&bytes) {
            State::Waiting(judgement)
        } else {
            State::Judging(self.executor.run(&self.account, async move {
                let verdict = judgement.chunk(&bytes).await;
                (judgement, verdict)
            }))
        };
    }

    /// Waits until every policy has passed what was shown. Only after this may it be passed on. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// The upload may not pass. Only [`refuse`](Self::refuse) and [`abandon`](Self::abandon) may follow.
    pub async fn judged(&mut self) -> Result<(), RefusalCause> {
        let State::Judging(running) = &mut self.state else {
            return Ok(());
        };
        let (judgement, verdict) = running.await;
        self.state = State::Waiting(judgement);
        verdict
    }

    /// Shows the next bytes, and waits for what the policies say.
    ///
    /// # Errors
    /// As [`judged`](Self::judged).
    pub async fn chunk(&mut self, bytes: Bytes) -> Result<(), RefusalCause> {
        self.show(bytes);
        self.judged().await
    }

    /// Tells every policy that has not decided yet that the upload is complete, and asks where it stays.
    ///
    /// # Errors
    /// The upload may not pass.
    pub async fn finish(mut self, end: End) -> Result<Passed, Box<Refused>> {
        let judgement = self.settle().await;
        let finish = async move { judgement.finish(&end).await };
        self.executor.run(&self.account, finish).await
    }

    /// Ends the inspection for this reason, and gives what the policies did and noticed.
    pub async fn refuse(mut self, cause: RefusalCause) -> Box<Refused> {
        self.settle().await.refuse(cause)
    }

    /// What the policies did so far, for an upload that ends for another reason than theirs.
    pub async fn abandon(mut self) -> Vec<PolicyRecord> {
        self.settle().await.abandon()
    }

    /// The judgement, once it has come to an end with what it was shown.
    async fn settle(&mut self) -> Box<Judgement> {
        match self.take() {
            State::Waiting(judgement) => judgement,
            State::Judging(running) => running.await.0,
            State::Between => unreachable!("nothing else runs in between"),
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Between)
    }
}
