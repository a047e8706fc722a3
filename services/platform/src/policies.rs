//! Revisions of the policies: kept for ever, one of them active, each change with who and why. Services keep them and
//! say which one is active; they never run one.

mod shadow;
mod trial;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_hop::policies::{
    Activate, Activation, Change, HostStatus, KeptRevision, KnownHost, MAX_NAME_BYTES,
    MAX_NOTE_BYTES, MAX_WAIT_SECONDS, NewRevision, PolicyRevision, Poll, PollAnswer,
    RevisionNumber, Revisions, Sent, Wanted,
};
use portcullis_types::{
    Clock, InvalidManifest, PolicyManifest, Sha256Digest, Timestamp, Trust, Untrusted,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::catalog::{
    Action, Actor, AuditEntry, Catalog, CatalogError, PolicyRows, Rows, ShadowRows, TrialRows,
};

/// The most revisions and activations of one list, newest first.
pub const MAX_LISTED: u32 = 1_000;
/// How long a web host is remembered that is not heard of.
const HOST_MEMORY: Duration = Duration::from_mins(10);
/// The most web hosts that are remembered.
const MAX_HOSTS: usize = 256;
/// How long a file waits for the revision that it was sent for.
const UNUSED_FILES: Duration = Duration::from_hours(24);

/// Why a call about policies is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Somebody else changed what is active meanwhile.
    #[error("{}", conflict(*.base, .active.as_ref()))]
    Conflict {
        /// What the caller believes to be active.
        base: Option<RevisionNumber>,
        /// What is.
        active: Option<Activation>,
    },
    /// There is no such revision.
    #[error("there is no revision {0}; `portcullis policy revisions` lists them")]
    NoRevision(RevisionNumber),
    /// Another revision is on trial.
    #[error(
        "revision {number} is on trial until {until}; nothing was changed: wait for that, or end it with `portcullis policy drop {number}`"
    )]
    OnTrial {
        /// Which.
        number: RevisionNumber,
        /// Until when.
        until: Timestamp,
    },
    /// That revision is not on trial.
    #[error("revision {0} is not on trial; `portcullis policy revisions` shows which one is")]
    NotOnTrial(RevisionNumber),
    /// A trial that cannot be.
    #[error(
        "a trial is 1 second to 30 days long, allows 0 to 100 % of new rejections, and needs at least 1 upload"
    )]
    Terms,
    /// There is no such file.
    #[error("there is no file with this digest; it may never have been sent")]
    NoFile,
    /// The revision has files that were not sent.
    #[error("{0} of its files have not been sent yet; send them first")]
    FilesMissing(usize),
    /// A component of it may not run.
    #[error("the component `{name}` may not run: {why}")]
    Untrusted {
        /// The component.
        name: String,
        /// Why.
        why: Untrusted,
    },
    /// The bytes are not those of the digest.
    #[error("the bytes that arrived do not have the digest in the address; send the file again")]
    OtherDigest,
    /// The manifest cannot be used.
    #[error("the revision cannot be kept: {0}")]
    Manifest(#[from] InvalidManifest),
    /// Author, note or the name of a host.
    #[error("{what} must have 1 to {most} bytes without control characters; say it shorter")]
    Text {
        /// Which.
        what: &'static str,
        /// How long it may be.
        most: usize,
    },
    /// The catalog failed.
    #[error("the change was not made: {0}")]
    Catalog(#[from] CatalogError),
}

fn conflict(base: Option<RevisionNumber>, active: Option<&Activation>) -> String {
    let believed = base.map_or("no revision".to_owned(), |base| format!("revision {base}"));
    match active {
        None => format!("{believed} is believed to be active, and none is; nothing was changed"),
        Some(Activation { number, change, .. }) => format!(
            "{believed} is believed to be active, and revision {number} is, since {} by {}: \"{}\"; nothing was changed, look at `portcullis policy diff {}{number}` first",
            change.at,
            change.author,
            change.note,
            base.map_or(String::new(), |base| format!("{base} "))
        ),
    }
}

/// The revisions in a catalog. Clones share it.
#[derive(Clone, Debug)]
pub struct Policies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    clock: Clock,
    trust: Trust,
    /// How often what web hosts are to run has changed, for those who wait.
    changes: watch::Sender<u64>,
    closing: CancellationToken,
    hosts: Mutex<BTreeMap<String, KnownHost>>,
}

