//! Measures policies in this process, beside what they are to be compared with in the same minutes. Prints one
//! figure on each line: what, measured, beside, ratio, wanted, with tabs between. `cargo xtask bench` runs it
//! and makes the table.
//!
//!     portcullis-bench COMPONENTS GUESTS [table|standard|admission|neighbours|reloads|suspensions]...
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its results are its output")]

mod admission;
mod figure;
mod neighbours;
mod reloads;
mod sandbox;
mod standard;
mod suspensions;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = |what: &str| {
        arguments
            .next()
            .with_context(|| format!("no {what} folder"))
    };
    let sandbox = sandbox::Sandbox::new(&next("component")?, &next("guest")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // These parts alone, for whoever works on them; all of them without a name.
    let only: Vec<String> = std::env::args().skip(3).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|only| only == part);
    let mut figures = Vec::new();
    if wanted("table") {
        figures.extend(runtime.block_on(table::measure(&sandbox))?);
    }
    if wanted("standard") {
        figures.extend(runtime.block_on(standard::measure(&sandbox))?);
    }
    if wanted("admission") {
        figures.extend(runtime.block_on(admission::measure(&sandbox))?);
    }
    if wanted("neighbours") {
        figures.extend(runtime.block_on(neighbours::measure(&sandbox))?);
    }
    if wanted("reloads") {
        figures.extend(runtime.block_on(reloads::measure(&sandbox))?);
    }
    if wanted("suspensions") {
        figures.extend(runtime.block_on(suspensions::measure(&sandbox))?);
    }
    for figure in figures {
        println!("{figure}");
    }
    Ok(())
}
