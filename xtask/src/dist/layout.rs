//! What lies in the archive of each role.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::archive::Entry;
use crate::guests;
use crate::workspace::Workspace;

/// A server that is installed on a machine of its own.
#[derive(Clone, Copy)]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its programs.
    pub(crate) programs: &'static [&'static str],
}

/// All roles.
pub(crate) const ROLES: [Role; 2] = [
    Role {
        name: "web",
        programs: &["portcullis-web", "portcullis"],
    },
    Role {
        name: "services",
        programs: &["portcullis-services", "portcullis"],
    },
];

impl Role {
    /// The files of the archive but for those that describe it. Programs are taken from `binaries`.
    pub(crate) fn entries(&self, workspace: &Workspace, binaries: &Path) -> Result<Vec<Entry>> {
        let name = self.name;
        let root = |path: &str| workspace.root.join(path);
        let mut entries = Vec::new();
        for program in self.programs {
            let program = read(&binaries.join(program), &format!("bin/{program}"))?;
            entries.push(Entry {
                executable: true,
                ..program
            });
        }
        for (from, to) in [
            (
                format!("deploy/{name}.example.toml"),
                format!("etc/{name}.toml"),
            ),
            (format!("deploy/{name}.env"), format!("etc/{name}.env")),
            (
                format!("deploy/systemd/portcullis-{name}.service"),
                format!("systemd/portcullis-{name}.service"),
            ),
            (
                "deploy/systemd/portcullis.sysusers.conf".to_owned(),
                "systemd/portcullis.sysusers.conf".to_owned(),
            ),
            (
                format!("deploy/containers/{name}.Containerfile"),
                format!("containers/{name}.Containerfile"),
            ),
            (
                "deploy/containers/compose.yaml".to_owned(),
                "containers/compose.yaml".to_owned(),
            ),
        ] {
            entries.push(read(&root(&from), &to)?);
        }
        for path in ["CHANGELOG.md", "policies/policies.toml"] {
            entries.push(read(&root(path), path)?);
        }
        for path in [
            "docs/audit.md",
            "docs/changing-policies.md",
            "docs/logs.md",
            "docs/metrics.md",
            "docs/operating.md",
            "docs/policies.md",
            "docs/runbooks.md",
        ] {
            entries.push(read(&root(path), path)?);
        }
        for folder in ["policies/definitions", "docs/policies"] {
            entries.extend(tree(&root(folder), folder)?);
        }
        entries.extend(tree(&root("deploy/observability"), "observability")?);
        for component in guests::standard(workspace) {
            let path = format!("{}/{component}", guests::STANDARD_FOLDER);
            entries.push(read(&root(&path), &path)?);
        }
        Ok(entries)
    }
}

fn read(path: &Path, name: &str) -> Result<Entry> {
    let content = std::fs::read(path).with_context(|| format!("{} is missing", path.display()))?;
    Ok(Entry {
        name: name.to_owned(),
        content,
        executable: false,
    })
}

/// All files beneath a folder.
fn tree(folder: &Path, name: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let found = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    for entry in found {
        let path: PathBuf = entry?.path();
        let own = path.file_name().unwrap_or_default();
        let name = format!("{name}/{}", own.to_string_lossy());
        if path.is_dir() {
            entries.extend(tree(&path, &name)?);
        } else {
            entries.push(read(&path, &name)?);
        }
    }
    Ok(entries)
}
