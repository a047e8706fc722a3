//! Which of up to 64 bytes can begin something, as bit masks: bit `i` stands for byte `i`.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const BLOCK_BYTES: usize = 64;
const LANE_BYTES: usize = 16;

/// What 64 bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) digits: u64,
    /// ASCII letters.
    pub(crate) letters: u64,
    /// `1`
    pub(crate) ones: u64,
    /// What stands between groups of digits.
    pub(crate) separators: u64,
    pub(crate) pluses: u64,
    pub(crate) ats: u64,
    /// Letters with which a label begins.
    pub(crate) firsts: u64,
}

impl Masks {
    /// Those of the bytes from `at` on; what is behind the end is nothing. `firsts` are in lower case.
    #[inline]
    pub(crate) fn of(text: &[u8], at: usize, firsts: &[u8]) -> Self {
        let rest = text.get(at..).unwrap_or_default();
        let mut masks = Self::default();
        if let Some(block) = rest.first_chunk::<BLOCK_BYTES>() {
            let (lanes, _) = block.as_chunks::<LANE_BYTES>();
            for (nth, lane) in lanes.iter().enumerate() {
                masks.add(nth, lane, firsts);
            }
            return masks;
        }
        let (lanes, last) = rest.as_chunks::<LANE_BYTES>();
        for (nth, lane) in lanes.iter().enumerate() {
            masks.add(nth, lane, firsts);
        }
        if !last.is_empty() {
            let mut lane = [0; LANE_BYTES];
            lane[..last.len()].copy_from_slice(last);
            masks.add(lanes.len(), &lane, firsts);
        }
        masks
    }

    #[inline]
    fn add(&mut self, nth: usize, lane: &[u8; LANE_BYTES], firsts: &[u8]) {
        let bytes = u8x16::new(*lane);
        let within = |bytes: u8x16, low: u8, high: u8| {
            let clamped = bytes.max(u8x16::splat(low)).min(u8x16::splat(high));
            bytes.simd_eq(clamped)
        };
        let equal = |bytes: u8x16, byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let lower = bytes | u8x16::splat(0x20);
        let set = |found: u8x16| u64::from(found.to_bitmask()) << (LANE_BYTES * nth);
        self.digits |= set(within(bytes, b'0', b'9'));
        self.letters |= set(within(lower, b'a', b'z'));
        self.ones |= set(equal(bytes, b'1'));
        let separators = within(bytes, b'-', b'.') | within(bytes, b'(', b')') | equal(bytes, b' ');
        self.separators |= set(separators);
        self.pluses |= set(equal(bytes, b'+'));
        self.ats |= set(equal(bytes, b'@'));
        let none = u8x16::splat(0);
        let first = firsts
            .iter()
            .fold(none, |found, first| found | equal(lower, *first));
        self.firsts |= set(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_known_for_what_it_is_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in [0, 15, 16, 40, 63] {
                for length in [place + 1, 64, 70] {
                    let mut text = vec![0; length];
                    text[place] = byte;
                    let set = |is_set: bool| u64::from(is_set) << place;
                    let wanted = Masks {
                        digits: set(byte.is_ascii_digit()),
                        letters: set(byte.is_ascii_alphabetic()),
                        ones: set(byte == b'1'),
                        separators: set(b"-.() ".contains(&byte)),
                        pluses: set(byte == b'+'),
                        ats: set(byte == b'@'),
                        firsts: set(matches!(byte, b'm' | b'M' | b'd' | b'D')),
                    };
                    assert_eq!(Masks::of(&text, 0, b"md"), wanted, "{byte} at {place}");
                }
            }
        }
    }
}
