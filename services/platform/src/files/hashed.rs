use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use portcullis_hop::ByteStream;
use portcullis_types::{Sha256Digest, Sha256Hasher};

/// What went by in a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<(u64, Sha256Hasher)>>);

/// The same stream, and what will have gone by when it has been read.
pub(crate) fn hashed(bytes: ByteStream) -> (ByteStream, Seen) {
    let seen = Seen::default();
    let noting = seen.clone();
    let hashed = bytes.inspect_ok(move |block| {
        let mut seen = noting.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 += block.len() as u64;
        seen.1.update(block);
    });
    (Box::pin(hashed), seen)
}

impl Seen {
    /// How many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Their digest.
    pub(crate) fn digest(&self) -> Sha256Digest {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .digest()
    }

    /// Reads a stream to its end, for whoever wants nothing but to know what it was.
    pub(crate) async fn of(bytes: ByteStream) -> Result<Self, portcullis_hop::BodyAborted> {
        let (mut bytes, seen) = hashed(bytes);
        while bytes.try_next().await?.is_some() {}
        Ok(seen)
    }
}
