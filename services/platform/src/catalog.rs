//! What services remember: uploads, versions, audit, tokens, policies. SQLite on a local disk, never on the NAS.
//!
//! One thread owns the connection that writes. Whatever waits for it is done in one transaction, so that many small
//! commits share one fsync; each job has a savepoint of its own then. A job's answer goes out after that
//! commit: what was answered is durable. A second thread reads beside it and sees what was answered before, so
//! that long lists do not hold up what is stored meanwhile; whoever may block reads on its own thread.

pub mod audit;
mod backup;
mod disk_rows;
mod file_api_rows;
mod kept;
mod migrations;
mod policy_rows;
mod readers;
mod shadow_rows;
mod tokens;
mod trial_rows;
mod upload_rows;
mod version_rows;

use std::iter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_storage::{CrashPoint, crash_point};
use portcullis_telemetry::{Line, log};
use portcullis_types::Clock;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

pub use audit::{Action, Actor, AuditEntry};
use audit::{AuditKey, SignedCheckpoint};
use readers::Readers;

pub use backup::{BackupError, back_up};
pub use disk_rows::{DiskRow, Usage};
pub use file_api_rows::{ChunkRow, IdempotentCall};
pub use kept::Kept;
pub use policy_rows::PolicyRows;
pub use shadow_rows::{ShadowRow, ShadowRows};
pub use tokens::{Token, TokenRow};
pub use trial_rows::TrialRows;
pub use upload_rows::UploadRow;
pub use version_rows::VersionRow;

/// Jobs that wait at once; more wait to be let in.
const MAX_WAITING_JOBS: usize = 1024;
/// Statements that stay parsed on each connection: more than there are.
const STATEMENTS: usize = 128;
/// Pages of the catalog that each connection keeps: the upper levels of its indexes for millions of files.
const CACHE_KIB: i64 = 16 * 1024;
/// Pages in the log before they are written into the catalog: those that change again and again are written once. 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_096;
/// The most jobs of one transaction.
const MAX_BATCH: usize = 64;
/// How long another process, such as `token add`, may hold the catalog.
const BUSY: Duration = Duration::from_secs(10);

/// Why the catalog did not do what it was asked. No message holds a value.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database failed.
    #[error("the catalog failed ({0:?}); look at the disk that it lies on")]
    Failed(Option<rusqlite::ErrorCode>),
    /// The transaction did not become durable.
    #[error("the catalog could not commit; look at the disk that it lies on")]
    NotCommitted,
    /// A row cannot be understood.
    #[error("a row of the catalog cannot be read; it was written by another version or damaged")]
    Damaged,
    /// It was made by a newer version of this program.
    #[error(
        "the catalog has schema {found}, and this program knows up to {known}; run the newer program"
    )]
    TooNew {
        /// The catalog's schema.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The key of the audit cannot be read or made.
    #[error(
        "the key that signs the audit, which lies beside the catalog, cannot be read or made ({0}); it must belong to the user that services run as"
    )]
    NoAuditKey(std::io::ErrorKind),
    /// What should be the key of the audit is none.
    #[error(
        "the file beside the catalog that should hold the key of the audit holds none; put back the one that was there, or move the file away: then a new key is made, and the audit says so"
    )]
    BadAuditKey,
    /// It is of a version from before there was what is asked for.
    #[error(
        "the catalog has schema {0}, from an older version; start services of this version once"
    )]
    TooOld(u32),
    /// It has been closed.
    #[error("the catalog is closed")]
    Closed,
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Damaged,
            other => Self::Failed(other.sqlite_error_code()),
        }
    }
}

impl From<serde_json::Error> for CatalogError {
    fn from(_: serde_json::Error) -> Self {
        Self::Damaged
    }
}

/// What a job sees: the catalog, within a transaction.
pub use rusqlite::Connection as Rows;

/// Does its work in a transaction, and gives back what sends its answer.
type Job = Box<dyn FnOnce(&Rows, Share) -> Reply + Send>;

/// Who shares a transaction with a job that may fail.
#[derive(Clone, Copy)]
enum Share {
    /// Nobody who has written: what the job did goes with the transaction.
    Alone,
    /// Others, whose work stays: the job has a savepoint.
    Others,
}

/// The end of a job.
struct Reply {
    /// Whether it did what it was asked.
    done: bool,
    /// Sends the answer; told whether the transaction is durable.
    send: Box<dyn FnOnce(bool)>,
}

/// The catalog, while its thread runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    jobs: mpsc::Sender<Job>,
    later: mpsc::Sender<Job>,
    reads: mpsc::Sender<Job>,
    readers: Arc<Readers>,
}

/// The threads of a catalog. They end when the last [`Catalog`] is gone.
#[derive(Debug)]
pub struct CatalogThread([JoinHandle<()>; 2]);

