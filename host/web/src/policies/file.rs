//! Policies from a file on this machine: read when the server starts, when the file or anything that it names changes,
//! and when somebody asks with `SIGHUP`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_engine::{LoadError, SetFiles, Stamp, Watchlist};
use portcullis_telemetry::{Detail, Line, log};
use tokio::signal::unix::Signal;
use tokio::time::sleep;

use crate::policies::{Policies, TakeError};

/// How often it is looked whether anything changed. Looking costs one system call for each file of the set, works on
/// every file system, and sees what an editor renames into place.
const LOOK: Duration = Duration::from_millis(500);
/// How long nothing may change before a set is read: an editor or a copy writes in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// How often it is waited for that, before the set is read all the same.
const MAX_WAITS: u32 = 40;
/// How long it is waited when another set is still being prepared.
const BUSY: Duration = Duration::from_secs(1);

/// The file that policies come from.
pub(crate) struct PolicyFile {
    policies: Arc<Policies>,
    set: PathBuf,
    watchlist: Watchlist,
    hangup: Signal,
}

impl PolicyFile {
    /// Puts the set in force for the first time.
    ///
    /// # Errors
    /// It cannot be used: there is nothing to fall back on.
    pub(crate) async fn start(
        policies: Arc<Policies>,
        set: PathBuf,
        hangup: Signal,
    ) -> Result<Self, TakeError> {
        let files = SetFiles::beside(&set);
        let watchlist = files.watchlist();
        policies.take(files, None).await?;
        Ok(Self {
            policies,
            set,
            watchlist,
            hangup,
        })
    }

    /// Takes the set anew whenever it changes, for ever.
    pub(crate) async fn follow(mut self) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                () = changed(&self.watchlist) => {}
            }
            self.take().await;
        }
    }

    async fn take(&mut self) {
        loop {
            let files = SetFiles::beside(&self.set);
            self.watchlist = files.watchlist();
            match self.policies.take(files, None).await {
                Err(TakeError::Load(LoadError::Busy)) => sleep(BUSY).await,
                // Only a change makes it worth another look.
                Err(error) => {
                    log(Line::PoliciesRefused, [Detail::reason(&error)]);
                    return;
                }
                Ok(()) => return,
            }
        }
    }
}

/// Ready once something has changed and then nothing for a moment.
async fn changed(watchlist: &Watchlist) {
    while !looked(watchlist, Watchlist::has_changed).await {
        sleep(LOOK).await;
    }
    let mut before: Vec<Option<Stamp>> = looked(watchlist, Watchlist::look).await;
    for _ in 0..MAX_WAITS {
        sleep(QUIET).await;
        let now = looked(watchlist, Watchlist::look).await;
        if now == before {
            return;
        }
        before = now;
    }
}

/// Looks from a thread that may block: a file system can be slow.
async fn looked<T: Default + Send + 'static>(
    watchlist: &Watchlist,
    look: impl FnOnce(&Watchlist) -> T + Send + 'static,
) -> T {
    let watchlist = watchlist.clone();
    let looked = tokio::task::spawn_blocking(move || look(&watchlist)).await;
    looked.unwrap_or_default()
}
