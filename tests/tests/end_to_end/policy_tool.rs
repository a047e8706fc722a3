//! `portcullis policy`, as an author of policies runs it.

mod cookbook;
mod fixtures;
mod guide;
mod standard;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use portcullis_hand_made::{HandMade, parse, replaced};
use portcullis_tests::gateway::binary;
use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What it said and whether it succeeded.
struct Said {
    ok: bool,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{}{}", self.out, self.err))
    }
}

fn policy(folder: &Path, arguments: &[&str]) -> Result<Said> {
    run(&mut command(folder, arguments))
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("portcullis"));
    command.current_dir(folder).arg("policy").args(arguments);
    command
}

fn run(command: &mut Command) -> Result<Said> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output()?;
    Ok(Said {
        ok: status.success(),
        out: String::from_utf8(stdout)?,
        err: String::from_utf8(stderr)?,
    })
}

fn standard(name: &str) -> String {
    format!("{ROOT}/policies/components/{name}.wasm")
}

/// The one sentence that says why a component cannot be loaded.
fn why(folder: &Path, component: &str, more: &[&str]) -> Result<String> {
    let arguments = [&["check", "--json", component], more].concat();
    let said = policy(folder, &arguments)?;
    ensure!(!said.ok, "it can be loaded: {}", said.out);
    let report = said.json()?;
    ensure!(report["can_be_loaded"] == false, "{report}");
    let steps = report["steps"].as_array().context("no steps")?;
    let wrong = steps.iter().filter(|step| step["ok"] == false);
    let details: Vec<_> = wrong.filter_map(|step| step["detail"].as_str()).collect();
    Ok(details.join("\n"))
}