impl Catalog {
    /// Opens the catalog at `path`, makes it when it is not there, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<(Self, CatalogThread), CatalogError> {
        make_for_owner(path);
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        prepare_well(&connection)?;
        migrations::run(&mut connection)?;
        let key = AuditKey::of(path)?;
        take_up(&mut connection, &key)?;
        let mut reader = open_to_read(path)?;
        prepare_well(&reader)?;
        let (jobs, waiting) = mpsc::channel(MAX_WAITING_JOBS);
        let (later, riding) = mpsc::channel(MAX_WAITING_JOBS);
        let writing = thread("catalog", move || {
            work(&mut connection, &key, waiting, riding);
        })?;
        let (reads, waiting) = mpsc::channel(MAX_WAITING_JOBS);
        let reading = thread("catalog-reader", move || read(&mut reader, waiting))?;
        let threads = CatalogThread([writing, reading]);
        let catalog = Self {
            jobs,
            later,
            reads,
            readers: Arc::new(Readers::of(path.to_owned())),
        };
        Ok((catalog, threads))
    }

    /// How many jobs wait for one of its threads.
    pub fn waiting(&self) -> usize {
        let waiting = |jobs: &mpsc::Sender<Job>| jobs.max_capacity() - jobs.capacity();
        waiting(&self.jobs) + waiting(&self.later) + waiting(&self.reads)
    }

    /// Signs for all rows of the audit so far and puts that away. Absent while there is no row.
    pub async fn checkpoint_audit(&self) -> Result<Option<SignedCheckpoint>, CatalogError> {
        // What is read is durable and signed.
        let Some(newest) = self.read(SignedCheckpoint::newest).await? else {
            return Ok(None);
        };
        let signed = newest.clone();
        self.run(move |rows| signed.put_away(rows)).await?;
        Ok(Some(newest))
    }

    /// Looks something up, beside whatever is written meanwhile. It sees all that was answered before.
    pub async fn read<T, E>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        asked(&self.reads, job).await
    }

    /// Does something in a transaction. When it returns without an error, it is durable; when the job gives
    /// an error, nothing of it was done.
    pub async fn run<T, E>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        asked(&self.jobs, job).await
    }

    /// Does something that nobody waits for, with the next transaction that somebody does wait for: it costs no fsync.
    /// It may be lost with the process.
    pub fn run_later(&self, job: impl FnOnce(&Rows) -> Result<(), CatalogError> + Send + 'static) {
        let (job, _) = boxed(job);
        // Where so many jobs wait, it is left to the next start.
        let _ = self.later.try_send(job);
    }

    /// Looks something up from a thread that may block, as [`read`](Self::read) does.
    pub fn read_blocking<T, E>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        match self.readers.take() {
            Some(reader) => reader.read(job),
            None => asked_blocking(&self.reads, job),
        }
    }

    /// Does something from a thread that may block, as [`run`](Self::run) does.
    pub fn run_blocking<T, E>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        asked_blocking(&self.jobs, job)
    }
}

impl CatalogThread {
    /// Waits until the last job is done. Call it when no [`Catalog`] is left, or it never returns.
    pub fn join(self) {
        for thread in self.0 {
            // A panic of the thread has been told where it happened.
            let _ = thread.join();
        }
    }
}

/// Makes an empty file that nobody else may read, unless one is there: SQLite takes it for a new database, and gives its
/// logs the same mode. What goes wrong, SQLite tells.
fn make_for_owner(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    let _ = options.append(true).create(true).mode(0o600).open(path);
}

/// Statements are parsed and planned once, and what they look up often stays at hand. Without the guarantee of stable
/// plans, SQLite plans a statement again for each value that it is given, wherever a table has an index over part of its
/// rows.
fn prepare_well(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: in KiB.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, CatalogError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(|_| CatalogError::Closed)
}

/// Opens a catalog of this version to read it, whether services run or not.
///
/// # Errors
/// It is not there, or of another version.
pub fn to_read(path: &Path) -> Result<Connection, CatalogError> {
    let rows = open_to_read(path)?;
    migrations::check_chained(&rows)?;
    Ok(rows)
}

/// Opens a catalog to read it, beside whoever works with it. Nothing is made or changed.
fn open_to_read(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let rows = Connection::open_with_flags(path, flags)?;
    rows.busy_timeout(BUSY)?;
    Ok(rows)
}

