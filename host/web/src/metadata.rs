//! What a client says about a file before its first byte, in whatever protocol: one parser for all of them.

use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::{Attributes, DiskPath, InvalidAttribute, Sha256Digest};

use crate::{announced_digest, media_type};

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
/// The same for where it lies within the folder that was chosen: what Uppy and browsers call it.
const PATH_KEYS: [&str; 3] = ["relativePath", "webkitRelativePath", "relative-path"];
/// What Uppy sends for something that is not there.
const ABSENT: &str = "null";

/// Whether clients say under this key what the file is called, of what type it is or where it lies: an attribute that is called
/// so would not come as one.
pub(crate) fn describes_the_file(key: &str) -> bool {
    let all = [&FILENAME_KEYS[..], &MEDIA_TYPE_KEYS, &PATH_KEYS];
    key == announced_digest::KEY || all.iter().any(|keys| keys.contains(&key))
}

/// What a client says about an upload before its first byte.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    pub(crate) filename: String,
    /// The folder that the file lies in, within the one that was chosen.
    pub(crate) folder: Option<DiskPath>,
    pub(crate) media_type: Option<String>,
    pub(crate) length: Option<u64>,
    /// What it is to have.
    pub(crate) sha256: Option<Sha256Digest>,
    pub(crate) attributes: Attributes,
}

impl Headers {
    /// What pairs say that are all that a protocol has: the usual keys for name and media type, and attributes.
    pub(crate) fn of_pairs(
        mut pairs: Vec<(String, String)>,
        length: Option<u64>,
    ) -> Result<Self, Problem> {
        let path = take(&mut pairs, &PATH_KEYS);
        let path = path.map(|path| parsed(&path)).transpose()?;
        let last = path.as_ref().map(|path| path.file_name().to_owned());
        let filename = take(&mut pairs, &FILENAME_KEYS).or(last).ok_or_else(|| {
            Problem::new(
                ProblemKind::BadRequest,
                "The upload does not name its file; send its name as `filename` in `Upload-Metadata`.",
            )
        })?;
        let media_type = take(&mut pairs, &MEDIA_TYPE_KEYS);
        let sha256 = take_digest(&mut pairs)?;
        let (folder, filename) = match path {
            Some(path) => (path.folder(), filename),
            None => split(&filename),
        };
        Ok(Self {
            filename: check_filename(&filename)?,
            folder,
            media_type: media_type.as_deref().and_then(declared),
            length,
            sha256,
            attributes: attributes(pairs)?,
        })
    }
}

/// The SHA-256 of the file among pairs, which is no attribute.
pub(crate) fn take_digest(
    pairs: &mut Vec<(String, String)>,
) -> Result<Option<Sha256Digest>, Problem> {
    let digest = take(pairs, &[announced_digest::KEY]);
    digest.as_deref().map(announced_digest::parse).transpose()
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

/// The folder in front of the name of a file, and the name: some clients send both in one. A name that is no safe path is left
/// as it is, for the policies to refuse.
pub(crate) fn split(filename: &str) -> (Option<DiskPath>, String) {
    match filename.parse::<DiskPath>() {
        Ok(path) if filename.contains('/') => (path.folder(), path.file_name().to_owned()),
        _ => (None, filename.to_owned()),
    }
}

fn parsed(path: &str) -> Result<DiskPath, Problem> {
    path.parse::<DiskPath>().map_err(|unsafe_path| {
        let detail = format!("Where the file lies in its folder cannot be kept: {unsafe_path}.");
        Problem::new(ProblemKind::UnsafePath, detail)
    })
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
        assert_eq!(attributes, [("cohort", "c1")]);
        assert_eq!(headers.folder, None);
    }

    #[test]
    fn a_dropped_folder_keeps_its_structure_and_nothing_leads_out_of_it() {
        for (pairs, folder) in [
            (
                &[("filename", "a.csv"), ("relativePath", "scans/2024/a.csv")][..],
                Some("scans/2024"),
            ),
            (&[("relativePath", "scans/a.csv")], Some("scans")),
            (&[("filename", "scans/a.csv")], Some("scans")),
            (&[("filename", "a.csv"), ("relativePath", "a.csv")], None),
        ] {
            let headers = of(pairs).expect("is right");
            let found = headers.folder.map(|folder| folder.to_string());
            assert_eq!(
                (headers.filename.as_str(), found.as_deref()),
                ("a.csv", folder)
            );
        }
        for path in [
            "../a.csv",
            "a/../../b.csv",
            "/etc/a.csv",
            "a//b.csv",
            "a/.portcullis/b.csv",
            "a\\b.csv",
        ] {
            let problem = of(&[("filename", "a.csv"), ("relativePath", path)]).expect_err(path);
            assert_eq!(problem.kind, ProblemKind::UnsafePath, "{path}");
            // In the place of the name it is one that policies refuse.
            assert_eq!(split(path), (None, path.to_owned()));
        }
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
