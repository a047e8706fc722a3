//! Where cells end: separators and line ends that do not stand within quotes.

use serde::{Deserialize, Serialize};

use crate::block::{BLOCK_BYTES, Masks};

/// What the last byte left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// At the start of a cell.
    #[default]
    Start,
    /// Within a cell without quotes, or behind what follows a closing quote: a quote means nothing here.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind a quote within quotes: it has closed them, unless another one follows.
    Closing,
}

/// The ends of cells among the first `length` bytes of a block, and the state after them.
#[inline]
pub(crate) fn ends(state: State, masks: &Masks, length: usize) -> (u64, State) {
    let delimiters = masks.separators | masks.newlines;
    if masks.quotes == 0 && matches!(state, State::Start | State::Plain) {
        let last_ends = delimiters >> (length - 1) & 1 == 1;
        return (
            delimiters,
            if last_ends {
                State::Start
            } else {
                State::Plain
            },
        );
    }
    regular(state, masks, length).unwrap_or_else(|| one_by_one(state, masks, length))
}

/// All quotes at once, when they stand where RFC 4180 has them: the parity of the quotes before a byte says
/// whether it is within quotes (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019). None
/// when a quote stands elsewhere: then their number means nothing.
#[inline]
fn regular(state: State, masks: &Masks, length: usize) -> Option<(u64, State)> {
    let known = u64::MAX >> (BLOCK_BYTES - length);
    let from_before = if state == State::Quoted { u64::MAX } else { 0 };
    // An opening quote counts as within, a closing one does not.
    let within = (parity(masks.quotes) ^ from_before) & known;
    let ends = (masks.separators | masks.newlines) & !within;
    let (opening, closing) = (masks.quotes & within, masks.quotes & !within);
    let behind_closing = (closing << 1) | u64::from(state == State::Closing);
    let may_open = (ends << 1) | behind_closing | u64::from(state == State::Start);
    let stray_opening = opening & !may_open;
    let stray_content = behind_closing & known & !(ends | opening);
    if stray_opening | stray_content != 0 {
        return None;
    }
    let last = 1u64 << (length - 1);
    let state = if within & last != 0 {
        State::Quoted
    } else if closing & last != 0 {
        State::Closing
    } else if ends & last != 0 {
        State::Start
    } else {
        State::Plain
    };
    Some((ends, state))
}

/// For each bit, whether an odd number of bits is set up to it.
#[inline]
fn parity(bits: u64) -> u64 {
    let mut parity = bits;
    for shift in [1, 2, 4, 8, 16, 32] {
        parity ^= parity << shift;
    }
    parity
}

/// Byte for byte, whatever stands there.
#[cold]
fn one_by_one(mut state: State, masks: &Masks, length: usize) -> (u64, State) {
    let delimiters = masks.separators | masks.newlines;
    let mut ends = 0;
    for bit in (0..length).map(|nth| 1u64 << nth) {
        let quote = masks.quotes & bit != 0;
        let delimiter = delimiters & bit != 0;
        state = match state {
            State::Quoted if quote => State::Closing,
            State::Quoted => State::Quoted,
            State::Start | State::Closing if quote => State::Quoted,
            _ if delimiter => {
                ends |= bit;
                State::Start
            }
            _ => State::Plain,
        };
    }
    (ends, state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_at_once_agrees_with_one_by_one(
            text in "[\",\na]{1,64}",
            state in prop_oneof![
                Just(State::Start), Just(State::Plain), Just(State::Quoted), Just(State::Closing),
            ],
        ) {
            let mut block = [0; BLOCK_BYTES];
            block[..text.len()].copy_from_slice(text.as_bytes());
            let masks = Masks::of(&block, b',');
            let expected = one_by_one(state, &masks, text.len());
            prop_assert_eq!(ends(state, &masks, text.len()), expected);
        }
    }
}
