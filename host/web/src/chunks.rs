use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// Below this many bytes, frames are put together before policies see them: a call has a fixed price.
const MIN_CHUNK_BYTES: usize = 64 << 10;
/// The most bytes of a chunk.
const MAX_CHUNK_BYTES: usize = 256 << 10;

/// The frames of a body as chunks of 64 to 256 KiB, the last one excepted. Frames that are large enough
/// are handed on without being copied.
pub(crate) struct Chunks<S> {
    frames: S,
    ready: Bytes,
    small: BytesMut,
}

impl<S, E> Chunks<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(crate) fn new(frames: S) -> Self {
        Self {
            frames,
            ready: Bytes::new(),
            small: BytesMut::new(),
        }
    }

    /// The next chunk; absent at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, E> {
        loop {
            if !self.ready.is_empty() {
                let size = self.ready.len().min(MAX_CHUNK_BYTES);
                return Ok(Some(self.ready.split_to(size)));
            }
            match self.frames.next().await {
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

    use proptest::prelude::*;

    use super::*;

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
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async { while let Ok(Some(chunk)) = chunks.next().await { seen.push(chunk); } });
            prop_assert!(seen.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= MAX_CHUNK_BYTES));
            prop_assert_eq!(seen.concat(), whole);
        }
    }
}