#[test]
fn a_standard_policy_can_be_checked_inspected_and_run() -> Result<()> {
    let folder = TempDir::new()?;
    let component = standard("file-type");
    let said = policy(folder.path(), &["check", &component])?;
    ensure!(
        said.ok && said.out.contains("It can be loaded."),
        "{}",
        said.out
    );
    ensure!(!said.out.contains('\x1b'), "colours without a terminal");

    let said = policy(folder.path(), &["inspect", "--json", &component])?;
    let report = said.json()?;
    ensure!(
        report["name"] == "file-type" && report["kind"] == "validation",
        "{report}"
    );
    ensure!(
        report["rules"]
            .as_array()
            .is_some_and(|rules| rules.len() == 6),
        "{report}"
    );
    let schema = &report["settings_schema"]["properties"]["allow"];
    ensure!(schema["description"].is_string(), "{schema}");
    let tools = report["toolchain"].to_string();
    ensure!(tools.contains("rustc") && tools.contains("1.95"), "{tools}");

    let program = format!("{ROOT}/tests/samples/program.csv");
    let said = policy(
        folder.path(),
        &["run", "--json", &component, "--input", &program],
    )?;
    ensure!(!said.ok, "a program passes");
    let report = said.json()?;
    ensure!(
        report["verdict"] == "reject" && report["rule"] == "executable",
        "{report}"
    );
    let calls: Vec<_> = report["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stage| &stage["call"])
        .collect();
    ensure!(
        calls == ["configure", "admit", "chunk", "finish"],
        "{calls:?}"
    );
    ensure!(report["peak_memory_bytes"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[test]
fn a_policy_is_measured_beside_one_that_does_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let component = standard("file-type");
    let table = format!("{ROOT}/tests/samples/patient.csv");
    let arguments = [
        "bench", "--json", "--rounds", "1", &component, "--input", &table,
    ];
    let report = policy(folder.path(), &arguments)?.json()?;
    let figures = report["figures"].as_array().context("no figures")?;
    let names: Vec<_> = figures.iter().map(|figure| &figure["what"]).collect();
    ensure!(
        names
            == [
                "instance + configure",
                "headers",
                "chunk",
                "one upload in all"
            ],
        "{names:?}"
    );
    let is_time = |figure: &Value| {
        figure["seconds"].as_f64() > Some(0.0) && figure["no_op_seconds"].as_f64() > Some(0.0)
    };
    ensure!(figures.iter().all(is_time), "{report}");
    ensure!(report["verdict"] == "accept", "{report}");
    Ok(())
}

#[test]
fn a_table_is_judged_with_its_definition_and_a_router_says_where() -> Result<()> {
    let folder = TempDir::new()?;
    let table = folder.path().join("patient.csv");
    let good = fs::read_to_string(format!("{ROOT}/tests/samples/patient.csv"))?;
    fs::write(&table, good.replacen("2024", "20x4", 1))?;
    let (component, resources) = (standard("csv-schema"), format!("{ROOT}/policies"));
    let arguments = [
        "run",
        &component,
        "--resources",
        &resources,
        "--input",
        "patient.csv",
        "--attr",
        "table=patient",
    ];
    let said = policy(folder.path(), &arguments)?;
    ensure!(!said.ok && said.out.starts_with("reject"), "{}", said.out);
    ensure!(
        said.out.contains("Findings") && said.out.contains("peak memory"),
        "{}",
        said.out
    );

    let component = standard("route-by-attributes");
    let settings = r#"{"template": "in/{cohort}/{filename}"}"#;
    let arguments = [
        "run",
        &component,
        "--settings",
        settings,
        "--input",
        "patient.csv",
        "--attr",
        "cohort=c1",
    ];
    let said = policy(folder.path(), &arguments)?;
    ensure!(
        said.ok
            && said
                .out
                .starts_with("route  in/c1/patient.csv on disk local"),
        "{}",
        said.out
    );
    Ok(())
}

#[test]
fn what_cannot_be_loaded_is_named_with_what_to_do() -> Result<()> {
    let folder = TempDir::new()?;
    let at = |name: &str| folder.path().join(name);
    let whole = HandMade::default().component()?;
    fs::write(at("core.wasm"), parse("(module)")?)?;
    fs::write(at("truncated.wasm"), &whole[..whole.len() / 2])?;
    fs::write(
        at("random.wasm"),
        (0..9_999u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect::<Vec<_>>(),
    )?;
    fs::write(at("page.wasm"), "<!doctype html>")?;
    File::create(at("huge.wasm"))?.set_len(1 << 30)?;
    let later = replaced(&whole, b"validation@0.1.0", b"validation@9.9.0");
    fs::write(at("later.wasm"), later)?;
    fs::write(at("other.wasm"), parse("(component)")?)?;
    for (component, says) in [
        (
            "core.wasm",
            "is a core module and no component; build it for the target wasm32-wasip2",
        ),
        ("truncated.wasm", "is not a valid WebAssembly component"),
        ("random.wasm", "is not a valid WebAssembly component"),
        ("page.wasm", "is not a valid WebAssembly component"),
        (
            "huge.wasm",
            "has 1073741824 bytes; at most 67108864 are allowed",
        ),
        (
            "later.wasm",
            "contract version 9.9.0; this host speaks 0.1.0",
        ),
        ("other.wasm", "build it against contract version 0.1"),
        ("missing.wasm", "cannot be read"),
    ] {
        let why = why(folder.path(), component, &[])?;
        ensure!(why.contains(says), "{component}: {why}");
    }
    let network = binary("portcullis").with_file_name("../guests/forbidden-import.wasm");
    let why_not = why(folder.path(), &network.to_string_lossy(), &[])?;
    for name in [
        "wasi:sockets/tcp@0.2.6",
        "wasi:sockets/udp@0.2.6",
        "a policy has no network: ship",
    ] {
        ensure!(why_not.contains(name), "{why_not}");
    }
    let component = standard("file-type");
    for (more, says) in [
        (
            ["--settings", r#"{"alow": ["csv"]}"#],
            "unknown setting `alow`, expected `allow`",
        ),
        (
            ["--settings", r#"{"allow": [3]}"#],
            "setting `allow[0]`: invalid type: integer `3`",
        ),
        (
            ["--limit", "memory-bytes=65536"],
            "raise `memory-bytes` in its `limits`",
        ),
        (["--limit", "call-time-ms=0"], "must be more than 0"),
    ] {
        let why = why(folder.path(), &component, &more)?;
        ensure!(why.contains(says), "{more:?}: {why}");
    }
    for (more, says) in [
        (["--settings", "{allow}"], "no JSON"),
        (["--settings", "[]"], "no object"),
        (["--limit", "memory=3"], "unknown field `memory`"),
    ] {
        let arguments = [&["check", component.as_str()], more.as_slice()].concat();
        let said = policy(folder.path(), &arguments)?;
        ensure!(
            !said.ok && said.err.contains(says),
            "{more:?}: {}",
            said.err
        );
    }
    Ok(())
}

/// Where projects of these tests are built: crates need not be compiled anew for each of them. Each project needs a name of
/// its own, because cargo takes projects of one name in one folder for the same.
fn target() -> PathBuf {
    binary("portcullis").with_file_name("../policy-projects")
}

#[test]
fn a_new_project_builds_is_small_and_is_loaded() -> Result<()> {
    let folder = TempDir::new()?;
    let said = policy(folder.path(), &["new", "small-project"])?;
    ensure!(said.ok, "{}", said.err);
    let project = folder.path().join("small-project");
    let mut build = command(&project, &["build", "--json"]);
    let said = run(build.env("CARGO_TARGET_DIR", target()))?;
    ensure!(said.ok, "{}", said.err);
    let report = said.json()?;
    ensure!(report["name"] == "small-project", "{report}");
    let size = report["size_bytes"].as_u64().context("no size")?;
    ensure!(size <= 80_000, "the component has {size} bytes");
    let said = policy(&project, &["check", "small-project.wasm"])?;
    ensure!(said.ok, "{}", said.out);

    let again = policy(folder.path(), &["new", "small-project"])?;
    ensure!(
        !again.ok && again.err.contains("is not empty"),
        "{}",
        again.err
    );
    for (name, says) in [
        ("No_Lines", "is no name for a policy"),
        ("test", "does not take"),
    ] {
        let said = policy(folder.path(), &["new", name])?;
        ensure!(!said.ok && said.err.contains(says), "{}", said.err);
    }
    fs::write(project.join("src/lib.rs"), "fn broken(")?;
    let mut build = command(&project, &["build"]);
    let said = run(build.env("CARGO_TARGET_DIR", target()))?;
    ensure!(
        !said.ok
            && said
                .err
                .contains("does not compile; what is wrong stands above"),
        "{}",
        said.err
    );
    Ok(())
}

#[test]
fn what_is_missing_to_build_is_named() -> Result<()> {
    let folder = TempDir::new()?;
    let said = policy(folder.path(), &["build"])?;
    ensure!(
        !said.ok && said.err.contains("`portcullis policy new NAME`"),
        "{}",
        said.err
    );
    policy(folder.path(), &["new", "p"])?;
    let (project, programs) = (folder.path().join("p"), folder.path().join("bin"));
    fs::create_dir(&programs)?;
    let build = || {
        let mut build = command(&project, &["build"]);
        build.env("PATH", &programs).env_remove("CARGO");
        run(&mut build)
    };
    let said = build()?;
    ensure!(
        said.err.contains("no cargo here") && said.err.contains("rustup.rs"),
        "{}",
        said.err
    );
    script(&programs.join("cargo"), "echo cargo 1.95.0")?;
    script(&programs.join("rustc"), "echo /nowhere")?;
    let said = build()?;
    ensure!(
        said.err.contains("install Rust with rustup"),
        "{}",
        said.err
    );
    script(&programs.join("rustup"), "echo rustup 1.28")?;
    let said = build()?;
    ensure!(
        said.err.contains("run `rustup target add wasm32-wasip2`"),
        "{}",
        said.err
    );
    Ok(())
}

fn script(path: &Path, line: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
