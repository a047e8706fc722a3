//! `portcullis policy diff`: what another revision, or a folder, changes: settings, components, resources.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use bytes::Bytes;
use portcullis_hop::AdminClient;
use portcullis_hop::policies::RevisionNumber;
use portcullis_types::{PolicyManifest, Sha256Digest};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::set::CheckedSet;
use super::{Connection, active};
use crate::screen::{self, BAD, DIM, GOOD, HEAD, styled};

/// The most bytes of a file whose lines are compared.
const MAX_TEXT_BYTES: usize = 256 << 10;
/// Lines around a change.
const CONTEXT_LINES: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A revision's number, or a folder with `policies.toml`.
    from: String,
    /// The other one. Default: the active revision against what was named first.
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// One side of the comparison.
struct Side {
    name: String,
    manifest: PolicyManifest,
    /// The files of a folder; those of a revision are fetched where they differ.
    contents: BTreeMap<Sha256Digest, Bytes>,
}

#[derive(Serialize)]
struct Report {
    from: String,
    to: String,
    files: Vec<Difference>,
}

/// A file that differs.
#[derive(Serialize)]
struct Difference {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FileSide>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<FileSide>,
    /// Its lines, where it is text: with `+`, `-` or a space before each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<String>,
}

#[derive(Clone, Copy, Serialize)]
struct FileSide {
    sha256: Sha256Digest,
    bytes: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let client = arguments.connection.open()?;
    let (from, to) = if let Some(to) = &arguments.to {
        (arguments.from.clone(), to.clone())
    } else {
        let known = client.revisions().await?;
        let active = active(&known).context("no revision is active yet; name two")?;
        (active.number.to_string(), arguments.from.clone())
    };
    let (from, to) = (side(&client, &from).await?, side(&client, &to).await?);
    let mut files = Vec::new();
    for name in names(&from.manifest, &to.manifest) {
        if let Some(difference) = compare(&client, &from, &to, &name).await? {
            files.push(difference);
        }
    }
    let report = Report {
        from: from.name,
        to: to.name,
        files,
    };
    if arguments.json {
        screen::json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

async fn side(client: &AdminClient, named: &str) -> Result<Side> {
    if let Ok(number) = named.parse() {
        let revision = client.revision(RevisionNumber(number)).await?;
        return Ok(Side {
            name: format!("revision {number}"),
            manifest: revision.manifest,
            contents: BTreeMap::new(),
        });
    }
    let folder = PathBuf::from(named);
    let set = CheckedSet::read(&folder).await;
    let set = set.with_context(|| {
        format!("`{named}` is neither a revision's number nor a folder with a usable set")
    })?;
    Ok(Side {
        name: named.to_owned(),
        manifest: set.revision.manifest().clone(),
        contents: set.contents,
    })
}

/// All names of both, the set itself first.
fn names(from: &PolicyManifest, to: &PolicyManifest) -> Vec<String> {
    let all = from.all().chain(to.all());
    let mut names: Vec<String> = all.map(|(name, _)| name.clone()).collect();
    names.sort_by_key(|name| (name != PolicyManifest::SET, name.clone()));
    names.dedup();
    names
}

async fn compare(
    client: &AdminClient,
    from: &Side,
    to: &Side,
    name: &str,
) -> Result<Option<Difference>> {
    let (before, after) = (from.digest(name), to.digest(name));
    if before == after {
        return Ok(None);
    }
    let before = from.file(client, before).await?;
    let after = to.file(client, after).await?;
    let about = |file: &Option<Bytes>| {
        let file = file.as_ref()?;
        Some(FileSide {
            sha256: Sha256Digest::of(file),
            bytes: file.len(),
        })
    };
    Ok(Some(Difference {
        name: name.to_owned(),
        from: about(&before),
        to: about(&after),
        lines: lines(before.as_ref(), after.as_ref()),
    }))
}

impl Side {
    fn digest(&self, name: &str) -> Option<Sha256Digest> {
        let files = self.manifest.files.get(name);
        files.or(self.manifest.fixtures.get(name)).copied()
    }

    async fn file(
        &self,
        client: &AdminClient,
        digest: Option<Sha256Digest>,
    ) -> Result<Option<Bytes>> {
        let Some(digest) = digest else {
            return Ok(None);
        };
        match self.contents.get(&digest) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => Ok(Some(client.file(digest).await?)),
        }
    }
}

/// The lines that differ, with some around them; none where one side is no text.
fn lines(before: Option<&Bytes>, after: Option<&Bytes>) -> Vec<String> {
    let text = |file: Option<&Bytes>| match file {
        None => Some(String::new()),
        Some(bytes) if bytes.len() > MAX_TEXT_BYTES || bytes.contains(&0) => None,
        Some(bytes) => String::from_utf8(bytes.to_vec()).ok(),
    };
    let (Some(before), Some(after)) = (text(before), text(after)) else {
        return Vec::new();
    };
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT_LINES) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{mark}{}", change.value().trim_end()));
        }
    }
    lines
}

fn print(report: &Report) {
    let heading = format!("{} -> {}", report.from, report.to);
    anstream::println!("{}", styled(HEAD, heading));
    if report.files.is_empty() {
        anstream::println!("  nothing differs");
    }
    for file in &report.files {
        anstream::println!("\n{}  {}", file.name, styled(DIM, about(file)));
        for line in &file.lines {
            let style = match line.chars().next() {
                Some('+') => GOOD,
                Some('-') => BAD,
                _ => DIM,
            };
            anstream::println!("  {}", styled(style, line));
        }
    }
}

fn about(file: &Difference) -> String {
    let short = |side: &FileSide| {
        let digest: String = side.sha256.to_string().chars().take(12).collect();
        format!("{digest} ({})", screen::bytes(side.bytes as u64))
    };
    match (&file.from, &file.to) {
        (Some(from), Some(to)) => format!("{} -> {}", short(from), short(to)),
        (None, Some(to)) => format!("new, {}", short(to)),
        (Some(from), None) => format!("gone, was {}", short(from)),
        (None, None) => String::new(),
    }
}
