use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::MAX_WHOLE_BYTES;

/// How long the rest of a body may take after its first bytes, to be stored in one call: what is slower goes its way
/// while it comes.
const PATIENCE: Duration = Duration::from_millis(250);

/// The most frames that are gathered. However few bytes a frame has, it keeps the buffer in memory that it was received
/// into.
const MAX_FRAMES: usize = 256;

/// The beginning of a body, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// More follows.
    Beginning(Vec<Bytes>),
}

/// Reads a body that may be small, until it ends, is too large to be stored in one call, comes in too many frames, or takes
/// too long.
///
/// # Errors
/// The body broke off.
pub async fn gather<S, E>(body: &mut S) -> Result<Gathered, E>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut frames = Vec::new();
    let mut bytes = 0;
    // Before its first bytes nothing can be done with it anyway.
    let mut next = body.next().await.transpose()?;
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    while let Some(frame) = next {
        bytes += frame.len();
        frames.push(frame);
        if bytes > MAX_WHOLE_BYTES || frames.len() == MAX_FRAMES {
            return Ok(Gathered::Beginning(frames));
        }
        next = tokio::select! {
            biased;
            frame = body.next() => frame.transpose()?,
            () = &mut deadline => return Ok(Gathered::Beginning(frames)),
        };
    }
    Ok(Gathered::Whole(joined(frames)))
}

/// One that came in one piece is not copied.
fn joined(mut frames: Vec<Bytes>) -> Bytes {
    if frames.len() > 1 {
        let mut all = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
        for frame in &frames {
            all.extend_from_slice(frame);
        }
        return all.freeze();
    }
    frames.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::BodyAborted;

    async fn gathered(frames: &[usize], slow: bool) -> Result<Gathered, BodyAborted> {
        let frames: Vec<_> = frames
            .iter()
            .map(|size| Ok(vec![b'x'; *size].into()))
            .collect();
        let frames = stream::iter(frames);
        if slow {
            return gather(&mut frames.chain(stream::pending())).await;
        }
        gather(&mut frames.boxed()).await
    }

    #[tokio::test]
    async fn a_small_body_is_gathered_and_a_large_or_slow_one_goes_on() {
        let whole = |size| Ok(Gathered::Whole(vec![b'x'; size].into()));
        assert_eq!(gathered(&[], false).await, whole(0));
        assert_eq!(gathered(&[3], false).await, whole(3));
        let halves = [MAX_WHOLE_BYTES / 2; 2];
        assert_eq!(gathered(&halves, false).await, whole(MAX_WHOLE_BYTES));
        let goes_on = |gathered: Result<Gathered, BodyAborted>| match gathered {
            Ok(Gathered::Beginning(frames)) => frames.iter().map(Bytes::len).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let large = [MAX_WHOLE_BYTES, 1, 1];
        assert_eq!(goes_on(gathered(&large, false).await), large[..2]);
        assert_eq!(goes_on(gathered(&[3], true).await), [3]);
        let tiny = goes_on(gathered(&[1; 1000], false).await);
        assert_eq!(tiny, [1; MAX_FRAMES]);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_neither() {
        let mut body = stream::iter([Ok(Bytes::from_static(b"x")), Err(BodyAborted)]);
        assert_eq!(gather(&mut body).await, Err(BodyAborted));
    }
}