/// Has a thread do a job, and waits for its answer.
async fn asked<T, E>(
    thread: &mpsc::Sender<Job>,
    job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<CatalogError> + Send + 'static,
{
    let (job, answer) = boxed(job);
    let closed = |()| E::from(CatalogError::Closed);
    thread.send(job).await.map_err(|_| closed(()))?;
    answer.await.map_err(|_| closed(()))?
}

/// The same from a thread that may block.
fn asked_blocking<T, E>(
    thread: &mpsc::Sender<Job>,
    job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<CatalogError> + Send + 'static,
{
    let (job, answer) = boxed(job);
    let closed = |()| E::from(CatalogError::Closed);
    thread.blocking_send(job).map_err(|_| closed(()))?;
    answer.blocking_recv().map_err(|_| closed(()))?
}

fn boxed<T, E>(
    job: impl FnOnce(&Rows) -> Result<T, E> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<CatalogError> + Send + 'static,
{
    let (sender, answer) = oneshot::channel();
    let job = Box::new(move |rows: &Rows, share: Share| {
        let outcome = match share {
            Share::Alone => job(rows),
            Share::Others => within_savepoint(rows, job),
        };
        let done = outcome.is_ok();
        let send = Box::new(move |durable: bool| {
            let outcome = match outcome {
                Ok(_) if !durable => Err(CatalogError::NotCommitted.into()),
                outcome => outcome,
            };
            // Whoever asked may have gone; what was done stays done.
            let _ = sender.send(outcome);
        });
        Reply { done, send }
    });
    (job, answer)
}

/// A savepoint by statements that are parsed once: a small upload is short enough that parsing them counts.
fn within_savepoint<T, E: From<CatalogError>>(
    rows: &Rows,
    job: impl FnOnce(&Rows) -> Result<T, E>,
) -> Result<T, E> {
    execute(rows, "SAVEPOINT job")?;
    let outcome = job(rows).and_then(|value| {
        execute(rows, "RELEASE job")?;
        Ok(value)
    });
    if outcome.is_err() {
        // Where that fails, SQLite has rolled back the whole transaction, and its commit says so.
        let _ = execute(rows, "ROLLBACK TO job").and_then(|()| execute(rows, "RELEASE job"));
    }
    outcome
}

/// A statement without values, parsed once.
fn execute(rows: &Rows, statement: &str) -> Result<(), CatalogError> {
    let ran = rows
        .prepare_cached(statement)
        .and_then(|mut it| it.execute([]));
    Ok(ran.map(drop)?)
}

/// Goes on with the audit, which this program signs from here on.
fn take_up(connection: &mut Connection, key: &AuditKey) -> Result<(), CatalogError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    audit::take_up(&transaction, key, Clock::system().now())?;
    audit::sign(&transaction, key)?;
    Ok(transaction.commit()?)
}

/// All that waits, up to a number; waits for the first. Nothing when nobody will ask again.
fn batch(waiting: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut batch: Vec<Job> = waiting.blocking_recv().into_iter().collect();
    while !batch.is_empty()
        && batch.len() < MAX_BATCH
        && let Ok(next) = waiting.try_recv()
    {
        batch.push(next);
    }
    batch
}

fn work(
    connection: &mut Connection,
    key: &AuditKey,
    mut waiting: mpsc::Receiver<Job>,
    mut riding: mpsc::Receiver<Job>,
) {
    loop {
        let asked = batch(&mut waiting);
        let is_last = asked.is_empty();
        // Whoever asks may have left something to do before: that comes first.
        let left = iter::from_fn(|| riding.try_recv().ok()).take(MAX_WAITING_JOBS);
        let jobs: Vec<Job> = left.chain(asked).collect();
        if !jobs.is_empty() {
            transact(connection, key, jobs);
        }
        if is_last {
            break;
        }
    }
    // A short log file when nobody needs it any more; the data is safe either way.
    let _ = connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
}

/// Does these jobs in one transaction.
fn transact(connection: &mut Connection, key: &AuditKey, jobs: Vec<Job>) {
    let share = match jobs.len() {
        1 => Share::Alone,
        _ => Share::Others,
    };
    let Ok(transaction) = connection.transaction_with_behavior(TransactionBehavior::Immediate)
    else {
        // Their answers go with them: those who wait hear that the catalog did not do it.
        log(Line::CatalogLocked, []);
        return;
    };
    let jobs = jobs.into_iter();
    let replies: Vec<Reply> = jobs.map(|job| job(&transaction, share)).collect();
    let durable = replies.iter().any(|reply| reply.done) && {
        let signed = audit::sign(&transaction, key);
        crash_point(CrashPoint::TransactionComplete);
        let committed = signed.is_ok() && transaction.commit().is_ok();
        crash_point(CrashPoint::TransactionDurable);
        committed
    };
    for reply in replies {
        (reply.send)(durable);
    }
}

fn read(connection: &mut Connection, mut waiting: mpsc::Receiver<Job>) {
    loop {
        let batch = batch(&mut waiting);
        if batch.is_empty() {
            break;
        }
        // It begins after all of them asked, so that each sees what was answered before.
        let Ok(transaction) = connection.transaction() else {
            log(Line::CatalogUnreadable, []);
            continue;
        };
        for job in batch {
            let reply = job(&transaction, Share::Alone);
            // Nothing was written that could fail to be durable.
            (reply.send)(true);
        }
    }
}
