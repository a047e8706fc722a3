//! The archives as somebody has them who has nothing else: unpacked, checked, started, asked by the doctor, used once.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::layout::{ROLES, Role};
use super::{SUMS, Source};
use crate::bench::client::{self, Request};
use crate::bench::server::{Server, listening};
use crate::workspace::show;

/// What is uploaded: a table that the policies that ship let pass.
const TABLE: &[u8] = include_bytes!("../../../tests/samples/patient.csv");

/// On any free port.
const ANYWHERE: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// Tries the archives of all roles in `out`.
pub(super) fn run(source: &Source, out: &Path) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("portcullis-trial-")
        .tempdir()?;
    let folder = folder.path();
    let [web, services] = &ROLES;
    let pair = Pair {
        web: unpack(source, web, out, folder)?,
        services: unpack(source, services, out, folder)?,
        folder: folder.to_owned(),
    };
    pair.use_once()
}

/// Unpacks an archive, makes sure that it holds what it says, and says where it lies.
fn unpack(source: &Source, role: &Role, out: &Path, folder: &Path) -> Result<PathBuf> {
    let name = source.name(role);
    let path = out.join(format!("{name}.tar.gz"));
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    tar::Archive::new(GzDecoder::new(file)).unpack(folder)?;
    let root = folder.join(&name);
    let sums = fs::read_to_string(root.join(SUMS))?;
    for line in sums.lines() {
        let (digest, file) = line.split_once("  ").context("a line has two parts")?;
        let content = fs::read(root.join(file)).with_context(|| file.to_owned())?;
        let found = hex::encode(Sha256::digest(content));
        ensure!(found == digest, "{name}: {file} is not what {SUMS} says");
    }
    for program in role.programs {
        let output = Command::new(root.join("bin").join(program))
            .arg("--version")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{program} does not run: {output:?}"
        );
        show(said.trim());
    }
    Ok(root)
}

/// Both archives, unpacked beside each other.
struct Pair {
    web: PathBuf,
    services: PathBuf,
    /// For what servers are given on their machines.
    folder: PathBuf,
}

impl Pair {
    /// Starts both with the configuration that ships, stores a file, and asks the doctor.
    fn use_once(&self) -> Result<()> {
        let disk = self.folder.join("nas");
        fs::create_dir(&disk)?;
        let key = self.folder.join("internal-api-key");
        fs::write(&key, hex::encode(Sha256::digest(TABLE)))?;
        fs::set_permissions(&key, Permissions::from_mode(0o640))?;

        let token = said(self.services().args(["token", "add", "--subject", "trial"]))?;
        let services = listening(self.services().args(ANYWHERE))?;
        let web = listening(self.web(&services).args(ANYWHERE))?;
        let authorization = format!("Bearer {}", token.trim());
        let request = Request {
            method: "POST",
            target: "/uploads?cohort=c1&table=patient&protocol_year=2024",
            headers: &[
                (
                    "Content-Disposition",
                    "attachment; filename=\"patient.csv\"",
                ),
                ("Content-Type", "text/csv"),
                ("Authorization", &authorization),
            ],
        };
        client::send(web.address, &request, TABLE)?;
        let stored = fs::read(disk.join("submissions/c1/2024/patient/patient.csv"))?;
        ensure!(stored == TABLE, "what is stored is not what was sent");
        for (mut doctor, server) in [(self.services(), &services), (self.web(&services), &web)] {
            let address = server.address.to_string();
            show(said(doctor.args(["doctor", "--listen", &address]))?.trim());
        }
        Ok(())
    }

    fn services(&self) -> Command {
        let disk = self.folder.join("nas").display().to_string();
        let mut command = self.bare(&self.services, "services");
        command
            .env(
                "STORAGE_CONFIG",
                format!(r#"{{"local":{{"type":"local","root":{disk:?}}}}}"#),
            )
            .arg("--catalog")
            .arg(self.folder.join("catalog.sqlite"));
        command
    }

    fn web(&self, services: &Server) -> Command {
        let mut command = self.bare(&self.web, "web");
        command
            .env("SERVICES_URL", format!("http://{}", services.address))
            .arg("--policies")
            .arg(self.web.join("policies/policies.toml"));
        command
    }

    /// A server with nothing of this process's surroundings.
    fn bare(&self, root: &Path, role: &str) -> Command {
        let mut command = Command::new(root.join(format!("bin/portcullis-{role}")));
        command
            .env_clear()
            .current_dir(&self.folder)
            .env("SERVER_ROLE", role)
            .env(
                "INTERNAL_API_KEY_FILE",
                self.folder.join("internal-api-key"),
            )
            .arg("--config")
            .arg(root.join(format!("etc/{role}.toml")));
        command
    }
}

/// What a program that ends well says.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}{failed}");
    Ok(said)
}
