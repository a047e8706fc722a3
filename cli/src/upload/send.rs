//! One file on its way: created, sent, asked about when something broke, until it has its verdict.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;
use portcullis_hop::Problem;
use portcullis_types::{Sha256Digest, Sha256Hasher};
use serde_json::Value;
use tokio::sync::mpsc;

use super::files::LocalFile;
use super::memory::{Key, Memory};
use super::site::{Said, Site};

/// The pause after the first failure, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Blocks that are read ahead, and their size in bytes.
const BLOCKS: usize = 4;
const BLOCK_BYTES: usize = 256 << 10;

/// What sends files.
pub(crate) struct Sender {
    site: Site,
    memory: Memory,
    attributes: Vec<(String, String)>,
    give_up_after: Duration,
}

/// How one file ended.
pub(crate) enum Ended {
    /// It is stored, or set apart: the receipt.
    Stored(Box<Value>),
    /// The policies refuse it.
    Refused(Box<Problem>),
    /// It was not sent. Why.
    Failed(String),
}

impl Ended {
    /// Whether it is stored where nobody sees it.
    pub(crate) fn is_set_apart(&self) -> bool {
        matches!(self, Self::Stored(receipt) if receipt["status"] == "quarantined")
    }
}

/// Where an upload is.
enum At {
    /// It has not begun.
    Nowhere,
    /// It has begun, and how far it has come is not known.
    Unsure(String),
    /// So far, in bytes.
    Known(String, u64),
}

impl Sender {
    pub(crate) fn new(
        site: Site,
        memory: Memory,
        attributes: Vec<(String, String)>,
        give_up_after: Duration,
    ) -> Self {
        Self {
            site,
            memory,
            attributes,
            give_up_after,
        }
    }

    /// Sends a file until it has its verdict, or for as long as it goes on.
    pub(crate) async fn send(&self, file: &LocalFile, bar: &ProgressBar) -> Ended {
        let key = self.key(file);
        let mut at = self.memory.address(&key).map_or(At::Nowhere, At::Unsure);
        let mut patience = Patience::new(self.give_up_after);
        loop {
            let (address, said) = match at {
                At::Nowhere => match self.create(file).await {
                    Ok((address, offset)) => {
                        self.memory.remember(&key, &address);
                        (Some(address), Said::Offset(offset))
                    }
                    Err(said) => (None, said),
                },
                At::Unsure(address) => {
                    let said = self.site.ask(&address).await;
                    (Some(address), said)
                }
                At::Known(address, from) => {
                    let said = self.append(file, &address, from, bar).await;
                    (Some(address), said)
                }
            };
            at = match (said, address) {
                (Said::Offset(offset), Some(address)) if offset == file.length => {
                    let ended = self.receipt(&address, &mut patience).await;
                    self.memory.forget(&key);
                    return ended;
                }
                (Said::Offset(offset), Some(address)) => {
                    bar.set_position(offset);
                    patience.progress(offset);
                    At::Known(address, offset)
                }
                (Said::Refused(problem), _) => {
                    self.memory.forget(&key);
                    return Ended::Refused(problem);
                }
                (Said::Never(why), _) => {
                    return Ended::Failed(why);
                }
                (Said::Gone, Some(_)) if patience.wait().await => {
                    // It expired, or was given up.
                    self.memory.forget(&key);
                    At::Nowhere
                }
                (said, address) => {
                    let why = match said {
                        Said::Later(why) => why,
                        _ => "the site is not sure how far it has come".to_owned(),
                    };
                    bar.set_message(format!("{} ({why})", file.shown()));
                    if !patience.wait().await {
                        return Ended::Failed(format!(
                            "{why}; nothing came through for {} s, so it was given up. Another run goes on where it stopped",
                            self.give_up_after.as_secs()
                        ));
                    }
                    bar.set_message(file.shown());
                    address.map_or(At::Nowhere, At::Unsure)
                }
            };
        }
    }

    /// What makes it the same upload in another run.
    fn key(&self, file: &LocalFile) -> Key {
        let identity = file.identity();
        let mut parts = vec![self.site.name(), &identity, &file.relative];
        for (key, value) in &self.attributes {
            parts.extend([key.as_str(), value.as_str()]);
        }
        Key::of(&parts)
    }

