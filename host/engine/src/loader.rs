//! Revisions in the making: one at a time, each on a thread of its own and within its time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_types::PolicyName;
use tokio::sync::oneshot;

use crate::LoadError;
use crate::engine::Sandbox;
use crate::revision::{self, Revision};
use crate::set_files::SetFiles;

/// How often a set is read anew because its files changed meanwhile.
const MAX_READS: u32 = 3;

/// A revision that could serve, and the files that it was made of.
pub struct Prepared {
    /// The revision.
    pub revision: Arc<Revision>,
    /// Its files, in memory.
    pub files: SetFiles,
}

/// Makes revisions.
#[derive(Default)]
pub(crate) struct Loader {
    /// Held by the thread that is at it.
    busy: Arc<Mutex<()>>,
}

/// Which policy is being loaded: for the error when it takes too long.
#[derive(Default)]
pub(crate) struct Progress(Mutex<String>);

impl Progress {
    pub(crate) fn at(&self, policy: &PolicyName) {
        policy.as_str().clone_into(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loader {
    pub(crate) async fn prepare(
        &self,
        sandbox: Arc<Sandbox>,
        files: SetFiles,
        known: Vec<Arc<Revision>>,
    ) -> Result<Prepared, LoadError> {
        let (busy, limit) = (Arc::clone(&self.busy), sandbox.settings.load_time);
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let (give, prepared) = oneshot::channel();
        let thread = std::thread::Builder::new().name("policy-loader".to_owned());
        let started = thread.spawn(move || {
            let prepared = match busy.try_lock() {
                Ok(_one_at_a_time) => prepare(&sandbox, &files, &known, &told),
                Err(_) => Err(LoadError::Busy),
            };
            // When nobody waits any more, it was too slow.
            let _ = give.send(prepared);
        });
        started.map_err(|_| LoadError::Interrupted)?;
        // Compiling cannot be stopped: what takes longer goes on by itself, and what comes of it is dropped.
        let prepared = tokio::time::timeout(limit, prepared).await;
        let prepared = prepared.map_err(|_| LoadError::TooSlow {
            policy: progress.lock().clone(),
            limit,
        })?;
        prepared.map_err(|_| LoadError::Interrupted)?
    }
}

/// Reads and loads a set until its files stayed the same meanwhile.
fn prepare(
    sandbox: &Sandbox,
    files: &SetFiles,
    known: &[Arc<Revision>],
    progress: &Progress,
) -> Result<Prepared, LoadError> {
    for _ in 0..MAX_READS {
        let prepared = load(sandbox, files.again(), known, progress)?;
        if prepared.files.are_unchanged() {
            return Ok(prepared);
        }
    }
    Err(LoadError::Unsteady(files.set_path()))
}

/// Compiles a set, and asks its components what they are, on this thread alone.
fn load(
    sandbox: &Sandbox,
    files: SetFiles,
    known: &[Arc<Revision>],
    progress: &Progress,
) -> Result<Prepared, LoadError> {
    let path = files.set_path();
    let draft = revision::compile(sandbox, files, known, progress)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|_| LoadError::Interrupted)?;
    let (revision, files) = runtime.block_on(draft.check(sandbox, progress))?;
    match sandbox.lack_of_room(&revision) {
        None => Ok(Prepared {
            revision: Arc::new(revision),
            files,
        }),
        Some(reason) => Err(LoadError::Set { path, reason }),
    }
}
