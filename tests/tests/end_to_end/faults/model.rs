//! What services have acknowledged, and whether disk, catalog and audit say the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::sha256;
use serde_json::Value;

use super::services::Services;

/// What is visible at each path, as far as it was acknowledged.
#[derive(Default)]
pub(super) struct Model(BTreeMap<String, Vec<u8>>);

impl Model {
    /// Something was acknowledged.
    pub(super) fn set(&mut self, path: &str, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.0.insert(path.to_owned(), bytes.to_owned()),
            None => self.0.remove(path),
        };
    }

    /// Something was asked for and not answered: it happened, or it did not, and nothing in between.
    pub(super) fn happened_or_not(
        &mut self,
        services: &Services,
        path: &str,
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        let shown = services.shown(path)?;
        let before = self.0.get(path).map(Vec::as_slice);
        ensure!(
            shown.as_deref() == before || shown.as_deref() == bytes,
            "{path} shows {:?}: neither what was there nor what was to be there",
            shown.map(|bytes| bytes.len())
        );
        self.set(path, shown.as_deref());
        Ok(())
    }

    /// Compares what was acknowledged with what is visible, what the catalog says, which versions lie on the disk, and
    /// what the audit says.
    pub(super) async fn check(&self, services: &Services) -> Result<()> {
        let wanted: BTreeMap<String, String> = self
            .0
            .iter()
            .map(|(path, bytes)| (path.clone(), sha256([bytes])))
            .collect();
        let disk = services.disk();
        let mut visible = BTreeMap::new();
        for path in disk.files()?.into_keys() {
            let digest = disk.digest(&path)?;
            visible.insert(path, digest);
        }
        ensure!(
            visible == wanted,
            "visible: {visible:#?}, acknowledged: {wanted:#?}"
        );
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let listed = services.listed("include_metadata=true").await?;
        let listed = listed
            .iter()
            .map(|file| (text(&file["path"]), text(&file["sha256"])));
        let listed: BTreeMap<String, String> = listed.collect();
        ensure!(
            listed == wanted,
            "catalog: {listed:#?}, acknowledged: {wanted:#?}"
        );
        let versions = services.listed("versions=true").await?;
        let held = services.quarantined().await?;
        let kept = versions
            .iter()
            .filter(|version| version["purged_at"].is_null());
        let mut kept: Vec<String> = kept.map(|version| text(&version["sha256"])).collect();
        kept.extend(held.iter().map(|file| text(&file["stored_sha256"])));
        kept.sort();
        ensure!(
            services.versions()? == kept,
            "on the disk: {:#?}, in the catalog: {kept:#?}",
            services.versions()?
        );
        let agrees = services.command("fsck", &["--digests", "--settled-for", "0"])?;
        ensure!(agrees.status.success(), "{agrees:?}");
        self.check_audit(services, &versions)
    }

    fn check_audit(&self, services: &Services, versions: &[Value]) -> Result<()> {
        let verified = services.command("audit", &["verify"])?;
        ensure!(verified.status.success(), "{verified:?}");
        let exported = services.command("audit", &["export"])?.stdout;
        let rows: Vec<Value> = String::from_utf8(exported)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        for version in versions {
            let of_version = rows.iter().filter(|row| {
                row["path"] == version["path"]
                    && row["version"] == version["version"]
                    && row["details"]["sha256"] == version["sha256"]
                    && ["created", "quarantined"]
                        .contains(&row["action"].as_str().unwrap_or_default())
                    && row["details"]["new"] != false
            });
            ensure!(
                of_version.count() == 1,
                "the audit does not say once that it has {version}"
            );
        }
        let shown = |path: &str| {
            let deletions = |row: &&Value| row["path"] == *path;
            rows.iter()
                .rfind(deletions)
                .and_then(|row| row["action"].as_str())
        };
        for path in self.0.keys() {
            let last = shown(path).context("the audit says nothing of a file that is visible")?;
            ensure!(
                !["deleted", "purged"].contains(&last),
                "{path} is visible and was {last}"
            );
        }
        Ok(())
    }
}