    async fn create(&self, file: &LocalFile) -> Result<(String, u64), Said> {
        let Ok(digest) = digest(file).await else {
            return Err(Said::Never(format!("{} cannot be read", file.shown())));
        };
        let digest = digest.to_string();
        let mut metadata = vec![("filename", file.name()), ("sha256", digest.as_str())];
        metadata.extend(file.in_folder().map(|path| ("relativePath", path)));
        let attributes = self.attributes.iter();
        metadata.extend(attributes.map(|(key, value)| (key.as_str(), value.as_str())));
        self.site.create(file.length, &metadata).await
    }

    async fn append(&self, file: &LocalFile, address: &str, from: u64, bar: &ProgressBar) -> Said {
        let body = match read(file, from, bar.clone()) {
            Ok(body) => body,
            Err(error) => return Said::Never(format!("the file cannot be read: {error}")),
        };
        self.site
            .append(address, from, file.length - from, body)
            .await
    }

    async fn receipt(&self, address: &str, patience: &mut Patience) -> Ended {
        loop {
            match self.site.record(address).await {
                Ok(record) => return Ended::Stored(Box::new(record["receipt"].clone())),
                Err(Said::Later(_)) if patience.wait().await => {}
                Err(_) => {
                    let why = "it is stored, but its receipt cannot be had; look it up with the site's operator";
                    return Ended::Failed(why.to_owned());
                }
            }
        }
    }
}

/// The SHA-256 of the file before it is sent. The site compares it with what arrives, so that a file that is changed
/// meanwhile is not stored half old and half new.
async fn digest(file: &LocalFile) -> std::io::Result<Sha256Digest> {
    let mut opened = File::open(&file.path)?;
    let read = tokio::task::spawn_blocking(move || {
        let (mut hasher, mut block) = (Sha256Hasher::default(), vec![0; BLOCK_BYTES]);
        loop {
            match opened.read(&mut block)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(&block[..read]),
            }
        }
    });
    read.await.map_err(std::io::Error::other)?
}

/// The file from there on, read by a thread that is a few blocks ahead.
fn read(file: &LocalFile, from: u64, bar: ProgressBar) -> std::io::Result<reqwest::Body> {
    let mut opened = File::open(&file.path)?;
    opened.seek(SeekFrom::Start(from))?;
    let mut rest = file.length - from;
    let (blocks, mut waiting) = mpsc::channel::<std::io::Result<Bytes>>(BLOCKS);
    tokio::task::spawn_blocking(move || {
        while rest > 0 {
            let size = usize::try_from(rest)
                .unwrap_or(BLOCK_BYTES)
                .min(BLOCK_BYTES);
            let mut block = vec![0; size];
            let read = opened.read_exact(&mut block).map(|()| Bytes::from(block));
            rest -= size as u64;
            let is_over = read.is_err();
            if blocks.blocking_send(read).is_err() || is_over {
                return;
            }
        }
    });
    let stream = futures_util::stream::poll_fn(move |cx| {
        let next = waiting.poll_recv(cx);
        if let std::task::Poll::Ready(Some(Ok(block))) = &next {
            bar.inc(block.len() as u64);
        }
        next
    });
    Ok(reqwest::Body::wrap_stream(stream))
}

/// How long it is tried while nothing goes on.
struct Patience {
    longest: Duration,
    since: Instant,
    pause: Duration,
    furthest: u64,
}

impl Patience {
    fn new(longest: Duration) -> Self {
        Self {
            longest,
            since: Instant::now(),
            pause: FIRST_PAUSE,
            furthest: 0,
        }
    }

    /// It has come so far.
    fn progress(&mut self, offset: u64) {
        if offset > self.furthest {
            self.furthest = offset;
            self.since = Instant::now();
            self.pause = FIRST_PAUSE;
        }
    }

    /// Waits a moment; false when it is enough.
    async fn wait(&mut self) -> bool {
        if self.since.elapsed() >= self.longest {
            return false;
        }
        // Not all at once when a site is back.
        let pause = self.pause.mul_f64(rand::random_range(0.5..1.0));
        tokio::time::sleep(pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
