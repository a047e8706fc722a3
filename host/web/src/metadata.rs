//! What a client says about a file before its first byte, in whatever protocol: one parser for all of them.

use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::{Attributes, InvalidAttribute};

use crate::media_type;

/// The longest file name in bytes.
pub(crate) const MAX_FILENAME_BYTES: usize = 255;

/// What clients send that know nothing of the content: not a declaration.
const UNDECLARED: [&str; 2] = [
    "application/x-www-form-urlencoded",
    "application/octet-stream",
];

/// The keys under which clients that have no other place for it send the name of the file, the best first: what
/// tus-js-client, tusd and Uppy use.
const FILENAME_KEYS: [&str; 2] = ["filename", "name"];
/// The same for its media type.
const MEDIA_TYPE_KEYS: [&str; 3] = ["filetype", "type", "contentType"];
/// What Uppy sends for something that is not there.
const ABSENT: &str = "null";

/// What a client says about an upload before its first byte.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    pub(crate) filename: String,
    pub(crate) media_type: Option<String>,
    pub(crate) length: Option<u64>,
    pub(crate) attributes: Attributes,
}

impl Headers {
    /// What pairs say that are all that a protocol has: the usual keys for name and media type, and attributes.
    pub(crate) fn of_pairs(
        mut pairs: Vec<(String, String)>,
        length: Option<u64>,
    ) -> Result<Self, Problem> {
        let filename = take(&mut pairs, &FILENAME_KEYS).ok_or_else(|| {
            Problem::new(
                ProblemKind::BadRequest,
                "The upload does not name its file; send its name as `filename` in `Upload-Metadata`.",
            )
        })?;
        let media_type = take(&mut pairs, &MEDIA_TYPE_KEYS);
        Ok(Self {
            filename: check_filename(&filename)?,
            media_type: media_type.as_deref().and_then(declared),
            length,
            attributes: attributes(pairs)?,
        })
    }
}

/// Takes all pairs with these keys out, and gives the value of the best that says something.
fn take(pairs: &mut Vec<(String, String)>, keys: &[&str]) -> Option<String> {
    let known = |pair: &mut (String, String)| keys.contains(&pair.0.as_str());
    let mut found: Vec<_> = pairs.extract_if(.., known).collect();
    found.retain(|(_, value)| !value.is_empty() && value != ABSENT);
    let place = |key: &str| keys.iter().position(|known| *known == key);
    found.sort_by_key(|(key, _)| place(key));
    found.into_iter().next().map(|(_, value)| value)
}

/// Pairs as attributes.
pub(crate) fn attributes(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<Attributes, Problem> {
    let mut attributes = Attributes::default();
    for (name, value) in pairs {
        add(&mut attributes, &name, &value)?;
    }
    Ok(attributes)
}

/// One more attribute.
pub(crate) fn add(attributes: &mut Attributes, name: &str, value: &str) -> Result<(), Problem> {
    let added = attributes.insert(name, value);
    added.map_err(|error| bad_field(&error))
}

/// The declared media type, as long as it says something.
pub(crate) fn declared(text: &str) -> Option<String> {
    media_type::essence(text).filter(|essence| !UNDECLARED.contains(&essence.as_str()))
}

/// A file name that policies may be shown: short enough and without control characters.
pub(crate) fn check_filename(filename: &str) -> Result<String, Problem> {
    let unsafe_path = |detail: String| Problem::new(ProblemKind::UnsafePath, detail);
    if filename.len() > MAX_FILENAME_BYTES {
        let bytes = filename.len();
        return Err(unsafe_path(format!(
            "The file name is {bytes} bytes long; at most {MAX_FILENAME_BYTES} are possible. Shorten it and send the file again."
        )));
    }
    if filename.chars().any(char::is_control) {
        return Err(unsafe_path(
            "The file name has a control character; rename the file and send it again.".to_owned(),
        ));
    }
    Ok(filename.to_owned())
}

/// The answer to a field that cannot be an attribute.
fn bad_field(error: &InvalidAttribute) -> Problem {
    Problem::new(
        ProblemKind::BadRequest,
        format!("A field of the upload cannot be used: {error}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Headers, Problem> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Headers::of_pairs(pairs.iter().map(own).collect(), None)
    }

    #[test]
    fn name_and_media_type_stand_under_the_usual_keys_and_the_rest_are_attributes() {
        let uppy = [
            ("relativePath", ABSENT),
            ("name", "a.csv"),
            ("type", "text/csv"),
            ("filetype", "text/csv"),
            ("filename", "b.csv"),
            ("cohort", "c1"),
        ];
        let headers = of(&uppy).expect("is right");
        assert_eq!(headers.filename, "b.csv");
        assert_eq!(headers.media_type.as_deref(), Some("text/csv"));
        let attributes: Vec<_> = headers.attributes.iter().collect();
        assert_eq!(attributes, [("cohort", "c1"), ("relativePath", ABSENT)]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let long = "x".repeat(MAX_FILENAME_BYTES + 1);
        for (pairs, says) in [
            (&[("cohort", "c1")][..], "does not name its file"),
            (
                &[("filename", ""), ("name", ABSENT)],
                "does not name its file",
            ),
            (&[("filename", &long)], "256 bytes long"),
            (&[("filename", "a\nb")], "control character"),
            (
                &[("filename", "a"), ("no name", "x")],
                "the name of a field",
            ),
        ] {
            let problem = of(pairs).expect_err(says);
            assert!(problem.detail.contains(says), "{}", problem.detail);
        }
    }
}
