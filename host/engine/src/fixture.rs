//! Fixtures: a folder for each case, with the upload and what a policy must say to it. Authors run them while they work,
//! and a revision runs those of its set before it serves.
//!
//! ```text
//! fixtures/
//!   settings.toml, resources/        for all cases that have none of their own
//!   a-long-line-is-refused/
//!     request.toml                   the headers; without it an upload without a name
//!     body, body.csv                 the bytes; without it none
//!     settings.toml, settings.json   without it those for all
//!     limits.toml                    without it the usual ones
//!     resources/                     without it those for all
//!     expected.toml                  written by `policy test --bless`
//! ```

mod expected;
mod request;

use bytes::Bytes;
use serde::de::DeserializeOwned;

pub use self::expected::{Expected, Word};
pub use self::request::{InvalidRequest, Request};
use crate::policy_set::place;
use crate::set_files::{FileError, SetFiles, join};
use crate::{Limits, settings_from_json};

/// What a case may consist of.
pub const FIXTURE_FILES: &str = "request.toml, body, body.*, settings.toml, settings.json, limits.toml, resources/ and expected.toml";
/// How deep cases may lie in folders.
const MAX_DEPTH: usize = 8;
/// The largest body, and the largest other file.
const MAX_BODY_BYTES: u64 = 64 << 20;
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most cases of one policy.
const MAX_FIXTURES: usize = 1_000;

/// The names in a folder, and whether each is a folder itself.
type Entries = Vec<(String, bool)>;

/// One case.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its folder beneath that of all fixtures.
    pub name: String,
    /// The headers.
    pub request: Request,
    /// The bytes.
    pub body: Bytes,
    /// The settings, where it or all cases have some.
    pub settings: Option<toml::Table>,
    /// The limits, where it has some.
    pub limits: Option<Limits>,
    /// The folder that its resources are in, beneath that of the set; absent where there is none.
    pub resources: Option<String>,
    /// Absent until it has been blessed.
    pub expected: Option<Expected>,
}

