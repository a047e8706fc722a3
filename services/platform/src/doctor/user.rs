//! Whether the doctor is who services are: what root may do says little of them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use portcullis_server::doctor::Check;
use portcullis_types::{DiskName, DiskPath};

use crate::config::DiskConfig;

const CHECK: &str = "user";

pub(super) fn examine(disks: &BTreeMap<DiskName, DiskConfig>) -> Check {
    let own = rustix::process::geteuid().as_raw();
    let mut owners = disks.values().filter_map(|DiskConfig::Local(local)| {
        let folder = std::fs::metadata(local.root.join(DiskPath::RESERVED_PREFIX)).ok()?;
        Some(folder.uid())
    });
    match owners.find(|owner| *owner != own) {
        None => Check::ok(
            CHECK,
            format!("the doctor runs as user {own}, as services do"),
        ),
        Some(owner) => Check::warning(
            CHECK,
            format!(
                "the doctor runs as user {own}, and what services store belongs to user {owner}: what it may do they may not, or the other way round"
            ),
            "run it as that user: `runuser -u portcullis -- portcullis doctor`",
        ),
    }
}
