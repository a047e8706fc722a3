//! The upload in blocks that always begin at the same places, so that what is decided does not depend on how it
//! was cut on its way.

/// The size of a block. What comes is decided on at most so much later.
const BLOCK_BYTES: usize = 16 << 10;

/// The beginning of a block that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    begun: Vec<u8>,
}

impl Blocks {
    /// Hands over every block that these bytes complete. Ends early with what `each` ends with.
    pub(crate) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.begun.is_empty() {
            let missing = BLOCK_BYTES - self.begun.len();
            let (more, rest) = bytes.split_at(missing.min(bytes.len()));
            self.begun.extend_from_slice(more);
            bytes = rest;
            if self.begun.len() < BLOCK_BYTES {
                return Ok(());
            }
            each(&self.begun)?;
            self.begun.clear();
        }
        let whole = bytes.chunks_exact(BLOCK_BYTES);
        self.begun.extend_from_slice(whole.remainder());
        for block in whole {
            each(block)?;
        }
        Ok(())
    }

    /// The last block, which may be shorter.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_at_the_same_places_however_they_come() {
        let body: Vec<u8> = (0..50_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let read = |cut: usize| {
            let (mut blocks, mut lengths, mut all) = (Blocks::default(), Vec::new(), Vec::new());
            for piece in body.chunks(cut) {
                let keep = |block: &[u8]| {
                    lengths.push(block.len());
                    all.extend_from_slice(block);
                    Ok::<(), ()>(())
                };
                blocks.push(piece, keep).expect("is kept");
            }
            all.extend(blocks.rest());
            assert_eq!(all, body);
            lengths
        };
        for cut in [1, 7, 16_384, 16_385, 50_000] {
            assert_eq!(read(cut), [BLOCK_BYTES; 3], "{cut}");
        }
    }
}
