//! The yardstick: `@tus/server` with its file store, in one hop. It neither judges nor hashes, nor waits for the disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Table;
use super::client::Upload;
use crate::bench::connection::Connection;
use crate::bench::server::{Server, listening};
use crate::workspace::Workspace;
use crate::{npm, toolchain};

/// Where it is, and where it takes uploads.
const FOLDER: &str = "tests/bench/tus-server";
const COLLECTION: &str = "/files";

/// The server.
pub(super) struct TusServer {
    server: Server,
    disk: PathBuf,
}

/// How long one upload took, in seconds.
pub(super) struct Taken {
    /// Until the answer.
    pub(super) answered: f64,
    /// Until the file would outlive a loss of power.
    pub(super) durable: f64,
}

impl TusServer {
    pub(super) fn start(workspace: &Workspace, disk: &Path) -> Result<Self> {
        toolchain::node()?;
        let folder = workspace.root.join(FOLDER);
        npm::install(&folder)?;
        fs::create_dir_all(disk)?;
        let mut node = Command::new("node");
        node.current_dir(folder).arg("server.mjs").arg(disk);
        Ok(Self {
            server: listening(&mut node)?,
            disk: disk.to_owned(),
        })
    }

    /// One upload in one `PATCH`.
    pub(super) fn take(&self, table: &Table) -> Result<Taken> {
        let mut connection = Connection::to(self.server.address)?;
        let upload = Upload::create(&mut connection, COLLECTION, "bench.csv", table)?;
        let started = Instant::now();
        let answer = upload.append(&mut connection, 0, &table.bytes)?;
        let answered = started.elapsed().as_secs_f64();
        ensure!(answer == 204, "@tus/server answered {answer}");
        let mut durable = None;
        for entry in fs::read_dir(&self.disk)? {
            let file = entry?.path();
            if fs::metadata(&file)?.len() == table.bytes.len() as u64 {
                File::open(&file)?.sync_all()?;
                durable = Some(started.elapsed().as_secs_f64());
            }
            fs::remove_file(file)?;
        }
        let durable = durable.context("@tus/server did not store the upload")?;
        Ok(Taken { answered, durable })
    }
}
