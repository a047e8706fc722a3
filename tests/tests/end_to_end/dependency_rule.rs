//! Who may depend on whom, read from `cargo metadata`: what a crate cannot link, it cannot do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// What a crate never links, however indirectly.
const NEVER: [(&str, &[&str]); 9] = [
    (
        "portcullis-web",
        &[
            "portcullis-storage",
            "portcullis-services",
            "rusqlite",
            "tempfile",
            "object_store",
        ],
    ),
    (
        "portcullis-engine",
        &[
            "portcullis-hop",
            "portcullis-telemetry",
            "hyper",
            "axum",
            "reqwest",
            "http",
            "h2",
        ],
    ),
    (
        "portcullis-storage",
        &[
            "portcullis-hop",
            "portcullis-telemetry",
            "rusqlite",
            "http",
            "hyper",
            "axum",
            "reqwest",
        ],
    ),
    (
        "portcullis-services",
        &[
            "portcullis-web",
            "portcullis-engine",
            "wasmtime",
            "cranelift-codegen",
        ],
    ),
    (
        "portcullis-hop",
        &[
            "portcullis-web",
            "portcullis-engine",
            "portcullis-storage",
            "rusqlite",
            "wasmtime",
        ],
    ),
    (
        "portcullis-server",
        &[
            "portcullis-engine",
            "portcullis-storage",
            "rusqlite",
            "wasmtime",
        ],
    ),
    (
        "portcullis-telemetry",
        &["portcullis-hop", "portcullis-engine", "portcullis-storage"],
    ),
    (
        "portcullis-types",
        &["tokio", "http", "rusqlite", "wasmtime"],
    ),
    ("xtask", &["wasmtime", "axum", "rusqlite"]),
];

/// The crates of ours that each may name in its manifest.
const MAY_NAME: [(&str, &[&str]); 14] = [
    ("portcullis-types", &[]),
    ("portcullis-telemetry", &["portcullis-types"]),
    (
        "portcullis-hop",
        &["portcullis-telemetry", "portcullis-types"],
    ),
    (
        "portcullis-server",
        &["portcullis-hop", "portcullis-telemetry", "portcullis-types"],
    ),
    ("portcullis-storage", &["portcullis-types"]),
    ("portcullis-engine", &["portcullis-types"]),
    (
        "portcullis-web",
        &[
            "portcullis-engine",
            "portcullis-hop",
            "portcullis-server",
            "portcullis-telemetry",
            "portcullis-types",
        ],
    ),
    (
        "portcullis-services",
        &[
            "portcullis-hop",
            "portcullis-server",
            "portcullis-storage",
            "portcullis-telemetry",
            "portcullis-types",
        ],
    ),
    ("portcullis-policy", &[]),
    ("portcullis-csv", &[]),
    ("portcullis-text", &[]),
    ("portcullis-generator", &[]),
    ("portcullis-hand-made", &[]),
    ("xtask", &["portcullis-generator"]),
];

/// What is linked into a crate's library and binaries: dependencies of tests and of builds are not.
struct Linked {
    metadata: Metadata,
    edges: BTreeMap<PackageId, Vec<PackageId>>,
}

