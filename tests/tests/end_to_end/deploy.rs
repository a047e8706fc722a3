//! The units under `deploy/systemd` fit the servers that they start, and let them do no more than they must.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const ROLES: [&str; 2] = ["web", "services"];
/// The most that `systemd-analyze security` may find, in tenths: 0 is what can do nothing, 100 what may do everything.
const MOST_EXPOSURE: u32 = 15;

fn deploy(file: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.join("../deploy").join(file)
}

fn unit(role: &str) -> Result<(PathBuf, String)> {
    let path = deploy(&format!("systemd/portcullis-{role}.service"));
    let text = std::fs::read_to_string(&path)?;
    Ok((path, text))
}

/// The value of the first assignment of a key.
fn value<'a>(text: &'a str, key: &str) -> Result<&'a str> {
    let mut assignments = text.lines().filter_map(|line| line.split_once('='));
    let found = assignments.find(|(name, _)| name.trim() == key);
    let (_, value) = found.with_context(|| format!("{key} is not set"))?;
    Ok(value.trim())
}

#[test]
fn units_start_what_the_archives_hold_and_read_what_the_guide_makes() -> Result<()> {
    for role in ROLES {
        let (_, unit) = unit(role)?;
        let program = format!("/opt/portcullis/{role}/bin/portcullis-{role}");
        ensure!(value(&unit, "ExecStart")? == program);
        ensure!(value(&unit, "Type")? == "notify");
        let file = format!("/etc/portcullis/{role}.env");
        ensure!(value(&unit, "EnvironmentFile")? == file);
        let variables = std::fs::read_to_string(deploy(&format!("{role}.env")))?;
        ensure!(value(&variables, "SERVER_ROLE")? == role);
        let key = value(&unit, "LoadCredential")?;
        ensure!(key == "internal-api-key:/etc/portcullis/internal-api-key");
        ensure!(value(&unit, "Environment")? == "INTERNAL_API_KEY_FILE=%d/internal-api-key");
        // What is under way has its time before systemd loses patience.
        let example = std::fs::read_to_string(deploy(&format!("{role}.example.toml")))?;
        let drain: u32 = value(&example, "drain-seconds")?.parse()?;
        let patience: u32 = value(&unit, "TimeoutStopSec")?.parse()?;
        ensure!(patience >= drain + 10, "{role}: {patience} s");
        let guide = std::fs::read_to_string(deploy("../docs/operating.md"))?;
        for path in [
            key.split_once(':').context("has a path")?.1,
            "/opt/portcullis",
        ] {
            ensure!(guide.contains(path), "the guide does not make {path}");
        }
    }
    Ok(())
}

/// What was found when the units were tried on machines with systemd.
#[test]
fn units_leave_their_servers_what_they_need() -> Result<()> {
    let (_, services) = unit("services")?;
    // It makes openat2(2) unavailable, as its argument cannot be looked into.
    ensure!(value(&services, "RestrictSUIDSGID").is_err());
    let (_, web) = unit("web")?;
    for (key, why) in [
        (
            "MemoryDenyWriteExecute",
            "policies are compiled into memory",
        ),
        (
            "LimitFSIZE",
            "what policies begin with lies in a memfd, which counts as a file",
        ),
    ] {
        ensure!(value(&web, key).is_err(), "{key}: {why}");
    }
    Ok(())
}

#[test]
fn units_let_their_servers_do_little() -> Result<()> {
    let found = Command::new("systemd-analyze").arg("--version").output();
    // Straight to the terminal: it is to be read when all is well, too.
    let mut terminal = std::io::stderr();
    if !found.is_ok_and(|output| output.status.success()) {
        writeln!(
            terminal,
            "skipped: units_let_their_servers_do_little, there is no systemd-analyze"
        )?;
        return Ok(());
    }
    for role in ROLES {
        let (path, _) = unit(role)?;
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={MOST_EXPOSURE}"))
            .arg(&path)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let score = said.lines().find(|line| line.contains("exposure level"));
        writeln!(terminal, "{}", score.context("it gives no score")?.trim())?;
        ensure!(output.status.success(), "{said}");
    }
    Ok(())
}