impl Policies {
    /// The revisions in this catalog, to which only those are added whose components may run. Blocks.
    ///
    /// # Errors
    /// The catalog fails.
    pub fn open(catalog: Catalog, clock: Clock, trust: Trust) -> Result<Self, CatalogError> {
        let changes = catalog.run_blocking(TrialRows::changes)?;
        Ok(Self(Arc::new(Inner {
            catalog,
            clock,
            trust,
            changes: watch::channel(changes).0,
            closing: CancellationToken::new(),
            hosts: Mutex::default(),
        })))
    }

    /// Keeps a file of a revision that is to come.
    ///
    /// # Errors
    /// The bytes do not have this digest.
    pub async fn put_file(&self, digest: Sha256Digest, bytes: Vec<u8>) -> Result<(), PolicyError> {
        if Sha256Digest::of(&bytes) != digest {
            return Err(PolicyError::OtherDigest);
        }
        let now = self.0.clock.now();
        let put = move |rows: &Rows| PolicyRows::put_file(rows, digest, &bytes, now);
        Ok(self.0.catalog.run(put).await?)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// There is none with this digest.
    pub async fn file(&self, digest: Sha256Digest) -> Result<Vec<u8>, PolicyError> {
        let find = move |rows: &Rows| PolicyRows::file(rows, digest);
        self.0.catalog.read(find).await?.ok_or(PolicyError::NoFile)
    }

    /// Which of these files are not here.
    pub async fn missing(
        &self,
        digests: Vec<Sha256Digest>,
    ) -> Result<Vec<Sha256Digest>, PolicyError> {
        let find = move |rows: &Rows| PolicyRows::missing(rows, &digests);
        Ok(self.0.catalog.read(find).await?)
    }

    /// Keeps a revision and makes it the active one, or begins its trial, in one transaction with its audit rows. Sent
    /// again while it is the newest, it is the same revision.
    ///
    /// # Errors
    /// Another revision is active than its author believes, or files of it are missing.
    pub async fn send(&self, new: NewRevision, actor: Actor) -> Result<Sent, PolicyError> {
        new.manifest.check()?;
        let change = self.change(&actor.subject, &new.author, &new.note)?;
        let trust = self.0.trust.clone();
        let send = move |rows: &Rows| {
            if let Some(sent) = sent_before(rows, &new, &change)? {
                return Ok((sent, TrialRows::changes(rows)?));
            }
            expect(PolicyRows::active(rows)?, new.base)?;
            let digests: Vec<_> = new.manifest.all().map(|(_, digest)| digest).collect();
            let missing = PolicyRows::missing(rows, &digests)?.len();
            if missing > 0 {
                return Err(PolicyError::FilesMissing(missing));
            }
            vouched_for(rows, &new.manifest, &trust)?;
            let number = PolicyRows::add(rows, &new.manifest, new.base, &change)?;
            audit(rows, Action::PoliciesSent, number, &change, &actor)?;
            let on_trial_until = if let Some(terms) = &new.trial {
                Some(trial::start(rows, number, terms, &change, &actor)?)
            } else {
                activate(rows, number, change, &actor)?;
                None
            };
            let sent = Sent {
                number,
                on_trial_until,
            };
            Ok((sent, TrialRows::changes(rows)?))
        };
        let (sent, changes) = self.0.catalog.run(send).await?;
        self.tell(changes);
        Ok(sent)
    }

    /// Makes a revision the active one.
    ///
    /// # Errors
    /// There is no such revision, or another one is active than the caller believes.
    pub async fn activate(
        &self,
        wanted: Activate,
        actor: Actor,
    ) -> Result<Activation, PolicyError> {
        let change = self.change(&actor.subject, &wanted.author, &wanted.note)?;
        let number = wanted.number;
        let turn = move |rows: &Rows| {
            let active = PolicyRows::active(rows)?;
            if let Some(active) = active.as_ref()
                && (active.number == number && is_same(&active.change, &change))
            {
                return Ok((active.clone(), TrialRows::changes(rows)?));
            }
            expect(active, wanted.base)?;
            if PolicyRows::digest(rows, number)?.is_none() {
                return Err(PolicyError::NoRevision(number));
            }
            let activation = activate(rows, number, change, &actor)?;
            Ok((activation, TrialRows::changes(rows)?))
        };
        let (activation, changes) = self.0.catalog.run(turn).await?;
        self.tell(changes);
        Ok(activation)
    }

    /// A revision with its files.
    ///
    /// # Errors
    /// There is no such revision.
    pub async fn revision(&self, number: RevisionNumber) -> Result<PolicyRevision, PolicyError> {
        let find = move |rows: &Rows| PolicyRows::revision(rows, number);
        let found = self.0.catalog.read(find).await?;
        found.ok_or(PolicyError::NoRevision(number))
    }

    /// All revisions and activations, newest first, and who runs what.
    pub async fn revisions(&self) -> Result<Revisions, PolicyError> {
        let list = |rows: &Rows| {
            let revisions = PolicyRows::list(rows, MAX_LISTED)?;
            Ok::<_, CatalogError>((revisions, PolicyRows::activations(rows, MAX_LISTED)?))
        };
        let (revisions, activations) = self.0.catalog.read(list).await?;
        Ok(Revisions {
            revisions,
            activations,
            hosts: self.hosts().values().cloned().collect(),
        })
    }

    /// Hears what a web host runs, and says what it is to run as soon as that is another.
    ///
    /// # Errors
    /// Its name cannot be used, or the catalog fails.
    pub async fn poll(&self, poll: Poll) -> Result<PollAnswer, PolicyError> {
        self.heed_refusal(&poll.host).await?;
        self.remember(poll.host)?;
        let wait = Duration::from_secs(u64::from(poll.wait_seconds.min(MAX_WAIT_SECONDS)));
        let mut changes = self.0.changes.subscribe();
        // Another one, not only a later one: a catalog may have been restored.
        tokio::select! {
            _ = changes.wait_for(|changes| *changes != poll.known) => {}
            () = tokio::time::sleep(wait) => return Ok(PollAnswer { wanted: None }),
            () = self.0.closing.cancelled() => return Ok(PollAnswer { wanted: None }),
        }
        let find = |rows: &Rows| {
            let active = PolicyRows::active(rows)?.map(|active| active.number);
            let trial = TrialRows::running(rows)?.map(|(number, _)| number);
            Ok::<_, CatalogError>(Wanted {
                change: TrialRows::changes(rows)?,
                active: active.map(|number| kept(rows, number)).transpose()?,
                trial: trial.map(|number| kept(rows, number)).transpose()?,
            })
        };
        let wanted = self.0.catalog.read(find).await?;
        let wanted = Some(wanted).filter(|wanted| wanted.change != poll.known);
        Ok(PollAnswer { wanted })
    }

    /// Answers those who wait for a change at once from now on.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Forgets files that no revision came for, and old verdicts of shadow policies. Gives the number of files.
    pub async fn sweep(&self) -> Result<usize, PolicyError> {
        let now = self.0.clock.now();
        let forget = move |rows: &Rows| {
            ShadowRows::forget(rows, now.minus(shadow::KEPT))?;
            PolicyRows::forget_files(rows, now.minus(UNUSED_FILES))
        };
        Ok(self.0.catalog.run(forget).await?)
    }

    fn tell(&self, changes: u64) {
        // Two of them may be told in either order.
        self.0.changes.send_if_modified(|known| {
            let is_news = changes > *known;
            *known = changes.max(*known);
            is_news
        });
    }

    fn change(&self, subject: &str, author: &str, note: &str) -> Result<Change, PolicyError> {
        Ok(Change {
            at: self.0.clock.now(),
            subject: subject.to_owned(),
            author: text("the author", author, MAX_NAME_BYTES)?,
            note: text("the note", note, MAX_NOTE_BYTES)?,
        })
    }

    fn remember(&self, status: HostStatus) -> Result<(), PolicyError> {
        let name = text("the name of the web host", &status.name, MAX_NAME_BYTES)?;
        let seen_at = self.0.clock.now();
        let mut hosts = self.hosts();
        hosts.retain(|_, host| seen_at.since(host.seen_at) < HOST_MEMORY);
        if hosts.len() < MAX_HOSTS || hosts.contains_key(&name) {
            hosts.insert(name, KnownHost { status, seen_at });
        }
        Ok(())
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, KnownHost>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(what: &'static str, given: &str, most: usize) -> Result<String, PolicyError> {
    let given = given.trim();
    if given.is_empty() || given.len() > most || given.chars().any(char::is_control) {
        return Err(PolicyError::Text { what, most });
    }
    Ok(given.to_owned())
}

/// The revision that was sent last, if it is this one: its answer got lost.
fn sent_before(
    rows: &Rows,
    new: &NewRevision,
    change: &Change,
) -> Result<Option<Sent>, CatalogError> {
    let Some(number) = PolicyRows::newest(rows)? else {
        return Ok(None);
    };
    let Some(newest) = PolicyRows::revision(rows, number)? else {
        return Ok(None);
    };
    let running = TrialRows::running(rows)?.filter(|(running, _)| *running == number);
    let is_same = (&newest.manifest, newest.base) == (&new.manifest, new.base)
        && is_same(&newest.sent, change)
        && (newest.active || running.is_some());
    Ok(is_same.then_some(Sent {
        number,
        on_trial_until: running.map(|(_, ends_at)| ends_at),
    }))
}

/// Whether every component of a revision may run: each file that begins as WebAssembly does.
fn vouched_for(rows: &Rows, manifest: &PolicyManifest, trust: &Trust) -> Result<(), PolicyError> {
    for (name, digest) in &manifest.files {
        let bytes = PolicyRows::file(rows, *digest)?.unwrap_or_default();
        if !bytes.starts_with(b"\0asm") {
            continue;
        }
        let signature = format!("{name}{}", PolicyManifest::SIGNATURE_SUFFIX);
        let signature = match manifest.files.get(&signature) {
            Some(signature) => PolicyRows::file(rows, *signature)?,
            None => None,
        };
        let text = signature.as_deref().map(String::from_utf8_lossy);
        let checked = trust.check(*digest, text.as_deref());
        checked.map_err(|why| PolicyError::Untrusted {
            name: name.clone(),
            why,
        })?;
    }
    Ok(())
}

fn kept(rows: &Rows, number: RevisionNumber) -> Result<KeptRevision, CatalogError> {
    let revision = PolicyRows::revision(rows, number)?;
    let revision = revision.ok_or(CatalogError::Damaged)?;
    Ok(KeptRevision {
        number,
        digest: revision.digest,
        manifest: revision.manifest,
    })
}

/// Whether two changes are one that was sent twice.
fn is_same(made: &Change, sent: &Change) -> bool {
    (&made.subject, &made.author, &made.note) == (&sent.subject, &sent.author, &sent.note)
}

/// Whoever changes what is active must know what is: or two people would undo each other's work without a word.
fn expect(active: Option<Activation>, base: Option<RevisionNumber>) -> Result<(), PolicyError> {
    if active.as_ref().map(|active| active.number) == base {
        return Ok(());
    }
    Err(PolicyError::Conflict { base, active })
}

fn activate(
    rows: &Rows,
    number: RevisionNumber,
    change: Change,
    actor: &Actor,
) -> Result<Activation, PolicyError> {
    let sequence = PolicyRows::activate(rows, number, &change)?;
    trial::settle(rows, number, &change)?;
    audit(rows, Action::PoliciesActivated, number, &change, actor)?;
    Ok(Activation {
        sequence,
        number,
        change,
    })
}

fn audit(
    rows: &Rows,
    action: Action,
    number: RevisionNumber,
    change: &Change,
    actor: &Actor,
) -> Result<(), CatalogError> {
    let digest = PolicyRows::digest(rows, number)?;
    let entry = AuditEntry::new(change.at, action, actor.clone());
    let entry = entry.with(serde_json::json!({
            "revision": number,
            "digest": digest,
            "author": change.author,
            "reason": change.note,
    }));
    entry.write(rows)
}