impl Linked {
    /// With or without the features that are not on by default, such as the collector for tests.
    fn read() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let mut command = MetadataCommand::new();
        command
            .manifest_path(manifest)
            .features(CargoOpt::AllFeatures)
            .other_options(["--locked".to_owned()]);
        let metadata = command.exec()?;
        let resolve = metadata.resolve.as_ref().context("no resolution")?;
        let mut edges = BTreeMap::new();
        for node in &resolve.nodes {
            let linked = node.deps.iter().filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            edges.insert(
                node.id.clone(),
                linked.map(|dependency| dependency.pkg.clone()).collect(),
            );
        }
        Ok(Self { metadata, edges })
    }

    fn member(&self, name: &str) -> Result<&PackageId> {
        let members = self.metadata.workspace_packages();
        let package = members
            .into_iter()
            .find(|package| package.name.as_str() == name);
        Ok(&package
            .with_context(|| format!("there is no crate {name}"))?
            .id)
    }

    /// The shortest way from a crate to another, by name; absent when there is none.
    fn way(&self, from: &PackageId, to: &str) -> Option<String> {
        let mut ways = VecDeque::from([vec![from]]);
        let mut seen = BTreeSet::from([from]);
        while let Some(way) = ways.pop_front() {
            let last = way.last()?;
            if self.metadata[*last].name.as_str() == to {
                let names = way.iter().map(|id| self.metadata[*id].name.as_str());
                return Some(names.collect::<Vec<_>>().join(" -> "));
            }
            for next in self.edges.get(*last).into_iter().flatten() {
                if seen.insert(next) {
                    ways.push_back(way.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }
}

#[test]
fn no_crate_reaches_what_it_must_never_do() -> Result<()> {
    let linked = Linked::read()?;
    let mut ways = Vec::new();
    for (name, forbidden) in NEVER {
        let member = linked.member(name)?;
        ways.extend(forbidden.iter().filter_map(|to| linked.way(member, to)));
    }
    ensure!(
        ways.is_empty(),
        "these ways must not exist:\n{}",
        ways.join("\n")
    );
    Ok(())
}

#[test]
fn the_crates_of_the_project_depend_on_each_other_as_the_design_says() -> Result<()> {
    let linked = Linked::read()?;
    for (name, allowed) in MAY_NAME {
        for next in &linked.edges[linked.member(name)?] {
            let next = linked.metadata[next].name.as_str();
            ensure!(
                !next.starts_with("portcullis") || allowed.contains(&next),
                "{name} names {next}, which DESIGN's dependency rule does not allow"
            );
        }
    }
    Ok(())
}

#[test]
fn the_rule_can_be_broken() -> Result<()> {
    // If the ways were never found, the tests above would prove nothing.
    let linked = Linked::read()?;
    for (name, to) in [
        ("portcullis-web", "wasmtime"),
        ("portcullis-web", "reqwest"),
        ("portcullis-hop", "portcullis-types"),
        ("portcullis-services", "rusqlite"),
        ("portcullis-services", "portcullis-types"),
    ] {
        ensure!(
            linked.way(linked.member(name)?, to).is_some(),
            "no way from {name} to {to} is found"
        );
    }
    Ok(())
}

#[test]
fn every_dependency_is_declared_once() -> Result<()> {
    let linked = Linked::read()?;
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in linked.metadata.workspace_packages() {
        for dependency in &package.dependencies {
            versions
                .entry(&dependency.name)
                .or_default()
                .insert(dependency.req.to_string());
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    ensure!(
        versions.is_empty(),
        "named with several versions; inherit them from the workspace: {versions:?}"
    );
    Ok(())
}

/// One thing that cargo would compile: everything that decides whether two commands share it.
type Unit = (String, String, String, Vec<String>, String);

/// What cargo would compile for these targets. Its plan is not stable, so that the pinned cargo is asked as if it were a
/// nightly one; nothing is compiled.
fn units(targets: &[&str]) -> Result<BTreeSet<Unit>> {
    let folder = tempfile::tempdir()?;
    let mut plan = std::process::Command::new(env!("CARGO"));
    plan.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--locked", "--offline", "--workspace"])
        .args(["--features", "xtask/full"])
        .args(targets)
        .args(["--unit-graph", "-Z", "unstable-options"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", folder.path());
    let output = plan.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo has no plan: {said}");
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let units = plan["units"].as_array().context("the plan has no units")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let unit = |unit: &serde_json::Value| {
        let features = unit["features"].as_array().into_iter().flatten();
        (
            text(&unit["pkg_id"]),
            text(&unit["target"]["name"]),
            text(&unit["mode"]),
            features.map(text).collect(),
            text(&unit["profile"]["opt_level"]),
        )
    };
    Ok(units.iter().map(unit).collect())
}

#[test]
fn programs_are_built_from_what_tests_are_built_from() -> Result<()> {
    let tests = units(&["--all-targets"])?;
    let servers = ["portcullis", "portcullis-web", "portcullis-services"];
    let servers = servers.map(|name| ["--bin", name]).concat();
    for targets in [&["--bins"][..], &["--bins", "--tests"], &servers] {
        let more: Vec<_> = units(targets)?.difference(&tests).cloned().collect();
        ensure!(
            more.is_empty(),
            "`cargo build {}` compiles these anew, with other features; name the features that tests have in tests/Cargo.toml: {more:#?}",
            targets.join(" ")
        );
    }
    Ok(())
}
