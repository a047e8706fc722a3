//! Waiting for what another process does, as long as it may take and no longer.

use std::time::Duration;

use anyhow::{Context, Result};

/// How long anything may take that a test waits for.
pub const LIMIT: Duration = Duration::from_mins(2);
/// How often it is looked for.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until something holds; `what` names it when it never does.
pub async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let wait = async {
        while !holds()? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(LIMIT, wait).await;
    waited.with_context(|| what.to_owned())?
}
