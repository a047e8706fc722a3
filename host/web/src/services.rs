//! Whether services can be reached, as the operator is told it. Which of the two servers starts first does not matter:
//! until services answer, uploads are told to come again.

use std::sync::Arc;
use std::time::Duration;

use portcullis_hop::{Build, HopClient, HopVersion, StoreError};
use portcullis_server::supervisor;
use portcullis_telemetry::{Detail, Line, Note, Span, SpanName, log};
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
            log(
                Line::ServicesAnswer,
                [Detail::ServicesVersion(Note::of(build))],
            );
            supervisor::status("takes uploads");
        }
        Err(StoreError::VersionSkew) => {
            let spoken = HopVersion::CURRENT.number();
            log(Line::ServicesTooOld, [Detail::HopVersion(spoken)]);
            supervisor::status("waits for services of a version that fits");
        }
        Err(error) => {
            log(Line::ServicesAway, [Detail::Problem(error.kind().slug())]);
            supervisor::status("waits for services");
        }
    }
}
