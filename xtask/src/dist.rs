//! `cargo xtask dist`: one archive for each server, the same bytes whoever makes it from the same commit.

mod archive;
mod layout;
mod sbom;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use sha2::{Digest, Sha256};

use self::archive::Entry;
use self::layout::{ROLES, Role};
use self::sbom::Crates;
use crate::guests;
use crate::reproducible::without_paths;
use crate::toolchain;
use crate::workspace::{Workspace, answer, run as run_command, say, show};

/// What the archives are for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The bill of materials of an archive.
const BILL: &str = "sbom.cdx.json";
/// The digests of what lies beside this file, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";
/// What a release build needs on the disk, in bytes.
const BUILD_BYTES: u64 = 3 << 30;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder for the archives. Default: `dist` in the target folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Also from a work tree with changes that are not committed; the archives say so.
    #[arg(long)]
    modified: bool,
    /// Make everything a second time, from a clone in another folder, and compare.
    #[arg(long, conflicts_with_all = ["modified", "debug"])]
    verify: bool,
    /// Put the programs of the development build into the archives: only to try the archives out.
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let source = match Source::of(workspace, arguments.modified || arguments.debug) {
        // An export of the files has no history, and can be tried all the same.
        Err(_) if arguments.debug => Source::unknown(),
        source => source?,
    };
    let out = arguments.out.clone();
    let out = out.unwrap_or_else(|| workspace.target.join("dist"));
    fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    guests::build(workspace)?;
    let binaries = if arguments.debug {
        workspace.build(&["--bins"])?;
        workspace.target.join("debug")
    } else {
        build(workspace, &source)?
    };
    // What is thrown away need not be small, and an unoptimised program takes minutes to make it so.
    let compression = if arguments.debug {
        Compression::none()
    } else {
        Compression::best()
    };
    let sums = pack(workspace, &source, &binaries, compression, &out)?;
    show(sums.trim());
    trial::run(&source, &out)?;
    if arguments.verify {
        verify(workspace, &source, &sums)?;
    }
    Ok(())
}

/// What the archives are made from.
struct Source {
    /// The commit, and whether there is more than it.
    commit: String,
    /// When it was made, in seconds since 1970: the time of everything in the archives.
    time: u64,
}

impl Source {
    fn of(workspace: &Workspace, may_be_modified: bool) -> Result<Self> {
        let root = workspace.root.to_string_lossy();
        let git = |arguments: &[&str]| {
            let all: Vec<&str> = ["-C", &root].iter().chain(arguments).copied().collect();
            answer("git", &all).context("git cannot tell which commit this is")
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        let time = git(&["log", "-1", "--format=%ct"])?.parse()?;
        let is_modified = !git(&["status", "--porcelain"])?.is_empty();
        if is_modified && !may_be_modified {
            bail!(
                "there are changes that are not committed, so no commit would say what the archives are made from; commit them, or say --modified"
            );
        }
        let commit = if is_modified {
            format!("{commit}-modified")
        } else {
            commit
        };
        Ok(Self { commit, time })
    }

    fn unknown() -> Self {
        Self {
            commit: "unknown".to_owned(),
            time: 0,
        }
    }

    /// What the archive of a role is called, without its ending.
    fn name(&self, role: &Role) -> String {
        let machine = TARGET.split('-').next().unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "portcullis-{}-{version}-{}-{machine}",
            role.name, self.commit
        )
    }
}

/// What is only in programs that tests may kill at a step of their choice.
const FOR_TESTS: &[u8] = b"PORTCULLIS_CRASH_AT";

/// Builds the programs of all roles as they are shipped. Says where they are.
fn build(workspace: &Workspace, source: &Source) -> Result<PathBuf> {
    let mut command = workspace.cargo(["build", "--locked", "--release", "--bins"]);
    for role in ROLES {
        for program in role.programs {
            command.args(["--package", program]);
        }
    }
    let target = without_paths(&mut command, workspace)?;
    if !target.join("release").is_dir() {
        toolchain::disk_space(&workspace.root, BUILD_BYTES)?;
    }
    command
        .env("PORTCULLIS_COMMIT", &source.commit)
        .env("SOURCE_DATE_EPOCH", source.time.to_string());
    run_command(&mut command)?;
    let shipped = target.join("shipped");
    fs::create_dir_all(&shipped).with_context(|| shipped.display().to_string())?;
    for program in ROLES.iter().flat_map(|role| role.programs) {
        ship(
            &target.join("release").join(program),
            &shipped.join(program),
        )?;
    }
    Ok(shipped)
}

