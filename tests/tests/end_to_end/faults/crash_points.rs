//! `kill -9` at every named step between the first byte and the answer.

use anyhow::{Context, Result, ensure};
use portcullis_storage::CrashPoint;
use portcullis_tests::{LIMIT, sample};

use super::model::Model;
use super::operation::{Operation, Upload};
use super::services::Services;

/// At how many steps services are killed in every run, and lose power.
pub(super) const SAMPLE: usize = 4;
/// Large enough to come in several blocks.
const LARGE_BYTES: usize = 700_000;

/// All that can be done, so that each point is reached.
fn script(point: &str) -> Vec<Operation> {
    let path = |name: &str| format!("{point}/{name}");
    let bytes = |text: &str| format!("{point} {text}\n").into_bytes();
    let small = |name: &str, text: &str| Upload::new(&path(name), bytes(text));
    let large = |name: &str, text: &str| {
        let line = bytes(text);
        let lines = LARGE_BYTES / line.len();
        Upload::new(&path(name), line.repeat(lines))
    };
    let (released, discarded) = (
        large("apart.csv", "released"),
        large("gone.csv", "discarded"),
    );
    let second = small("a.csv", "second");
    let last = second.bytes.clone();
    vec![
        Operation::Small(small("a.csv", "first")),
        Operation::Small(second),
        Operation::Large(large("b.csv", "large")),
        Operation::Large(large("b.csv", "larger")),
        Operation::Cancelled(large("c.csv", "cancelled")),
        Operation::Quarantined(released.clone()),
        Operation::Release(released),
        Operation::Quarantined(discarded.clone()),
        Operation::Discard(discarded.id),
        Operation::Delete(path("a.csv")),
        Operation::Undelete(path("a.csv"), last),
        Operation::Purge(path("b.csv")),
    ]
}

#[tokio::test]
async fn killed_at_any_step_each_upload_is_whole_or_absent_and_everything_agrees() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk");
    let mut services = Services::start(&disk, folder.path(), folder.path()).await?;
    let mut model = Model::default();
    for point in sample(CrashPoint::ALL, SAMPLE) {
        let point = point.as_str();
        let died = go_through(&mut services, &mut model, point, || Ok(()));
        let died = died.await.with_context(|| point.to_owned())?;
        ensure!(died, "nothing that clients do reaches {point}");
    }
    Ok(())
}

/// Does everything once, with a death at this point, after which the world goes on as `afterwards` says. Says whether
/// there was one.
pub(super) async fn go_through(
    services: &mut Services,
    model: &mut Model,
    point: &str,
    afterwards: impl Fn() -> Result<()>,
) -> Result<bool> {
    let mut died = false;
    services.crash_at(Some(point))?;
    for operation in script(point) {
        // Whoever was not answered asks again.
        while let Err(error) = operation.ask(services).await {
            ensure!(
                !died,
                "{operation:?} fails although nothing dies any more: {error:?}"
            );
            died = true;
            tokio::time::timeout(LIMIT, services.server.wait())
                .await
                .with_context(|| format!("services live, and refuse {operation:?}: {error:?}"))??;
            services.crash_at(None)?;
            afterwards()?;
            services.server.start_again().await?;
            if let Some((path, bytes)) = operation.effect() {
                model.happened_or_not(services, path, bytes)?;
            }
            model
                .check(services)
                .await
                .with_context(|| format!("after a death within {operation:?}"))?;
        }
        if let Some((path, bytes)) = operation.effect() {
            model.set(path, bytes);
        }
    }
    model.check(services).await?;
    for own in ["stages", "links"] {
        ensure!(
            services.own(own)?.is_empty(),
            "{own}: {:?}",
            services.own(own)?
        );
    }
    Ok(died)
}
