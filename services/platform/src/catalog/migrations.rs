//! The schema, step by step. A step that was released is never changed; `user_version` counts them.

use rusqlite::{Connection, TransactionBehavior};

use super::{CatalogError, audit};

const STEPS: [&str; 12] = [
    include_str!("../../migrations/0001_uploads.sql"),
    include_str!("../../migrations/0002_policies.sql"),
    include_str!("../../migrations/0003_shadow.sql"),
    include_str!("../../migrations/0004_trials.sql"),
    include_str!("../../migrations/0005_file_api.sql"),
    include_str!("../../migrations/0006_disks.sql"),
    include_str!("../../migrations/0007_audit_chain.sql"),
    include_str!("../../migrations/0008_verified.sql"),
    include_str!("../../migrations/0009_length.sql"),
    include_str!("../../migrations/0010_open_by_subject.sql"),
    include_str!("../../migrations/0011_quarantine.sql"),
    include_str!("../../migrations/0012_open_by_expiry.sql"),
];

/// From which schema on a catalog has revisions of the policies.
pub(super) const WITH_POLICIES: u32 = 2;

/// From which schema on the rows of the audit are a chain.
const WITH_CHAIN: u32 = 7;

/// From which schema on a catalog knows which disk is which.
pub(super) const WITH_DISKS: u32 = 6;

/// The schema of a catalog, if this program knows it.
pub(super) fn check(connection: &Connection) -> Result<u32, CatalogError> {
    let known = u32::try_from(STEPS.len()).map_err(|_| CatalogError::Damaged)?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(CatalogError::TooNew { found, known });
    }
    Ok(found)
}

/// Refuses a catalog whose audit is no chain yet.
pub(super) fn check_chained(connection: &Connection) -> Result<(), CatalogError> {
    match check(connection)? {
        found if found < WITH_CHAIN => Err(CatalogError::TooOld(found)),
        _ => Ok(()),
    }
}

/// Brings a catalog up to date; each step in one transaction.
pub(super) fn run(connection: &mut Connection) -> Result<(), CatalogError> {
    loop {
        // Immediate, so that two processes that start at once do not both take the same step.
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = check(&step)?;
        let Some(sql) = STEPS.get(found as usize) else {
            return Ok(());
        };
        step.execute_batch(sql)?;
        if found + 1 == WITH_CHAIN {
            audit::chain_old_rows(&step)?;
        }
        step.pragma_update(None, "user_version", found + 1)?;
        step.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_brought_up_to_date_once() {
        let mut connection = Connection::open_in_memory().expect("opens");
        run(&mut connection).expect("is new");
        run(&mut connection).expect("is up to date");
    }

    #[test]
    fn a_newer_catalog_is_left_alone() {
        let mut connection = Connection::open_in_memory().expect("opens");
        connection
            .pragma_update(None, "user_version", 99)
            .expect("is set");
        let error = run(&mut connection).expect_err("is refused");
        assert!(matches!(
            error,
            CatalogError::TooNew {
                found: 99,
                known: 12
            }
        ));
    }
}
