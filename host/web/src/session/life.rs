//! Signs of life of a long upload: its own spans end when it does, and whoever looks wants to see it before.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use portcullis_telemetry::{Attribute, Span, SpanName};

/// How often one is given.
const EVERY: Duration = Duration::from_secs(10);

/// Says within `span` from time to time how many bytes have gone on since the last time.
pub(super) async fn show(span: &Span, gone_on: &AtomicU64) -> Infallible {
    let (mut since, mut before) = (SystemTime::now(), 0);
    loop {
        tokio::time::sleep(EVERY).await;
        let now = gone_on.load(Ordering::Relaxed);
        let sign = span.child_at(SpanName::Progress, since);
        sign.set(Attribute::Bytes(now.saturating_sub(before)));
        (since, before) = (SystemTime::now(), now);
    }
}
