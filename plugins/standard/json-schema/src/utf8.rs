//! UTF-8, byte by byte (Unicode 16.0, table 3-7).

/// What has been seen of a character.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    missing: u8,
    /// What the next byte may be.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Takes a byte beyond ASCII; says whether it can stand there.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        if self.missing > 0 {
            let is_right = (self.low..=self.high).contains(&byte);
            self.missing -= 1;
            (self.low, self.high) = (0x80, 0xbf);
            return is_right;
        }
        (self.missing, self.low, self.high) = match byte {
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return false,
        };
        true
    }

    /// Whether no character is begun.
    pub(crate) fn is_whole(self) -> bool {
        self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(bytes in prop::collection::vec(0x80u8.., 0..6)) {
            let mut utf8 = Utf8::default();
            let is_right = bytes.iter().all(|byte| utf8.push(*byte)) && utf8.is_whole();
            prop_assert_eq!(is_right, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
