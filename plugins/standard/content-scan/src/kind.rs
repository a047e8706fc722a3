use serde::Deserialize;

/// Something that identifies a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A Social Security number of the United States.
    Ssn,
    /// The number of a medical record.
    Mrn,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Telephone,
    /// A day of birth.
    BirthDate,
}

impl Kind {
    /// All of them, in the order in which they are declared.
    pub(crate) const ALL: [Self; 5] = [
        Self::Ssn,
        Self::Mrn,
        Self::Email,
        Self::Telephone,
        Self::BirthDate,
    ];

    /// The rule that it breaks.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Ssn => "ssn",
            Self::Mrn => "medical-record-number",
            Self::Email => "email",
            Self::Telephone => "telephone",
            Self::BirthDate => "birth-date",
        }
    }

    /// What it is, for a sentence.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ssn => "a US Social Security number",
            Self::Mrn => "a medical record number",
            Self::Email => "an e-mail address",
            Self::Telephone => "a telephone number",
            Self::BirthDate => "a date of birth",
        }
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}