/// A case cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// There is none.
    #[error("there is no fixture: a fixture is a folder with {FIXTURE_FILES}")]
    None,
    /// There are too many, they lie too deep, or a folder cannot be read.
    #[error("the fixtures cannot be used: {0}")]
    Folder(String),
    /// One of them.
    #[error("the fixture `{name}` cannot be used: {why}")]
    Unusable {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

impl Fixture {
    /// All cases beneath a folder of a set, by name. Blocks.
    ///
    /// # Errors
    /// There is none, or one of them cannot be read.
    pub fn find(files: &mut SetFiles, root: &str) -> Result<Vec<Self>, FixtureError> {
        let mut folders = Vec::new();
        collect(files, root, 0, &mut folders).map_err(FixtureError::Folder)?;
        if folders.is_empty() {
            return Err(FixtureError::None);
        }
        folders.sort();
        let read = |folder: &String| {
            let name = folder.strip_prefix(root).unwrap_or(folder);
            let name = name.trim_start_matches('/').to_owned();
            let read = Self::read(files, root, folder, name.clone());
            read.map_err(|why| FixtureError::Unusable { name, why })
        };
        folders.iter().map(read).collect()
    }

    fn read(files: &mut SetFiles, root: &str, folder: &str, name: String) -> Result<Self, String> {
        let own = entries(files, folder)?;
        let mut bodies = Vec::new();
        for (file, is_folder) in &own {
            match file.as_str() {
                "request.toml" | "settings.toml" | "settings.json" | "limits.toml"
                | "expected.toml" => {}
                _ if is_body(file) => bodies.push(file),
                // What nests cases is no case of its own; hidden files are none of ours.
                _ if *is_folder || file.starts_with('.') => {}
                _ => return Err(format!("`{file}` is none of {FIXTURE_FILES}")),
            }
        }
        let body = match bodies.as_slice() {
            [] => Bytes::new(),
            [body] => read(files, &join(folder, body), MAX_BODY_BYTES)?,
            [one, other, ..] => {
                return Err(format!(
                    "it has two bodies, `{one}` and `{other}`; keep one"
                ));
            }
        };
        let mut table = Tables {
            files,
            folder,
            there: &own,
        };
        let request = table.read("request.toml")?.unwrap_or_default();
        let limits = table.read("limits.toml")?;
        let expected = table.read("expected.toml")?;
        let shared = entries(files, root)?;
        let settings = match settings_in(files, folder, &own)? {
            Some(settings) => Some(settings),
            None => settings_in(files, root, &shared)?,
        };
        let with_resources = [(folder, &own), (root, &shared)];
        let resources = with_resources
            .into_iter()
            .find(|(_, there)| there.contains(&("resources".to_owned(), true)))
            .map(|(folder, _)| join(folder, "resources"));
        Ok(Self {
            name,
            request,
            body,
            settings,
            limits,
            resources,
            expected,
        })
    }
}

/// Every folder that holds a case.
fn collect(
    files: &SetFiles,
    folder: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), String> {
    if depth == MAX_DEPTH {
        return Err(format!("{folder} lies too deep"));
    }
    let entries = entries(files, folder)?;
    let is_case = entries.iter().any(|(name, is_folder)| {
        !is_folder && (matches!(name.as_str(), "request.toml" | "expected.toml") || is_body(name))
    });
    if is_case && depth > 0 {
        if found.len() == MAX_FIXTURES {
            return Err(format!("there are more than {MAX_FIXTURES}"));
        }
        found.push(folder.to_owned());
    }
    for (name, is_folder) in entries {
        if is_folder && name != "resources" && !name.starts_with('.') {
            collect(files, &join(folder, &name), depth + 1, found)?;
        }
    }
    Ok(())
}

fn is_body(name: &str) -> bool {
    name == "body" || name.starts_with("body.")
}

fn entries(files: &SetFiles, folder: &str) -> Result<Entries, String> {
    let entries = files.entries(folder);
    entries.map_err(|error| format!("{folder} cannot be read: {}", error.kind()))
}

fn read(files: &mut SetFiles, name: &str, most_bytes: u64) -> Result<Bytes, String> {
    let shown = name.rsplit('/').next().unwrap_or(name);
    files.get(name, most_bytes).map_err(|error| match error {
        FileError::TooLarge(bytes) => {
            format!("{shown} has {bytes} bytes; at most {most_bytes} are possible")
        }
        FileError::Unreadable(error) => format!("{shown} cannot be read: {}", error.kind()),
    })
}

/// The TOML files of a case.
struct Tables<'a> {
    files: &'a mut SetFiles,
    folder: &'a str,
    there: &'a Entries,
}

impl Tables<'_> {
    /// What one says, if it is there.
    fn read<T: DeserializeOwned>(&mut self, file: &str) -> Result<Option<T>, String> {
        if !has(self.there, file) {
            return Ok(None);
        }
        let text = text(self.files, &join(self.folder, file))?;
        match toml::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let (line, _) = place(&text, &error);
                let why = error.message().replace('\n', " ");
                Err(format!("{file}, line {line}: {why}"))
            }
        }
    }
}

fn text(files: &mut SetFiles, name: &str) -> Result<String, String> {
    let bytes = read(files, name, MAX_FILE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    text.map_err(|_| format!("{name} is not UTF-8 text"))
}

/// Whether there is such a file.
fn has(there: &Entries, file: &str) -> bool {
    there.contains(&(file.to_owned(), false))
}

fn settings_in(
    files: &mut SetFiles,
    folder: &str,
    there: &Entries,
) -> Result<Option<toml::Table>, String> {
    let unusable =
        |file: &str, why: String| format!("the settings in {file} are not usable: {why}");
    match (has(there, "settings.toml"), has(there, "settings.json")) {
        (true, true) => Err("it has settings.toml and settings.json; keep one".to_owned()),
        (true, false) => {
            let text = text(files, &join(folder, "settings.toml"))?;
            let table = toml::from_str(&text).map_err(|error| error.message().replace('\n', " "));
            table
                .map(Some)
                .map_err(|why| unusable("settings.toml", why))
        }
        (false, true) => {
            let text = text(files, &join(folder, "settings.json"))?;
            let table = settings_from_json(&text).map_err(|error| error.to_string());
            table
                .map(Some)
                .map_err(|why| unusable("settings.json", why))
        }
        (false, false) => Ok(None),
    }
}