/// What is shipped of a program. Link-time optimisation gives what it takes from one module into another a name with a
/// hash of the module, which depends on where its sources lie; and the linker makes an id of everything, those names
/// included. Neither changes what the program does.
fn ship(program: &Path, shipped: &Path) -> Result<()> {
    let mut objcopy = Command::new("objcopy");
    objcopy
        .args(["--wildcard", "--strip-symbol=*.llvm.*"])
        .arg("--remove-section=.note.gnu.build-id")
        .args([program, shipped]);
    run_command(&mut objcopy)?;
    let shipped = fs::read(shipped).with_context(|| shipped.display().to_string())?;
    let is_there = shipped
        .windows(FOR_TESTS.len())
        .any(|bytes| bytes == FOR_TESTS);
    ensure!(
        !is_there,
        "{} can be killed by a test; it is a debug build",
        program.display()
    );
    Ok(())
}

/// Makes the archive of each role and the digests of all of them, which are given back.
fn pack(
    workspace: &Workspace,
    source: &Source,
    binaries: &Path,
    compression: Compression,
    out: &Path,
) -> Result<String> {
    let crates = Crates::of(workspace, TARGET)?;
    let policies = workspace.packages_in("plugins/standard");
    let mut sums = String::new();
    for role in ROLES {
        let mut entries = role.entries(workspace, binaries)?;
        let made_of = role.programs.iter().copied();
        let made_of: Vec<&str> = made_of.chain(policies.iter().map(String::as_str)).collect();
        let bill = crates.bill(role.name, &made_of)?;
        entries.push(Entry {
            name: BILL.to_owned(),
            content: bill.clone(),
            executable: false,
        });
        entries.push(listed(&entries));
        let name = source.name(&role);
        let archive = out.join(format!("{name}.tar.gz"));
        archive::write(&archive, &name, entries, source.time, compression)?;
        let beside = out.join(format!("{name}.{BILL}"));
        fs::write(&beside, bill).with_context(|| beside.display().to_string())?;
        for path in [archive, beside] {
            let content = fs::read(&path).with_context(|| path.display().to_string())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            sums.push_str(&sum(&content, &name));
            say(format!("{} ({} KiB)", path.display(), content.len() / 1024));
        }
    }
    let path = out.join(SUMS);
    fs::write(&path, &sums).with_context(|| path.display().to_string())?;
    Ok(sums)
}

/// The digests of what an archive holds.
fn listed(entries: &[Entry]) -> Entry {
    let mut lines: Vec<String> = entries
        .iter()
        .map(|entry| sum(&entry.content, &entry.name))
        .collect();
    lines.sort();
    Entry {
        name: SUMS.to_owned(),
        content: lines.concat().into_bytes(),
        executable: false,
    }
}

/// A line as `sha256sum` writes it.
fn sum(content: &[u8], name: &str) -> String {
    format!("{}  {name}\n", hex::encode(Sha256::digest(content)))
}

/// Makes the archives again from a clone in a folder of another name: they must be the same, byte by byte.
fn verify(workspace: &Workspace, source: &Source, sums: &str) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("portcullis-dist-")
        .tempdir_in(&workspace.target)?;
    let clone = folder.path().join("clone");
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-hardlinks"])
        .arg(&workspace.root)
        .arg(&clone);
    run_command(&mut git)?;
    let out = folder.path().join("archives");
    let mut again = Command::new("cargo");
    again
        .current_dir(&clone)
        .env_remove("CARGO_MANIFEST_DIR")
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .args(["xtask", "dist", "--out"])
        .arg(&out);
    run_command(&mut again)?;
    let others = fs::read_to_string(out.join(SUMS))?;
    ensure!(
        sums == others,
        "the second build of {} is another one:\n{sums}\n{others}",
        source.commit
    );
    show("the same, made again from a clone in another folder");
    Ok(())
}
