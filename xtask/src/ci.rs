//! `cargo xtask ci`: what every commit on main passes, on a machine that has what its parts need. `.ci/run` installs that.

use anyhow::Result;

use crate::workspace::{Workspace, run as run_command};
use crate::{clients, full, guests, lint, side, test, ui, viewer};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let timing = &workspace.timing;
    timing.step("format", || lint::format(workspace))?;
    timing.step("components", || guests::build(workspace))?;
    timing.step("build and lints", || {
        workspace.build(&["--all-targets"])?;
        // The small one, which has lines of its own.
        run_command(&mut workspace.cargo(["build", "--locked", "--package", "xtask"]))
    })?;
    timing.step("tests", || test::tests(workspace))?;
    timing.step("examples in documentation", || {
        test::documentation(workspace)
    })?;
    timing.step("agreement", || side::agreement(workspace))?;
    timing.step("archives", || archives(workspace))?;
    timing.step("clients", || clients::run(workspace))?;
    timing.step("front end", || {
        ui::run(workspace, &ui::Arguments { check: true })
    })?;
    if side::viewer_has_passed(workspace) {
        return timing.step("browser", || ui::browser(workspace));
    }
    timing.step("trace viewer: lints", || viewer::lint(workspace))?;
    timing.step("browser with trace viewer", || {
        ui::browser_with_viewer(workspace)
    })
}

/// Makes the archives from what is built, and tries them out.
fn archives(workspace: &Workspace) -> Result<()> {
    let mut dist = full::command(workspace)?;
    run_command(dist.args(["dist", "--debug"]))
}
