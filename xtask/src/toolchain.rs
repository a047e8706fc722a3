//! What a machine needs beside cargo, and the sentence that says how to get it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, answer, run, say};

/// What policies are compiled to.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// Makes sure that cargo can compile policies. With rustup the target is part of the pinned toolchain
/// and normally there; an older checkout may lack it.
pub(crate) fn guest_target(workspace: &Workspace) -> Result<()> {
    let installed = || {
        let library = answer(
            "rustc",
            &["--print", "target-libdir", "--target", GUEST_TARGET],
        );
        library.is_some_and(|library| Path::new(&library).is_dir())
    };
    if installed() {
        return Ok(());
    }
    if answer("rustup", &["--version"]).is_none() {
        bail!(
            "this Rust has no standard library for {GUEST_TARGET}, which policies are compiled to; \
             install Rust with rustup (https://rustup.rs) and run this again"
        );
    }
    say(format!(
        "installing the target {GUEST_TARGET} into the pinned toolchain"
    ));
    let mut rustup = std::process::Command::new("rustup");
    run(rustup
        .current_dir(&workspace.root)
        .args(["target", "add", GUEST_TARGET]))
}
