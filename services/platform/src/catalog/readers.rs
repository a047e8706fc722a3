//! Connections that look something up on the thread that asks: handing a question to another thread and waiting for its
//! answer costs more than most answers.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{CatalogError, Rows, execute, open_to_read, prepare_well};

/// Connections that are open at once; whoever comes then asks the thread that reads.
const MOST: usize = 4;

/// Connections for whoever may block.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

impl Readers {
    pub(super) fn of(path: PathBuf) -> Self {
        let pool = Mutex::default();
        Self { path, pool }
    }

    /// A connection that nobody else uses, opened where there is none. Absent where as many as may be are in use, or the
    /// catalog cannot be opened once more.
    pub(super) fn take(&self) -> Option<Reader<'_>> {
        let mut pool = self.pool();
        if let Some(connection) = pool.idle.pop() {
            return Some(self.reader(connection));
        }
        if pool.open == MOST {
            return None;
        }
        let connection = open_to_read(&self.path).ok()?;
        prepare_well(&connection).ok()?;
        pool.open += 1;
        Some(self.reader(connection))
    }

    fn reader(&self, connection: Connection) -> Reader<'_> {
        let connection = Some(connection);
        Reader {
            readers: self,
            connection,
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was taken. It goes back when nobody needs it any more.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    /// There until it goes back.
    connection: Option<Connection>,
}

impl Reader<'_> {
    /// Looks something up. All of it is of one moment, which is not before this call.
    pub(super) fn read<T, E: From<CatalogError>>(
        self,
        job: impl FnOnce(&Rows) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(rows) = &self.connection else {
            return Err(CatalogError::Closed.into());
        };
        execute(rows, "BEGIN")?;
        let outcome = job(rows);
        // Nothing was written that this could lose.
        execute(rows, "ROLLBACK")?;
        outcome
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        match self.connection.take() {
            // One that is still within a transaction would see nothing new.
            Some(connection) if connection.is_autocommit() => pool.idle.push(connection),
            _ => pool.open -= 1,
        }
    }
}
