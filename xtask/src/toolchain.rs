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

/// Makes sure that there is a Node.js that builds the front end: what `engines` in its package.json says.
pub(crate) fn node() -> Result<()> {
    const OLDEST: (u32, u32) = (20, 19);
    let advice = "install it from your distribution or https://nodejs.org";
    let (major, minor) = OLDEST;
    let Some(version) = answer("node", &["--version"]) else {
        bail!("Node.js {major}.{minor} or newer is missing; {advice}");
    };
    let numbers = version.trim_start_matches('v').split('.');
    let mut numbers = numbers.map_while(|part| part.parse().ok());
    let found: Option<(u32, u32)> = numbers.next().zip(numbers.next());
    if found.is_none_or(|found| found < OLDEST) {
        bail!("Node.js {major}.{minor} or newer is needed and {version} is here; {advice}");
    }
    if answer("npm", &["--version"]).is_none() {
        bail!(
            "npm is missing; it comes with Node.js, or as the package `npm` of your distribution"
        );
    }
    Ok(())
}

/// The server that the bench compares with. On Debian it lies where only root looks.
#[cfg(feature = "full")]
pub(crate) fn nginx() -> Option<&'static str> {
    // nginx says its version on standard error, so that only its exit code counts here.
    ["nginx", "/usr/sbin/nginx"]
        .into_iter()
        .find(|program| answer(program, &["-v"]).is_some())
}

/// The browser that tests of the page are run in.
pub(crate) fn chromium() -> Result<String> {
    let set = std::env::var("CHROMIUM").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let mut candidates = set.into_iter().chain(usual);
    let found = candidates.find(|program| answer(program, &["--version"]).is_some());
    let Some(found) = found else {
        bail!(
            "there is no Chromium; install it from your distribution (Debian: apt install chromium), or set CHROMIUM to its program"
        );
    };
    // The tests start it by its path.
    Ok(answer("which", &[&found]).unwrap_or(found))
}

/// Makes sure that there are a C compiler and make: the catalog's database and the allocator are compiled from C.
pub(crate) fn c_compiler() -> Result<()> {
    let set = std::env::var("CC").ok();
    let usual = ["cc", "gcc", "clang"].map(str::to_owned);
    let mut candidates = set.into_iter().chain(usual);
    let has_compiler = candidates.any(|program| answer(&program, &["--version"]).is_some());
    let has_make = ["make", "gmake"].map(|program| answer(program, &["--version"]));
    let missing = match (has_compiler, has_make.iter().any(Option::is_some)) {
        (true, true) => return Ok(()),
        (false, _) => "C compiler, which the catalog's database is built with",
        (true, false) => "make, which the allocator is built with",
    };
    bail!(
        "there is no {missing}; install it (Debian: apt install gcc libc6-dev make, Fedora: dnf install gcc make, macOS: \
         xcode-select --install) and run this again"
    )
}

/// Makes sure that a build has room.
pub(crate) fn disk_space(folder: &Path, needed_bytes: u64) -> Result<()> {
    // Where `df` cannot tell, the build itself will.
    let Some(told) = answer("df", &["-Pk", &folder.to_string_lossy()]) else {
        return Ok(());
    };
    let available = told
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3));
    let kib = available.and_then(|text| text.parse::<u64>().ok());
    match kib.map(|kib| kib * 1024) {
        Some(bytes) if bytes < needed_bytes => bail!(
            "there are {} MB free at {} and a first build needs {}; make room, or set CARGO_TARGET_DIR to a folder on another disk",
            bytes / 1_000_000,
            folder.display(),
            needed_bytes / 1_000_000,
        ),
        _ => Ok(()),
    }
}
