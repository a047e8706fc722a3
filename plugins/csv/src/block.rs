//! Which of 64 bytes mean something, as bit masks: bit `i` stands for byte `i`.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const BLOCK_BYTES: usize = 64;

/// What 64 bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// `"`
    pub(crate) quotes: u64,
    /// What separates cells.
    pub(crate) separators: u64,
    /// CR and LF.
    pub(crate) newlines: u64,
    /// Control characters and bytes beyond ASCII; line ends and separators are among them.
    pub(crate) odd: u64,
}

impl Masks {
    #[inline]
    pub(crate) fn of(block: &[u8; BLOCK_BYTES], separator: u8) -> Self {
        let (quarters, _) = block.as_chunks::<16>();
        let found: [[u64; 4]; 4] = std::array::from_fn(|nth| {
            let found = sixteen(&quarters[nth], separator);
            found.map(|bits| u64::from(bits) << (16 * nth))
        });
        let all =
            |which: usize| found[0][which] | found[1][which] | found[2][which] | found[3][which];
        Self {
            quotes: all(0),
            separators: all(1),
            newlines: all(2),
            odd: all(3),
        }
    }
}

#[inline]
fn sixteen(bytes: &[u8; 16], separator: u8) -> [u32; 4] {
    let found = u8x16::new(*bytes);
    let equal = |byte: u8| found.simd_eq(u8x16::splat(byte));
    // The highest bit of a byte counts: it is set beyond ASCII, and by the subtraction below a space.
    let odd = found | (found - u8x16::splat(b' '));
    [
        equal(b'"').to_bitmask(),
        equal(separator).to_bitmask(),
        (equal(b'\n') | equal(b'\r')).to_bitmask(),
        odd.to_bitmask(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_known_for_what_it_is_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..16 {
                let mut bytes = [b'x'; 16];
                bytes[place] = byte;
                let expected = [
                    byte == b'"',
                    byte == b',',
                    matches!(byte, b'\n' | b'\r'),
                    !(0x20..=0x7f).contains(&byte),
                ];
                let expected = expected.map(|is_set| u32::from(is_set) << place);
                assert_eq!(sixteen(&bytes, b','), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn masks_are_in_the_order_of_the_bytes() {
        let mut block = [b'x'; BLOCK_BYTES];
        block[0] = b'"';
        block[17] = b'\t';
        block[63] = b'\n';
        let masks = Masks::of(&block, b'\t');
        assert_eq!(masks.quotes, 1);
        assert_eq!(masks.separators, 1 << 17);
        assert_eq!(masks.newlines, 1 << 63);
        assert_eq!(masks.odd, (1 << 17) | (1 << 63));
    }
}
