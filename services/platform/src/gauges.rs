//! What is to be seen of services at any moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_storage::Space;
use portcullis_telemetry::metrics::observe;
use portcullis_telemetry::{Label, Metric};
use portcullis_types::DiskName;

use crate::catalog::{Rows, UploadRow};
use crate::fault::Fault;
use crate::uploads::Uploads;

/// How often it is looked at what takes longer to see.
const LOOK: Duration = Duration::from_secs(15);

/// What was seen last. Whoever asks hears that: a NAS that is away must not make them wait.
#[derive(Default)]
struct Seen {
    disks: Vec<(DiskName, Space)>,
    /// How many files are in quarantine, and their bytes.
    quarantine: (u64, u64),
    /// When the audit was signed for.
    signed: Option<Instant>,
}

/// What was seen, for those who look and those who ask.
#[derive(Clone, Default)]
pub(crate) struct Gauges(Arc<Mutex<Seen>>);

impl Gauges {
    /// Takes note that the audit was signed for.
    pub(crate) fn audit_is_signed(&self) {
        self.with(|seen| seen.signed = Some(Instant::now()));
    }

    /// Shows everything, and looks again and again. It ends when that is aborted; from then on nothing new is seen.
    pub(crate) async fn watch(self, uploads: Uploads) {
        self.show();
        show_queues(&uploads);
        loop {
            if let Ok(health) = uploads.health().await {
                let spaces = health.disks.into_iter();
                let spaces = spaces.filter_map(|(name, disk)| Some((name, disk.space?)));
                self.with(|seen| seen.disks = spaces.collect());
            }
            let count = |rows: &Rows| UploadRow::quarantined(rows).map_err(Fault::from);
            if let Ok(quarantine) = uploads.catalog().read(count).await {
                self.with(|seen| seen.quarantine = quarantine);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn show(&self) {
        for (metric, look) in [
            (Metric::DiskFree, free as fn(&Space) -> u64),
            (Metric::DiskSize, size),
        ] {
            self.observe(metric, move |seen| {
                let disks = seen.disks.iter();
                let value = |(name, space): &(DiskName, Space)| {
                    (look(space), Some(Label::Disk(name.clone())))
                };
                disks.map(value).collect()
            });
        }
        self.observe(Metric::QuarantineFiles, |seen| {
            vec![(seen.quarantine.0, None)]
        });
        self.observe(Metric::QuarantineBytes, |seen| {
            vec![(seen.quarantine.1, None)]
        });
        self.observe(Metric::AuditSigned, |seen| {
            let ago = seen.signed.map(|signed| (signed.elapsed().as_secs(), None));
            ago.into_iter().collect()
        });
    }

    fn observe(
        &self,
        metric: Metric,
        look: impl Fn(&Seen) -> Vec<(u64, Option<Label>)> + Send + Sync + 'static,
    ) {
        let gauges = self.clone();
        observe(metric, move || gauges.with(|seen| look(seen)));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn free(space: &Space) -> u64 {
    space.free_bytes
}

fn size(space: &Space) -> u64 {
    space.total_bytes
}

/// Shows what waits, for as long as there is a catalog to wait for.
fn show_queues(uploads: &Uploads) {
    for (metric, look) in [
        (
            Metric::AppendsOpen,
            Uploads::appends as fn(&Uploads) -> usize,
        ),
        (Metric::CatalogWaiting, |uploads| {
            uploads.catalog().waiting()
        }),
    ] {
        let uploads = uploads.downgrade();
        observe(metric, move || {
            let uploads = uploads.upgrade();
            uploads
                .iter()
                .map(|uploads| (look(uploads) as u64, None))
                .collect()
        });
    }
}
