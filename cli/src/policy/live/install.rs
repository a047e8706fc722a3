//! A set is laid down where a web host reads its policies from a file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use portcullis_types::{PolicyManifest, Sha256Digest};
use reqwest::Url;
use serde::Deserialize;

use super::set::CheckedSet;
use crate::http;
use crate::screen::{GOOD, styled};

/// How often the web host is asked.
const LOOK: Duration = Duration::from_millis(200);
/// How long it may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a web host says of itself (`GET /readyz`).
#[derive(Deserialize)]
struct Ready {
    revision: Option<Sha256Digest>,
    policies: Option<String>,
}

/// Lays down a checked set in a folder: each file by renaming, the set itself last, so that whoever reads meanwhile
/// sees the old set or the new one. Files that are no part of it stay.
pub(crate) fn install(set: &CheckedSet, from: &Path, into: &Path) -> Result<()> {
    let same = |folder: &Path| fs::canonicalize(folder).ok();
    if same(from).is_some() && same(from) == same(into) {
        return Ok(());
    }
    let manifest = set.revision.manifest();
    let mut files: Vec<_> = manifest.all().collect();
    files.sort_by_key(|(name, _)| name.as_str() == PolicyManifest::SET);
    for (name, digest) in files {
        let bytes = set.contents.get(&digest).context("a file is missing")?;
        let path = into.join(name);
        place(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn place(path: &Path, bytes: &Bytes) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes[..]) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".portcullis-new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

/// Waits until a web host runs a revision.
///
/// # Errors
/// It does not in time.
pub(crate) async fn wait(web: &str, wanted: Sha256Digest, longest: Duration) -> Result<()> {
    let address = format!("{}/readyz", web.trim_end_matches('/'));
    let url = Url::parse(&address)
        .with_context(|| format!("`{web}` is no address; write it as http://HOST:PORT"))?;
    let client = http::client(&url).no_proxy().timeout(ANSWER).build()?;
    let began = Instant::now();
    loop {
        let ready = ask(&client, &address).await;
        if let Ok(Ready { revision, .. }) = &ready
            && *revision == Some(wanted)
        {
            anstream::println!("  {web}  {}", styled(GOOD, "runs it"));
            return Ok(());
        }
        if began.elapsed() >= longest {
            return match ready {
                Ok(ready) if ready.policies.as_deref() == Some("refused") => bail!(
                    "{web} refuses it and goes on with what it had; its log says why, and so does {address} to those who show its key"
                ),
                Ok(_) => bail!("{web} does not run it; does it read its policies from there?"),
                Err(error) => Err(error.context(format!("{web} cannot be asked"))),
            };
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn ask(client: &reqwest::Client, address: &str) -> Result<Ready> {
    let answer = client.get(address).send().await?;
    let text = answer.text().await?;
    serde_json::from_str(&text).context("it does not answer as a web host does")
}
