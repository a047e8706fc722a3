//! Whether services can be reached, as the operator is told it. Which of the two servers starts first does not matter:
//! until services answer, uploads are told to come again.

use std::sync::Arc;
use std::time::Duration;

use portcullis_hop::{Build, HopClient, HopVersion, StoreError};
use portcullis_server::supervisor;
use portcullis_telemetry::{Span, SpanName};
use tokio::time::sleep;

/// How often services are asked that answered, and that did not.
const WELL: Duration = Duration::from_secs(30);
const AWAY: Duration = Duration::from_secs(2);

/// Asks services again and again, for ever, and says whenever the answer is another one.
pub(crate) async fn watch(store: Arc<HopClient>) {
    let mut last = None;
    loop {
        let span = Span::root(SpanName::Ready, None);
        let found = store.check(&span).await;
        drop(span);
        let pause = if found.is_ok() { WELL } else { AWAY };
        if last.as_ref() != Some(&found) {
            tell(&found);
            last = Some(found);
        }
        sleep(pause).await;
    }
}

fn tell(found: &Result<Build, StoreError>) {
    match found {
        Ok(build) => {
            tracing::info!(services = %build, "services answer");
            supervisor::status("takes uploads");
        }
        Err(StoreError::VersionSkew) => {
            tracing::error!(
                this = %Build::this(),
                "services do not understand version {} of the hop, which this web host speaks: update services first, \
                 then web hosts; uploads are told to come again",
                HopVersion::CURRENT
            );
            supervisor::status("waits for services of a version that fits");
        }
        Err(error) => {
            tracing::warn!(
                why = error.kind().slug(),
                "services cannot be used; uploads are told to come again, and services are asked every {} s \
                 (`portcullis doctor` says what to do)",
                AWAY.as_secs()
            );
            supervisor::status("waits for services");
        }
    }
}
