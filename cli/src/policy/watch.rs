//! `portcullis policy test --watch`: again after each change.

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecursiveMode, Watcher};

use crate::policy::test::{Arguments, once};
use crate::screen::{BAD, DIM, styled};

/// How long nothing may change before everything is run: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// Runs everything now and after each change, until the process is ended.
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (tell, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| counts(&event)) {
            // Nobody listens any more when the process ends.
            let _ = tell.send(());
        }
    })
    .context("files cannot be watched here")?;
    let mut watch = |path: &Path, mode| {
        let watched = watcher.watch(path, mode);
        watched.with_context(|| format!("{} cannot be watched", path.display()))
    };
    watch(&arguments.fixtures(), RecursiveMode::Recursive)?;
    if let Some(component) = arguments.file() {
        // Its folder: whoever builds it anew replaces it.
        let folder = component
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        watch(
            folder.unwrap_or(Path::new(".")),
            RecursiveMode::NonRecursive,
        )?;
    } else {
        watch(&arguments.path.join("src"), RecursiveMode::Recursive)?;
        watch(
            &arguments.path.join("Cargo.toml"),
            RecursiveMode::NonRecursive,
        )?;
    }
    loop {
        if let Err(error) = once(arguments).await {
            anstream::println!("{} {error:#}", styled(BAD, "error"));
        }
        anstream::println!("{}", styled(DIM, "waiting for a change; Ctrl-C ends this"));
        if !changed(&changes) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Whether an event is a change, and not somebody who reads.
fn counts(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(_))
}

/// Waits for a change and for its end; false where there will be none any more.
fn changed(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    loop {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
