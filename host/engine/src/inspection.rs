//! An upload before its policies, as the threads that serve it see it: blocks go to the threads of the
//! policies, and verdicts come back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use portcullis_types::{DiskName, Sha256Digest};
use tokio::sync::Notify;

use crate::executor::{Account, Executor, Running};
use crate::judgement::{Admitted, Judgement};
use crate::{End, Passed, PolicyRecord, RefusalCause, Refused, Suspension};

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
    shown: Arc<Shown>,
    /// What is judged together with the end.
    last: Option<Bytes>,
    state: State,
}

enum State {
    Waiting(Box<Judgement>),
    Judging(Running<(Box<Judgement>, Result<(), RefusalCause>)>),
    /// Only while it is being changed.
    Between,
}

/// Blocks on their way to the policies, and word of those that have passed. What judges goes on from one
/// block to the next by itself, as long as there is one: waking a thread costs as much as judging a block.
#[derive(Default)]
struct Shown {
    blocks: Mutex<Blocks>,
    passed: Notify,
}

#[derive(Default)]
struct Blocks {
    waiting: VecDeque<Bytes>,
    /// How many have passed and were not told yet.
    passed: usize,
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges block after block until none waits.
    async fn judge(
        &self,
        mut judgement: Box<Judgement>,
    ) -> (Box<Judgement>, Result<(), RefusalCause>) {
        loop {
            let Some(block) = self.lock().waiting.pop_front() else {
                return (judgement, Ok(()));
            };
            if let Err(cause) = judgement.chunk(&block).await {
                return (judgement, Err(cause));
            }
            self.lock().passed += 1;
            self.passed.notify_one();
        }
    }
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
                shown: Arc::default(),
                last: None,
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

    /// Shows the next block to every policy that wants it. It is judged in the background, after those before
    /// it; [`judged`](Self::judged) says when it has passed. Every block that is shown and has not passed is
    /// kept in memory: whoever shows them limits how many there are.
    pub fn show(&mut self, block: Bytes) {
        let mut blocks = self.shown.lock();
        if let State::Waiting(judgement) = &mut self.state
            && blocks.waiting.is_empty()
            && judgement.skip(&block)
        {
            blocks.passed += 1;
            return;
        }
        blocks.waiting.push_back(block);
        drop(blocks);
        self.go_on();
    }

    /// Shows a block that is judged together with the end, by [`finish`](Self::finish): for an upload that is all there,
    /// whose policies are woken once then. It must be the last one.
    pub fn show_last(&mut self, block: Bytes) {
        self.last = Some(block);
    }

    /// Waits until every policy has passed at least one of the blocks that were shown, oldest first, and says
    /// how many more have passed. Only those may be passed on. Without any on their way it says 0. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// The upload may not pass. Only [`refuse`](Self::refuse) and [`abandon`](Self::abandon) may follow.
    pub async fn judged(&mut self) -> Result<usize, RefusalCause> {
        loop {
            let passed = std::mem::take(&mut self.shown.lock().passed);
            if passed > 0 {
                return Ok(passed);
            }
            self.go_on();
            let State::Judging(running) = &mut self.state else {
                return Ok(0);
            };
            tokio::select! {
                biased;
                (judgement, verdict) = running => {
                    self.state = State::Waiting(judgement);
                    verdict?;
                }
                () = self.shown.passed.notified() => {}
            }
        }
    }

    /// Shows a block, and waits for what the policies say.
    ///
    /// # Errors
    /// As [`judged`](Self::judged).
    pub async fn chunk(&mut self, block: Bytes) -> Result<(), RefusalCause> {
        self.show(block);
        self.judged().await.map(|_| ())
    }

    /// Judges what waits, unless that is being done.
    fn go_on(&mut self) {
        if matches!(self.state, State::Waiting(_)) && !self.shown.lock().waiting.is_empty() {
            let State::Waiting(judgement) = self.take() else {
                unreachable!("it was looked at");
            };
            let shown = Arc::clone(&self.shown);
            let judge = async move { shown.judge(judgement).await };
            self.state = State::Judging(self.executor.run(&self.account, judge));
        }
    }

    /// Writes down what the policies know so far, and ends with it; absent where one of them has to see the upload again
    /// from its first byte. All blocks must have passed.
    pub async fn suspend(mut self) -> Option<Suspension> {
        let judgement = self.settle().await;
        let suspend = async move { judgement.suspend().await };
        self.executor.run(&self.account, suspend).await
    }

    /// Tells every policy that has not decided yet that the upload is complete, and asks where it stays. All
    /// blocks must have passed, but for the [last](Self::show_last).
    ///
    /// # Errors
    /// The upload may not pass.
    pub async fn finish(mut self, end: End) -> Result<Passed, Box<Refused>> {
        let last = self.last.take();
        let mut judgement = self.settle().await;
        let finish = async move {
            if let Some(block) = last
                && let Err(cause) = judgement.chunk(&block).await
            {
                return Err(judgement.refuse(cause));
            }
            judgement.finish(&end).await
        };
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

    /// The judgement, once it has come to an end with the block that it is at. Others are not judged.
    async fn settle(&mut self) -> Box<Judgement> {
        self.shown.lock().waiting.clear();
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
