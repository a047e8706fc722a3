//! The pages in `docs/policies`: what a component says of itself stands between two marks, and this writes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, say};

/// What stands around what is written.
const MARKS: (&str, &str) = ("<!-- describe -->\n", "<!-- /describe -->\n");

/// Brings every page up to date that has the marks; a standard policy without a page gets one.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    workspace.build(&["--bin", "portcullis"])?;
    for package in workspace.packages_in("plugins/standard") {
        let name = package.strip_prefix("portcullis-").unwrap_or(&package);
        let page = workspace.root.join(format!("docs/policies/{name}.md"));
        let component = workspace
            .root
            .join(format!("policies/components/{name}.wasm"));
        let said = said(&workspace.binary("portcullis"), &component)?;
        let present = fs::read_to_string(&page)
            .unwrap_or_else(|_| format!("# {name}\n\n{}{}", MARKS.0, MARKS.1));
        let Some(new) = replaced(&present, &said) else {
            continue;
        };
        if new != present || !page.exists() {
            fs::write(&page, new).with_context(|| page.display().to_string())?;
            say(format!("{}", page.display()));
        }
    }
    Ok(())
}

fn said(tool: &Path, component: &Path) -> Result<String> {
    let output = Command::new(tool)
        .args(["policy", "inspect", "--markdown"])
        .arg(component)
        .output()
        .context("portcullis cannot be started")?;
    ensure!(
        output.status.success(),
        "{} cannot be inspected: {}",
        component.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The page with this between its marks; nothing where it has none.
fn replaced(page: &str, said: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKS.0)?;
    let (_, after) = rest.split_once(MARKS.1)?;
    Some(format!("{before}{}{said}{}{after}", MARKS.0, MARKS.1))
}
