//! What judges an upload: its policies, those in the shadow and its digest, all at the same byte. A block goes on only
//! after every policy has passed it.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::Stream;
use portcullis_engine::{End, Inspection, Passed, RefusalCause, Refused, Shadow, Suspension};
use portcullis_hop::StoreError;
use portcullis_telemetry::TraceContext;
use portcullis_types::Sha256Hasher;
use serde::{Deserialize, Serialize};

use super::chunks::Chunks;
use super::forward::{Forward, ForwardError};
use crate::linger::BodyError;
use crate::record;

/// How many blocks of an upload may be shown to the policies before they have passed.
const BLOCKS_IN_FLIGHT: usize = 2;

/// An upload before its policies.
pub(super) struct Judge {
    inspection: Inspection,
    shadow: Shadow,
    hasher: Sha256Hasher,
    offset: u64,
    last: Option<u8>,
}

/// The judgement of an upload that pauses.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paused {
    pub(super) policies: Suspension,
    /// That of the digest, in hexadecimal.
    hash_state: String,
    last: Option<u8>,
}

/// What of it is not the policies'.
pub(super) struct PausedDigest {
    offset: u64,
    hash_state: String,
    last: Option<u8>,
}

impl Paused {
    /// What the policies know, and the rest.
    pub(super) fn into_parts(self) -> (Suspension, PausedDigest) {
        let digest = PausedDigest {
            offset: self.policies.offset(),
            hash_state: self.hash_state,
            last: self.last,
        };
        (self.policies, digest)
    }
}

/// Why judging ended early. What was shown and has not passed went nowhere.
pub(super) enum Stopped {
    /// The policies let it pass no further.
    Refused(RefusalCause),
    /// What takes what has passed does not go on.
    Forward(ForwardError),
    /// Services did not go on.
    Store(StoreError),
    /// There is more than there may be.
    TooLarge,
}

impl Stopped {
    /// Whether it is the bytes that ended it.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(self, Self::Refused(cause) if super::is_verdict(cause))
    }
}

impl Judge {
    pub(super) fn new(inspection: Inspection, shadow: Shadow) -> Self {
        Self {
            inspection,
            shadow,
            hasher: Sha256Hasher::default(),
            offset: 0,
            last: None,
        }
    }

    /// The policies.
    pub(super) fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// How much has passed, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The last byte that has passed.
    pub(super) fn last(&self) -> Option<u8> {
        self.last
    }

    /// Shows every chunk to the policies and only then passes it on, if it is to be. An upload may have so many bytes
    /// in all. A body that breaks off is no reason to stop: what came of it is judged and passed on, and the error given.
    pub(super) async fn show<B>(
        &mut self,
        mut chunks: Chunks<B>,
        forward: Option<Forward>,
        limit: u64,
    ) -> Result<Option<BodyError>, Stopped>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        // Shown to the policies, and not passed yet.
        let mut shown: VecDeque<Bytes> = VecDeque::with_capacity(BLOCKS_IN_FLIGHT);
        let mut offset = self.offset;
        let (mut is_over, mut broken) = (false, None);
        loop {
            tokio::select! {
                passed = self.inspection.judged(), if !shown.is_empty() => {
                    for block in shown.drain(..passed?) {
                        self.offset += block.len() as u64;
                        self.last = block.last().copied().or(self.last);
                        if let Some(forward) = &forward {
                            forward.send(block).await?;
                        }
                    }
                }
                next = chunks.next(), if !is_over && shown.len() < BLOCKS_IN_FLIGHT => {
                    let block = match next {
                        Ok(Some(block)) => block,
                        ended => {
                            is_over = true;
                            broken = ended.err();
                            continue;
                        }
                    };
                    offset += block.len() as u64;
                    if offset > limit {
                        return Err(Stopped::TooLarge);
                    }
                    // Judged there, hashed here, and the next one received meanwhile.
                    self.inspection.show(block.clone());
                    self.shadow.show(&block);
                    self.hasher.update(&block);
                    shown.push_back(block);
                }
                else => break,
            }
        }
        if let Some(forward) = forward {
            forward.end().await?;
        }
        Ok(broken)
    }

    /// Shows all of an upload that is there at once. What the policies say to it, they say with their last word.
    pub(super) fn show_whole(&mut self, bytes: &Bytes) {
        self.offset = bytes.len() as u64;
        self.last = bytes.last().copied();
        self.inspection.show_last(bytes.clone());
        self.shadow.show(bytes);
        self.hasher.update(bytes);
    }

    /// Says that the upload is complete, and asks for the last word. Beside it stand the policies in the shadow.
    pub(super) async fn finish(self) -> (Result<Passed, Box<Refused>>, End, Shadow) {
        let end = End {
            length: self.offset,
            sha256: self.hasher.finish(),
        };
        self.shadow.end(&end);
        (self.inspection.finish(end).await, end, self.shadow)
    }

    /// Ends the judgement for this reason, and gives what the policies did and noticed.
    pub(super) async fn refuse(self, cause: RefusalCause) -> (Box<Refused>, Shadow) {
        (self.inspection.refuse(cause).await, self.shadow)
    }

    /// Writes down all that is known so far; absent where the policies have to see the upload again from its first byte.
    /// What those in the shadow know is lost.
    pub(super) async fn suspend(self) -> Option<Paused> {
        let policies = self.inspection.suspend().await?;
        Some(Paused {
            policies,
            hash_state: hex::encode(self.hasher.state()),
            last: self.last,
        })
    }

    /// Goes on from what was written down, with policies that do.
    pub(super) fn resumed(inspection: Inspection, paused: &PausedDigest) -> Option<Self> {
        let hash_state = hex::decode(&paused.hash_state).ok()?;
        Some(Self {
            inspection,
            shadow: Shadow::default(),
            hasher: Sha256Hasher::from_state(&hash_state)?,
            offset: paused.offset,
            last: paused.last,
        })
    }

    /// Ends it for another reason than theirs. What they did is told in the trace of the upload.
    pub(super) async fn abandon(self, upload: &TraceContext) {
        record::policies(&self.inspection.abandon().await, upload);
    }
}

impl From<RefusalCause> for Stopped {
    fn from(cause: RefusalCause) -> Self {
        Self::Refused(cause)
    }
}

impl From<ForwardError> for Stopped {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}
