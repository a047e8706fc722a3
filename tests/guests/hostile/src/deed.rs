use std::str::FromStr;

use serde::Deserialize;

/// The call in which the deed is done. `describe` is not among them, since it comes before the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// When the settings are read, which is also when the policy set is loaded.
    Configure,
    /// The default.
    #[default]
    Admit,
    /// The first chunk.
    Chunk,
    /// After the last chunk.
    Finish,
}

/// What the policy does. In the settings its name in kebab-case, with `:N` after it where it has a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Deed {
    /// Accepts; in `admit` without seeing a byte. The default.
    #[default]
    Accept,
    /// Refuses.
    Reject,
    /// Refuses the chunk that has the byte at this offset, whatever `when` says.
    RejectAt(u64),
    /// Sets the upload apart, in `finish` whatever `when` says.
    Quarantine,
    /// Counts all bytes and says in `finish` how many there were, whatever `when` says.
    Count,
    /// As [`Deed::Count`], but asks for this many bytes only.
    CountPrefix(u64),
    /// Says that it cannot judge: unsupported.
    Fail,
    /// Asks for this many bytes and never decides.
    Undecided(u64),
    /// Sets the fact `bytes` to the length of the resource `definitions/{table}.json`.
    Resource,
    /// Reports a finding with content of the data.
    Quote,
    /// Runs into an unreachable instruction.
    Trap,
    /// Panics with the message `told to panic`.
    Panic,
    /// Loops for ever.
    Loop,
    /// Works for this many million rounds in every call from `when` on (a round is about a nanosecond), then
    /// goes on.
    Slow(u64),
    /// Takes memory and writes to it until there is no more.
    MemoryBomb,
    /// Calls itself until the stack ends.
    DeepRecursion,
    /// Answers with a sentence of this many bytes.
    OversizedReturn(u64),
    /// Reports this many findings, then goes on.
    ManyFindings(u64),
    /// Reports this many findings, then traps.
    FindingsThenTrap(u64),
    /// Logs this many lines of 4096 bytes, then goes on.
    LogFlood(u64),
    /// Writes this many lines of 4096 bytes to standard error, then goes on.
    StderrFlood(u64),
    /// Looks for arguments, variables, input, files and a clock that moves; `finish` reports as findings of
    /// the rule `found` what there was, whatever `when` says.
    LookAround,
}

impl TryFrom<String> for Deed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Deed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => {
                let number = number
                    .parse()
                    .map_err(|_| format!("{number:?} is not a number"))?;
                (name, Some(number))
            }
            None => (text, None),
        };
        match (name, number) {
            ("accept" | "headers-only", None) => Ok(Self::Accept),
            ("reject", None) => Ok(Self::Reject),
            ("reject-at", Some(offset)) => Ok(Self::RejectAt(offset)),
            ("quarantine", None) => Ok(Self::Quarantine),
            ("count", None) => Ok(Self::Count),
            ("count-prefix", Some(bytes)) => Ok(Self::CountPrefix(bytes)),
            ("fail", None) => Ok(Self::Fail),
            ("undecided", Some(bytes)) => Ok(Self::Undecided(bytes)),
            ("resource", None) => Ok(Self::Resource),
            ("quote", None) => Ok(Self::Quote),
            ("findings-then-trap", Some(count)) => Ok(Self::FindingsThenTrap(count)),
            ("trap", None) => Ok(Self::Trap),
            ("panic", None) => Ok(Self::Panic),
            ("loop", None) => Ok(Self::Loop),
            ("slow", millions) => Ok(Self::Slow(millions.unwrap_or(100))),
            ("memory-bomb", None) => Ok(Self::MemoryBomb),
            ("deep-recursion", None) => Ok(Self::DeepRecursion),
            ("oversized-return", bytes) => Ok(Self::OversizedReturn(bytes.unwrap_or(32 << 20))),
            ("many-findings", count) => Ok(Self::ManyFindings(count.unwrap_or(100_000))),
            ("log-flood", lines) => Ok(Self::LogFlood(lines.unwrap_or(100_000))),
            ("stderr-flood", lines) => Ok(Self::StderrFlood(lines.unwrap_or(100_000))),
            ("look-around", None) => Ok(Self::LookAround),
            _ => Err(format!(
                "{text:?} is not a deed: one of accept, headers-only, reject, reject-at:N, quarantine, count, \
                 count-prefix:N, undecided:N, fail, resource, quote, findings-then-trap:N, trap, panic, loop, slow[:N], memory-bomb, deep-recursion, oversized-return[:N], \
                 many-findings[:N], log-flood[:N], stderr-flood[:N], look-around"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_read_with_and_without_numbers() {
        assert_eq!("headers-only".parse(), Ok(Deed::Accept));
        assert_eq!("reject-at:7".parse(), Ok(Deed::RejectAt(7)));
        assert_eq!("slow".parse(), Ok(Deed::Slow(100)));
        assert_eq!("slow:5".parse(), Ok(Deed::Slow(5)));
        for wrong in ["", "lop", "loop:1", "reject-at", "reject-at:x"] {
            assert!(wrong.parse::<Deed>().is_err(), "{wrong}");
        }
    }
}
