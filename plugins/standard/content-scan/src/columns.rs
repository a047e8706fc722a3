//! What the name of a column says of its cells.

use crate::kind::Kind;

/// Words of a name, and longer names as they stand without what is between their words.
const WORDS: [(&str, Kind); 9] = [
    ("ssn", Kind::Ssn),
    ("mrn", Kind::Mrn),
    ("email", Kind::Email),
    ("phone", Kind::Telephone),
    ("telephone", Kind::Telephone),
    ("mobile", Kind::Telephone),
    ("fax", Kind::Telephone),
    ("dob", Kind::BirthDate),
    ("birthday", Kind::BirthDate),
];
const NAMES: [(&str, Kind); 6] = [
    ("socialsecurity", Kind::Ssn),
    ("medicalrecord", Kind::Mrn),
    ("emailaddress", Kind::Email),
    ("phonenumber", Kind::Telephone),
    ("birthdate", Kind::BirthDate),
    ("dateofbirth", Kind::BirthDate),
];

/// What the cells are, if the name of their column says so.
pub(crate) fn expected(name: &str) -> Option<Kind> {
    let name = name.to_lowercase();
    let mut words = name.split(|char: char| !char.is_alphanumeric());
    let by_word = words.find_map(|word| {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, kind)| *kind)
    });
    let joined: String = name.chars().filter(|char| char.is_alphanumeric()).collect();
    let known = NAMES.iter().find(|(known, _)| joined.contains(known));
    by_word.or(known.map(|(_, kind)| *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_in_a_column() {
        for (name, kind) in [
            ("SSN", Some(Kind::Ssn)),
            ("patient_mrn", Some(Kind::Mrn)),
            ("BirthDate", Some(Kind::BirthDate)),
            ("birth_date", Some(Kind::BirthDate)),
            ("Home Phone", Some(Kind::Telephone)),
            ("email", Some(Kind::Email)),
            ("adobe_version", None),
            ("notes", None),
        ] {
            assert_eq!(expected(name), kind, "{name}");
        }
    }
}
