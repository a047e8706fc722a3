//! The upload that a policy is shown, as arguments describe it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use portcullis_engine::Request;
use portcullis_types::DiskPath;

use crate::policy::candidate::pair;
use crate::policy::progress::Shown;

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
    /// The folder that the file lies in, such as scans/2024.
    #[arg(long, value_name = "PATH")]
    folder: Option<DiskPath>,
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
            folder: self.folder.clone(),
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
