//! A policy set in a folder, made into a revision by the engine that web hosts run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use portcullis_engine::{Engine, EngineSettings, Revision, SetFiles};
use portcullis_types::{PolicyManifest, Sha256Digest};

/// A set that a web host would take.
pub(crate) struct CheckedSet {
    pub(crate) revision: Arc<Revision>,
    /// Its files by their digests.
    pub(crate) contents: BTreeMap<Sha256Digest, Bytes>,
}

impl CheckedSet {
    /// Checks the set in a folder as a web host would, and that it can be sent to one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn read(folder: &Path) -> Result<Self> {
        let set = folder.join(PolicyManifest::SET);
        let engine = Engine::start(EngineSettings::default())?;
        let prepared = engine.prepare(SetFiles::beside(&set)).await?;
        let manifest = prepared.revision.manifest();
        let sendable = manifest.check();
        sendable.with_context(|| format!("{} cannot be sent", set.display()))?;
        let files = prepared.files.into_read().into_values();
        Ok(Self {
            revision: prepared.revision,
            contents: files
                .map(|bytes| (Sha256Digest::of(&bytes), bytes))
                .collect(),
        })
    }
}
