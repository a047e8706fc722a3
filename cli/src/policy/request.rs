//! The upload that a policy is shown, as arguments or a fixture describe it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use portcullis_engine::Upload;
use portcullis_types::{Attributes, Principal, Timestamp, UploadId};
use serde::{Deserialize, Serialize};

use crate::policy::candidate::pair;
use crate::policy::progress::Shown;

/// The headers of an upload. Everything has a value that never changes, so that two runs agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Request {
    /// The file name as a client gives it.
    pub(crate) filename: String,
    /// The declared media type; none unless given.
    pub(crate) media_type: Option<String>,
    /// The declared length in bytes; none unless given.
    pub(crate) length: Option<u64>,
    /// The account; `(anonymous)` unless given.
    pub(crate) subject: Option<String>,
    /// The groups that it belongs to.
    pub(crate) groups: Vec<String>,
    /// When the upload was created (RFC 3339); 2024-05-06T07:08:09Z unless given.
    pub(crate) received_at: Option<String>,
    /// Form fields.
    pub(crate) attributes: std::collections::BTreeMap<String, String>,
    /// What validation policies learned, for a routing policy.
    pub(crate) facts: std::collections::BTreeMap<String, String>,
    /// The disks that a routing policy may name; `local` unless given.
    pub(crate) disks: Vec<portcullis_types::DiskName>,
}

/// 2024-05-06T07:08:09Z.
const RECEIVED_AT_MS: i64 = 1_714_979_289_000;
/// An upload's id, of which clocks and random numbers follow.
const ID: &str = "0190b7a27c3e70008000000000000000";

impl Request {
    /// The upload.
    pub(crate) fn upload(&self) -> Result<Upload> {
        let mut attributes = Attributes::default();
        for (name, value) in &self.attributes {
            attributes.insert(name, value).with_context(|| {
                format!("the attribute `{name}` is not one that an upload can have")
            })?;
        }
        let principal = match &self.subject {
            None => Principal::anonymous(),
            Some(subject) => Principal::new(subject, self.groups.iter().map(String::as_str))
                .context("`subject` or `groups` are not ones that an account can have")?,
        };
        let received_at = match &self.received_at {
            None => Timestamp::from_ms(RECEIVED_AT_MS),
            Some(text) => text.parse(),
        };
        Ok(Upload {
            id: ID.parse::<UploadId>().context("the id is one")?,
            filename: self.filename.clone(),
            media_type: self.media_type.clone(),
            length: self.length,
            attributes,
            principal,
            received_at: received_at
                .context("`received-at` is no time; write it like 2024-05-06T07:08:09Z")?,
        })
    }

    /// What validation policies learned, as a routing policy is told.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        self.facts.clone().into_iter().collect()
    }
}

/// The upload as arguments give it.
#[derive(clap::Args)]
pub(crate) struct RequestArguments {
    /// The body: a file, or `-` for standard input. Without it the body is empty.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// An attribute of the upload, as a form field would be; can be given several times.
    #[arg(long = "attr", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
    /// The file name that the client gives. Default: that of the input.
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// The media type that the client declares.
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// The length in bytes that the client declares.
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    /// The account that sends it. Default: (anonymous).
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A group of that account; can be given several times.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// When the upload was created, such as 2024-05-06T07:08:09Z.
    #[arg(long, value_name = "TIME")]
    received_at: Option<String>,
    /// What a validation policy learned, for a routing policy; can be given several times.
    #[arg(long = "fact", value_name = "KEY=VALUE")]
    facts: Vec<String>,
}

impl RequestArguments {
    /// The headers.
    pub(crate) fn request(&self) -> Result<Request> {
        let attributes = self.attributes.iter().map(|attribute| pair(attribute));
        let facts = self.facts.iter().map(|fact| pair(fact));
        let own_name = self.input.as_deref().and_then(Path::file_name);
        let own_name = own_name.filter(|name| *name != "-");
        let filename = self.filename.clone();
        Ok(Request {
            filename: filename
                .or_else(|| own_name.map(|name| name.to_string_lossy().into_owned()))
                .unwrap_or_default(),
            media_type: self.media_type.clone(),
            length: self.length,
            subject: self.subject.clone(),
            groups: self.groups.clone(),
            received_at: self.received_at.clone(),
            attributes: attributes.collect::<Result<_>>()?,
            facts: facts.collect::<Result<_>>()?,
            ..Request::default()
        })
    }

    /// Whether there is a body.
    pub(crate) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// The body; its progress is shown on a terminal.
    pub(crate) fn body(&self) -> Result<Box<dyn Read + Send>> {
        let Some(path) = &self.input else {
            return Ok(Box::new(io::empty()));
        };
        if path.as_os_str() == "-" {
            return Ok(Box::new(Shown::new(io::stdin(), None)));
        }
        let file = File::open(path)
            .with_context(|| format!("the input {} cannot be read", path.display()))?;
        let about = file
            .metadata()
            .with_context(|| format!("the input {} cannot be read", path.display()))?;
        if about.is_dir() {
            anyhow::bail!("the input {} is a folder; name one file", path.display());
        }
        let length = about.is_file().then_some(about.len());
        Ok(Box::new(Shown::new(file, length)))
    }
}
