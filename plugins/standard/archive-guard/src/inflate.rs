//! DEFLATE (RFC 1951) in a window of fixed size.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The window: a power of two, at least the 32 KiB that DEFLATE looks back.
const WINDOW_BYTES: usize = 64 << 10;

/// A stream that is being unpacked.
pub(crate) struct Inflate {
    decoder: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
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
            decoder: Box::default(),
            window: vec![0; WINDOW_BYTES],
            at: 0,
            packed: 0,
            expanded: 0,
        }
    }

    /// For another stream.
    pub(crate) fn reset(&mut self) {
        self.decoder.init();
        (self.at, self.packed, self.expanded) = (0, 0, 0);
    }

    /// Unpacks from the front of `bytes` until they or the stream end. Ends early with what `each` ends with,
    /// which is handed every piece that comes out.
    pub(crate) fn push<E>(
        &mut self,
        bytes: &mut &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Inflated, E> {
        loop {
            let (status, used, made) = decompress(
                &mut self.decoder,
                bytes,
                &mut self.window,
                self.at,
                TINFL_FLAG_HAS_MORE_INPUT,
            );
            *bytes = bytes.get(used..).unwrap_or_default();
            self.packed += used as u64;
            self.expanded += made as u64;
            let piece = self.window.get(self.at..self.at + made);
            each(piece.unwrap_or_default())?;
            self.at = (self.at + made) % WINDOW_BYTES;
            match status {
                TINFLStatus::Done => return Ok(Inflated::Done),
                TINFLStatus::NeedsMoreInput => return Ok(Inflated::More),
                TINFLStatus::HasMoreOutput => {}
                _ => return Ok(Inflated::Broken),
            }
        }
    }
}
