use std::mem;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt};

/// Below this many bytes, frames are put together before policies see them: a call has a fixed price.
const MIN_CHUNK_BYTES: usize = 64 << 10;
/// How long bytes wait for more before they go on as they are: an uploader on a slow line hears within the
/// second what is wrong with the first row, and services see that the upload is alive.
const PATIENCE: Duration = Duration::from_millis(500);
/// The most bytes of a chunk.
const MAX_CHUNK_BYTES: usize = 256 << 10;

/// The frames of a body as chunks of 64 to 256 KiB, but for the last one and for those of a slow line.
/// Frames that are large enough are handed on without being copied.
pub(super) struct Chunks<S> {
    frames: Fuse<S>,
    ready: Bytes,
    small: BytesMut,
}

impl<S, E> Chunks<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(super) fn new(frames: S) -> Self {
        Self {
            frames: frames.fuse(),
            ready: Bytes::new(),
            small: BytesMut::new(),
        }
    }

    /// The next chunk; absent at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, E> {
        loop {
            if !self.ready.is_empty() {
                let size = self.ready.len().min(MAX_CHUNK_BYTES);
                return Ok(Some(self.ready.split_to(size)));
            }
            let next = self.frames.next();
            let next = if self.small.is_empty() {
                next.await
            } else if let Ok(next) = tokio::time::timeout(PATIENCE, next).await {
                next
            } else {
                // It takes its memory along: many who wait on slow lines are to hold none.
                self.ready = mem::take(&mut self.small).freeze();
                continue;
            };
            match next {
                Some(Ok(frame)) if self.small.is_empty() && frame.len() >= MIN_CHUNK_BYTES => {
                    self.ready = frame;
                }
                Some(Ok(frame)) => {
                    self.small.extend_from_slice(&frame);
                    if self.small.len() >= MIN_CHUNK_BYTES {
                        self.ready = self.small.split().freeze();
                    }
                }
                Some(Err(error)) => return Err(error),
                None if self.small.is_empty() => return Ok(None),
                None => self.ready = self.small.split().freeze(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn what_comes_slowly_is_not_held_back() {
        let begin = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"row 1"))]);
        let mut chunks = Chunks::new(begin.chain(stream::pending()));
        let first = tokio::time::timeout(20 * PATIENCE, chunks.next()).await;
        let first = first.expect("it is handed on").expect("cannot fail");
        assert_eq!(first.as_deref(), Some(&b"row 1"[..]));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_every_chunk_but_the_last_has_its_size(
            sizes in proptest::collection::vec(0usize..200_000, 0..12),
        ) {
            let frames: Vec<Result<Bytes, Infallible>> =
                sizes.iter().enumerate().map(|(i, size)| Ok(Bytes::from(vec![u8::try_from(i).unwrap_or(0); *size]))).collect();
            let whole: Vec<u8> = frames.iter().flatten().flatten().copied().collect();
            let mut chunks = Chunks::new(futures_util::stream::iter(frames));
            let mut seen: Vec<Bytes> = Vec::new();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(async { while let Ok(Some(chunk)) = chunks.next().await { seen.push(chunk); } });
            prop_assert!(seen.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= MAX_CHUNK_BYTES));
            prop_assert_eq!(seen.concat(), whole);
        }
    }
}
