//! `portcullis-services disk`: which disks there are, and that another one takes the place of one that is gone.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::ensure;
use clap::Subcommand;
use portcullis_services::catalog::{
    Action, AuditEntry, Catalog, CatalogError, DiskRow, Rows, Usage,
};
use portcullis_services::config::DiskConfig;
use portcullis_storage::Known;
use portcullis_types::{Clock, DiskName};

use super::{decision, with_catalog};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the disks: where they are, which disk the catalog knows, and how much lies on each.
    List,
    /// Lets whatever is at the disk's root take the place of the disk that the catalog knows: after it was replaced, or
    /// moved to another NAS. Takes effect when services start next.
    Adopt {
        /// The disk.
        name: DiskName,
        /// Why: one sentence for the audit.
        #[arg(long)]
        reason: String,
    },
}

pub(crate) async fn run(
    command: Command,
    catalog: &Path,
    disks: &BTreeMap<DiskName, DiskConfig>,
) -> anyhow::Result<()> {
    with_catalog(catalog, async |catalog| match command {
        Command::List => list(catalog, disks).await,
        Command::Adopt { name, reason } => adopt(catalog, disks, name, &reason).await,
    })
    .await
}

async fn list(catalog: &Catalog, disks: &BTreeMap<DiskName, DiskConfig>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, DiskConfig::Local(local)) in disks {
        let wanted = name.clone();
        let look = move |rows: &Rows| {
            let known = DiskRow::known(rows, &wanted)?;
            Ok::<_, CatalogError>((known, Usage::of_versions(rows, &wanted, None)?))
        };
        let (known, bytes) = catalog.read(look).await?;
        let id = match known {
            Known::As(id) => id.to_string(),
            Known::Used => "used, without an id yet".to_owned(),
            Known::Nothing => "not used yet".to_owned(),
        };
        writeln!(out, "{name}  {}  {id}  {bytes} bytes", local.root.display())?;
    }
    Ok(())
}

async fn adopt(
    catalog: &Catalog,
    disks: &BTreeMap<DiskName, DiskConfig>,
    name: DiskName,
    reason: &str,
) -> anyhow::Result<()> {
    ensure!(
        disks.contains_key(&name),
        "there is no disk `{name}` in the configuration; see `portcullis-services disk list`"
    );
    let decision = decision(reason)?;
    let (wanted, now) = (name.clone(), Clock::system().now());
    let mut entry = AuditEntry::new(now, Action::DiskAdopted, decision.actor)
        .with(serde_json::json!({ "reason": decision.reason }));
    entry.disk = Some(name.clone());
    let forget = move |rows: &Rows| {
        DiskRow::adopt(rows, &wanted, now)?;
        entry.write(rows)
    };
    catalog.run(forget).await?;
    writeln!(
        std::io::stdout(),
        "whatever is at the root of `{name}` when services start next is that disk from then on"
    )?;
    Ok(())
}
