//! Disks that fill up, fail, stall, turn read-only and lose power.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_hop::{HopSettings, StoreError};
use portcullis_storage::CrashPoint;
use portcullis_tests::{sample, until};

use super::crash_points::{SAMPLE, go_through};
use super::model::Model;
use super::mount::{Mount, has, is_possible};
use super::operation::{Operation, Upload};
use super::services::Services;

const SMALL: usize = 10_000;
const LARGE: usize = 700_000;

fn small(path: &str) -> Operation {
    Operation::Small(Upload::new(path, vec![b's'; SMALL]))
}

fn large(path: &str) -> Operation {
    Operation::Large(Upload::new(path, vec![b'l'; LARGE]))
}

/// Asks for something that must be acknowledged.
async fn done(services: &Services, model: &mut Model, operation: &Operation) -> Result<()> {
    operation.ask(services).await?;
    if let Some((path, bytes)) = operation.effect() {
        model.set(path, bytes);
    }
    Ok(())
}

/// Asks for something that must be refused, with one of these errors.
async fn refused(services: &Services, operation: &Operation, with: &[StoreError]) -> Result<()> {
    let error = operation.ask(services).await.err();
    let error = error.with_context(|| format!("{operation:?} was acknowledged"))?;
    let known = error.downcast_ref::<StoreError>();
    ensure!(
        known.is_some_and(|known| with.contains(known)),
        "{operation:?}: {error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_disk_without_room_refuses_and_takes_uploads_again_when_it_has_some() -> Result<()> {
    if !is_possible("a_disk_without_room") {
        return Ok(());
    }
    let (disk, own) = (Mount::tmpfs(1 << 20)?, tempfile::tempdir()?);
    let services = Services::start(disk.root(), own.path(), own.path()).await?;
    let mut model = Model::default();
    done(&services, &mut model, &large("a.csv")).await?;
    // In the middle of a write, and before it.
    refused(&services, &large("b.csv"), &[StoreError::DiskFull]).await?;
    std::fs::write(disk.root().join("others"), vec![0; 1 << 20]).err();
    refused(&services, &small("c.csv"), &[StoreError::DiskFull]).await?;
    std::fs::remove_file(disk.root().join("others"))?;
    model.check(&services).await?;
    disk.again("size=8388608")?;
    for operation in [large("b.csv"), small("c.csv")] {
        done(&services, &mut model, &operation).await?;
    }
    model.check(&services).await
}

#[tokio::test]
async fn a_disk_that_has_room_until_fsync_has_none() -> Result<()> {
    if !is_possible("a_disk_that_has_room_until_fsync") {
        return Ok(());
    }
    let (beneath, own) = (Mount::tmpfs(24 << 20)?, tempfile::tempdir()?);
    let disk = Mount::ext4(64 << 20, Some(beneath))?;
    let mut services = Services::start(disk.root(), own.path(), own.path()).await?;
    let mut model = Model::default();
    done(&services, &mut model, &small("a.csv")).await?;
    let filled = disk
        .beneath()
        .context("is on another")?
        .root()
        .join("others");
    let _ = std::fs::write(&filled, vec![1; 32 << 20]);
    let errors = [StoreError::DiskFull, StoreError::StorageFailed];
    refused(&services, &large("b.csv"), &errors).await?;
    services.server.kill().await?;
    // A disk beneath that failed in the middle is repaired, as after any such failure, before it is used again.
    std::fs::remove_file(&filled)?;
    disk.mount_again()?;
    services.server.start_again().await?;
    model.check(&services).await?;
    for operation in [large("b.csv"), small("c.csv")] {
        done(&services, &mut model, &operation).await?;
    }
    model.check(&services).await
}

#[tokio::test]
async fn a_catalog_without_room_acknowledges_nothing() -> Result<()> {
    if !is_possible("a_catalog_without_room") {
        return Ok(());
    }
    let (catalog, own) = (Mount::tmpfs(4 << 20)?, tempfile::tempdir()?);
    let disk = own.path().join("disk");
    let services = Services::start(&disk, catalog.root(), own.path()).await?;
    let mut model = Model::default();
    done(&services, &mut model, &small("a.csv")).await?;
    let filled = catalog.root().join("others");
    let _ = std::fs::write(&filled, vec![0; 8 << 20]);
    for operation in [
        small("b.csv"),
        large("c.csv"),
        Operation::Delete("a.csv".to_owned()),
    ] {
        let answer = operation.ask(&services).await;
        ensure!(answer.is_err(), "{operation:?} was acknowledged");
    }
    ensure!(services.shown("a.csv")?.is_some() && services.shown("b.csv")?.is_none());
    std::fs::remove_file(&filled)?;
    for operation in [
        small("b.csv"),
        large("c.csv"),
        Operation::Delete("a.csv".to_owned()),
    ] {
        done(&services, &mut model, &operation).await?;
    }
    model.check(&services).await
}

#[tokio::test]
async fn after_an_fsync_that_failed_the_upload_is_over_and_the_disk_waits_for_its_operator()
-> Result<()> {
    if !has("after_an_fsync_that_failed", "strace") {
        return Ok(());
    }
    let own = tempfile::tempdir()?;
    let disk = own.path().join("disk");
    let mut services = Services::start(&disk, own.path(), own.path()).await?;
    let mut model = Model::default();
    done(&services, &mut model, &small("a.csv")).await?;
    let upload = Upload::new("b.csv", vec![b'l'; LARGE]);
    let stage = disk.join(".portcullis/stages").join(upload.id.to_string());
    let mut failing = inject(&services, &stage, "fsync,fdatasync:error=EIO").await?;
    let operation = Operation::Large(upload);
    refused(&services, &operation, &[StoreError::StorageFailed]).await?;
    failing.kill()?;
    failing.wait()?;
    services.server.kill().await?;
    services.server.start_again().await?;
    model.check(&services).await?;
    done(&services, &mut model, &large("b.csv")).await?;
    model.check(&services).await
}

/// Has calls on a file fail. Waits until that is so.
async fn inject(services: &Services, path: &Path, what: &str) -> Result<std::process::Child> {
    let (calls, _) = what.split_once(':').context("says no calls")?;
    let log = tempfile::NamedTempFile::new()?;
    let strace = Command::new("strace")
        .args(["-f", "-p", &services.server.pid()?.to_string(), "-e"])
        .arg(format!("trace={calls}"))
        .arg("-P")
        .arg(path)
        .args(["-e", &format!("inject={what}"), "-o", "/dev/null"])
        .stderr(Stdio::from(log.reopen()?))
        .spawn()?;
    until("strace does not attach", || {
        Ok(std::fs::read_to_string(log.path())?.contains("attached"))
    })
    .await?;
    Ok(strace)
}

#[tokio::test]
async fn a_disk_that_stalls_is_told_within_the_time_of_a_call_and_goes_on_without_a_loss()
-> Result<()> {
    if !is_possible("a_disk_that_stalls") || !has("a_disk_that_stalls", "fsfreeze") {
        return Ok(());
    }
    let (disk, own) = (Mount::ext4(64 << 20, None)?, tempfile::tempdir()?);
    let mut services = Services::start(disk.root(), own.path(), own.path()).await?;
    services.patience(HopSettings {
        call_timeout: Duration::from_secs(2),
        commit_timeout: Duration::from_secs(2),
        ..HopSettings::default()
    })?;
    let mut model = Model::default();
    done(&services, &mut model, &small("a.csv")).await?;
    disk.freeze(true)?;
    let operation = small("b.csv");
    let stalled = refused(&services, &operation, &[StoreError::Timeout]).await;
    disk.freeze(false)?;
    stalled?;
    // The same call again has the answer of the first.
    done(&services, &mut model, &operation).await?;
    done(&services, &mut model, &large("c.csv")).await?;
    model.check(&services).await
}

#[tokio::test]
async fn a_disk_that_turns_read_only_is_read_and_takes_nothing() -> Result<()> {
    if !is_possible("a_disk_that_turns_read_only") {
        return Ok(());
    }
    let (disk, own) = (Mount::ext4(64 << 20, None)?, tempfile::tempdir()?);
    let mut services = Services::start(disk.root(), own.path(), own.path()).await?;
    let mut model = Model::default();
    done(&services, &mut model, &small("a.csv")).await?;
    disk.again("ro")?;
    ensure!(services.read("a.csv").await? == [b's'; SMALL]);
    for operation in [
        small("b.csv"),
        large("c.csv"),
        Operation::Delete("a.csv".to_owned()),
    ] {
        let answer = operation.ask(&services).await;
        ensure!(answer.is_err(), "{operation:?} was acknowledged");
    }
    disk.again("rw")?;
    services.server.stop().await?;
    services.server.start_again().await?;
    for operation in [small("b.csv"), large("c.csv")] {
        done(&services, &mut model, &operation).await?;
    }
    model.happened_or_not(&services, "a.csv", None)?;
    model.check(&services).await
}

#[tokio::test]
async fn power_that_is_lost_at_any_step_takes_nothing_that_was_acknowledged() -> Result<()> {
    let test = "power_that_is_lost_at_any_step";
    if !is_possible(test) || !has(test, "python3") {
        return Ok(());
    }
    let (disk, own) = (Mount::ext4(512 << 20, None)?, tempfile::tempdir()?);
    let (root, catalog) = (disk.root().join("disk"), disk.root().join("catalog"));
    std::fs::create_dir(&catalog)?;
    let mut services = Services::start(&root, &catalog, own.path()).await?;
    let mut model = Model::default();
    for point in sample(CrashPoint::ALL, SAMPLE) {
        let point = point.as_str();
        let died = go_through(&mut services, &mut model, point, || disk.lose_power());
        ensure!(
            died.await.with_context(|| point.to_owned())?,
            "nothing reaches {point}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_catalog_whose_log_was_cut_off_harms_no_file_and_the_audit_tells() -> Result<()> {
    // The last byte, half of it, all of it.
    for left in [|len: u64| len - 1, |len| len / 2, |_| 0] {
        let own = tempfile::tempdir()?;
        let disk = own.path().join("disk");
        let mut services = Services::start(&disk, own.path(), own.path()).await?;
        for path in ["a.csv", "b.csv"] {
            small(path).ask(&services).await?;
        }
        let kept = own.path().join("kept");
        std::fs::write(&kept, services.audit_checkpoint().await?)?;
        small("c.csv").ask(&services).await?;
        services.server.kill().await?;
        let log = own.path().join("catalog.sqlite-wal");
        let log = std::fs::File::options().write(true).open(log)?;
        let before = log.metadata()?.len();
        log.set_len(left(before))?;
        services.server.start_again().await?;
        // What the catalog forgot is still there, for whoever mends it.
        for path in ["a.csv", "b.csv", "c.csv"] {
            ensure!(services.shown(path)? == Some(vec![b's'; SMALL]), "{path}");
        }
        let kept = kept.display().to_string();
        let verified = services.command("audit", &["verify", "--checkpoint", &kept])?;
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        let forgot = services.listed("include_metadata=true").await?.len() < 2;
        ensure!(verified.status.success() != forgot, "{said}");
        ensure!(!forgot || said.contains("missing"), "{said}");
        small("new.csv").ask(&services).await?;
    }
    Ok(())
}
