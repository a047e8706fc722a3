//! DEFLATE (RFC 1951) in memory of fixed size.

use zlib_rs::{InflateFlush, Status};

/// How much comes out at once.
const PIECE_BYTES: usize = 64 << 10;
/// DEFLATE looks back 2^15 bytes.
const WINDOW_BITS: u8 = 15;

/// A stream that is being unpacked.
pub(crate) struct Inflate {
    decoder: zlib_rs::Inflate,
    piece: Vec<u8>,
    /// Bytes that went in.
    pub(crate) packed: u64,
    /// Bytes that came out.
    pub(crate) expanded: u64,
}

/// What came of some bytes.
pub(crate) enum Inflated {
    /// The stream goes on, and all of them were used.
    More,
    /// It is over; what is left belongs to what follows.
    Done,
    /// They are no DEFLATE.
    Broken,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            decoder: zlib_rs::Inflate::new(false, WINDOW_BITS),
            piece: vec![0; PIECE_BYTES],
            packed: 0,
            expanded: 0,
        }
    }

    /// For another stream.
    pub(crate) fn reset(&mut self) {
        self.decoder.reset(false);
        (self.packed, self.expanded) = (0, 0);
    }

    /// Unpacks from the front of `bytes` until they or the stream end. Ends early with what `each` ends with,
    /// which is handed every piece that comes out.
    pub(crate) fn push<E>(
        &mut self,
        bytes: &mut &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Inflated, E> {
        loop {
            let decoder = &mut self.decoder;
            let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
            let status = decoder.decompress(bytes, &mut self.piece, InflateFlush::NoFlush);
            let used = decoder.total_in() - before_in;
            let made = decoder.total_out() - before_out;
            self.packed += used;
            self.expanded += made;
            let (used, made) = (usize::try_from(used), usize::try_from(made));
            let (used, made) = (used.unwrap_or(usize::MAX), made.unwrap_or(usize::MAX));
            *bytes = bytes.get(used..).unwrap_or_default();
            each(self.piece.get(..made).unwrap_or_default())?;
            match status {
                Ok(Status::StreamEnd) => return Ok(Inflated::Done),
                // There may be more than fits into a piece.
                Ok(_) if made == PIECE_BYTES || !bytes.is_empty() && used > 0 => {}
                Ok(_) if bytes.is_empty() => return Ok(Inflated::More),
                Ok(_) | Err(_) => return Ok(Inflated::Broken),
            }
        }
    }
}
