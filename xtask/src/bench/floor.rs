//! What the machine can do at best: the disk and the hash without any server.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::bench::clients::by_clients;

/// How much is written and hashed at once.
const BLOCK_BYTES: usize = 256 << 10;

/// The seconds for writing so many bytes to a new file, and for making them durable too.
pub(crate) fn write(storage: &Path, bytes: u64) -> Result<(f64, f64)> {
    let path = storage.join("floor");
    let block = vec![b'x'; BLOCK_BYTES];
    let started = Instant::now();
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    for _ in 0..bytes / BLOCK_BYTES as u64 {
        file.write_all(&block)?;
    }
    let written = started.elapsed().as_secs_f64();
    file.sync_all()?;
    let durable = started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok((written, durable))
}

/// The seconds for writing so many small files to a new folder by several threads, each file durable before its thread
/// writes the next. The files stay.
pub(crate) fn write_small(folder: &Path, files: usize, bytes: u64) -> Result<f64> {
    fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    let block = vec![b'x'; usize::try_from(bytes)?];
    by_clients(files, |client, own| {
        for number in own {
            let mut file = File::create_new(folder.join(format!("{client}-{number}")))?;
            file.write_all(&block)?;
            file.sync_all()?;
        }
        Ok(())
    })
}

/// The seconds for hashing so many bytes.
pub(crate) fn sha256(bytes: u64) -> f64 {
    let block = vec![b'x'; BLOCK_BYTES];
    let started = Instant::now();
    let mut hasher = Sha256::new();
    for _ in 0..bytes / BLOCK_BYTES as u64 {
        hasher.update(&block);
    }
    std::hint::black_box(hasher.finalize());
    started.elapsed().as_secs_f64()
}
