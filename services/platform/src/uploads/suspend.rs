//! What the policies know of an upload that pauses lies beside its stage, with the offset that it is of and its digest: it
//! is not made durable, and whatever is wrong with it makes it none.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use portcullis_hop::{Epoch, StoreError, UploadState, UploadStatus};
use portcullis_types::{Offset, Sha256Digest, UploadId};

use super::Inner;
use crate::blocking::blocking;
use crate::fault::Fault;

/// How long it waits for whoever works on the upload.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// What stands before it: the offset and the digest.
const HEAD_BYTES: usize = 8 + 32;

impl Inner {
    pub(super) async fn suspend(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        state: &Bytes,
    ) -> Result<UploadStatus, Fault> {
        self.open_row(id, epoch).await?;
        let slot = self.active.slot(id);
        let turn = tokio::time::timeout(TURN_WAIT, slot.turn()).await;
        let turn = turn.map_err(|_| Fault(StoreError::Unavailable))?;
        // Again: whoever had the turn may have moved the offset, or ended the upload.
        let row = self.open_row(id, epoch).await?;
        let status = row.status();
        if status.offset != offset {
            let expected = status.offset;
            return Err(StoreError::OffsetMismatch { expected }.into());
        }
        let disk = self.disk(&row)?.clone();
        let written = write(offset, state);
        let keep = move || {
            let kept = disk.disk().keep_state(id, &written);
            kept.map_err(Fault::of_disk(&disk))
        };
        blocking(keep).await??;
        drop(turn);
        Ok(status)
    }

    pub(super) async fn suspended(&self, id: UploadId) -> Result<Option<Bytes>, Fault> {
        let row = self.row(id).await?;
        let status = row.status();
        if status.state != UploadState::Open {
            return Err(StoreError::Ended(status.state).into());
        }
        let disk = self.disk(&row)?.clone();
        let read = move || disk.disk().state(id).map_err(Fault::of_disk(&disk));
        let written = blocking(read).await??;
        Ok(written.and_then(|written| self::read(status.offset, written.into())))
    }
}

fn write(offset: Offset, state: &Bytes) -> Bytes {
    let mut written = BytesMut::with_capacity(HEAD_BYTES + state.len());
    written.put_u64(offset.bytes());
    written.put_slice(Sha256Digest::of(state).as_bytes());
    written.put_slice(state);
    written.freeze()
}

/// What was written, if it is of this offset and nothing of it is missing.
fn read(offset: Offset, mut written: Bytes) -> Option<Bytes> {
    let state = written.split_off(written.len().min(HEAD_BYTES));
    let (of, digest) = written.split_first_chunk::<8>()?;
    let is_of_it = u64::from_be_bytes(*of) == offset.bytes();
    let is_whole = digest == Sha256Digest::of(&state).as_bytes();
    (is_of_it && is_whole).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_changed_or_of_another_offset_is_none() {
        let (offset, state) = (Offset::new(7), Bytes::from_static(b"state"));
        let written = write(offset, &state);
        assert_eq!(read(offset, written.clone()), Some(state));
        assert_eq!(read(Offset::new(8), written.clone()), None);
        for length in 0..written.len() {
            assert_eq!(read(offset, written.slice(..length)), None);
        }
        for at in 0..written.len() {
            let mut changed = written.to_vec();
            changed[at] ^= 1;
            assert_eq!(read(offset, changed.into()), None);
        }
    }
}
