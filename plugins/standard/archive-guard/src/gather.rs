//! Bytes that are needed together, such as a header, gathered from wherever they are cut.

/// What has come of them.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    have: Vec<u8>,
    want: usize,
}

impl Gather {
    /// So many bytes.
    pub(crate) fn of(want: usize) -> Self {
        Self {
            have: Vec::new(),
            want,
        }
    }

    /// So many more behind those that are there.
    pub(crate) fn behind(have: &[u8], more: usize) -> Self {
        Self {
            have: have.to_vec(),
            want: have.len() + more,
        }
    }

    /// Takes what is missing from the front of `bytes`; says whether all are there.
    pub(crate) fn take(&mut self, bytes: &mut &[u8]) -> bool {
        let missing = self.want - self.have.len();
        let (more, rest) = bytes.split_at(missing.min(bytes.len()));
        self.have.extend_from_slice(more);
        *bytes = rest;
        self.have.len() == self.want
    }

    /// Whether none has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.have.is_empty()
    }

    /// All of them, to be read; then so many others are wanted.
    pub(crate) fn next(&mut self, want: usize) -> Vec<u8> {
        std::mem::replace(self, Self::of(want)).have
    }
}

/// Little-endian numbers in a header that was gathered whole.
pub(crate) fn u16_at(header: &[u8], at: usize) -> u16 {
    header
        .get(at..at + 2)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(header: &[u8], at: usize) -> u32 {
    header
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(header: &[u8], at: usize) -> u64 {
    header
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}
