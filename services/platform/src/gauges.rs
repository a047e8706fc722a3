//! What is to be seen of services at any moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_storage::Space;
use portcullis_telemetry::metrics::observe;
use portcullis_telemetry::{Label, Metric};
use portcullis_types::DiskName;

use crate::uploads::Uploads;

/// How often it is looked how full the disks are.
const LOOK: Duration = Duration::from_secs(15);

/// How full each disk is that answered when it was looked at last.
type Seen = Arc<Mutex<Vec<(DiskName, Space)>>>;

/// Looks again and again. Whoever asks for the numbers hears what was seen: a NAS that is away must not make them wait.
pub(crate) async fn watch(uploads: Uploads) {
    let seen = Seen::default();
    show(Metric::DiskFree, &seen, |space| space.free_bytes);
    show(Metric::DiskSize, &seen, |space| space.total_bytes);
    loop {
        if let Ok(health) = uploads.health().await {
            let spaces = health.disks.into_iter();
            let spaces = spaces.filter_map(|(name, disk)| Some((name, disk.space?)));
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = spaces.collect();
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn show(metric: Metric, seen: &Seen, look: fn(&Space) -> u64) {
    let seen = Arc::clone(seen);
    observe(metric, move || {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let value =
            |(name, space): &(DiskName, Space)| (look(space), Some(Label::Disk(name.clone())));
        seen.iter().map(value).collect()
    });
}
