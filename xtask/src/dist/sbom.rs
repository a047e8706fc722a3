//! What a program is made of, as a bill of materials in the format of `CycloneDX`
//! (<https://cyclonedx.org/docs/1.5/json/>).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use cyclonedx_bom::models::bom::SpecVersion;
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata as About;
use cyclonedx_bom::prelude::{Bom, NormalizedString, Purl, SpdxExpression, Validate};

use crate::workspace::Workspace;

/// The crates of the workspace as they are resolved for a target.
pub(crate) struct Crates(Metadata);

impl Crates {
    pub(crate) fn of(workspace: &Workspace, target: &str) -> Result<Self> {
        MetadataCommand::new()
            .manifest_path(workspace.root.join("Cargo.toml"))
            .other_options(["--locked", "--filter-platform", target].map(str::to_owned))
            .exec()
            .map(Self)
            .context("cargo cannot resolve the workspace")
    }

    /// The bill of materials of these programs of ours, as JSON. It says neither when nor where it was made, so that
    /// it is the same each time.
    pub(crate) fn bill(&self, role: &str, programs: &[&str]) -> Result<Vec<u8>> {
        let mut links: BTreeMap<&PackageId, Vec<&PackageId>> = BTreeMap::new();
        let mut next: Vec<&PackageId> = programs
            .iter()
            .map(|name| self.package(name).map(|package| &package.id))
            .collect::<Result<_>>()?;
        while let Some(id) = next.pop() {
            if !links.contains_key(id) {
                let linked = self.linked(id)?;
                next.extend(&linked);
                links.insert(id, linked);
            }
        }
        let components = links.keys().map(|id| component(&self.0[*id]));
        let components = components.collect::<Result<Vec<_>>>()?;
        let dependencies = links.iter().map(|(id, linked)| Dependency {
            dependency_ref: reference(&self.0[*id]),
            dependencies: linked.iter().map(|id| reference(&self.0[*id])).collect(),
        });
        let mut about = Component::new(
            Classification::Application,
            &format!("portcullis-{role}"),
            env!("CARGO_PKG_VERSION"),
            Some(format!("portcullis-{role}")),
        );
        about.licenses = Some(licenses("Apache-2.0")?);
        let bom = Bom {
            serial_number: None,
            metadata: Some(About {
                component: Some(about),
                ..About::default()
            }),
            components: Some(Components(components)),
            dependencies: Some(Dependencies(dependencies.collect())),
            ..Bom::default()
        };
        let checked = bom.validate_version(SpecVersion::V1_5);
        ensure!(
            checked.passed(),
            "the bill of materials of {role} breaks the schema of CycloneDX 1.5: {checked:?}"
        );
        let mut json = Vec::new();
        bom.output_as_json_v1_5(&mut json)?;
        Ok(json)
    }

    fn package(&self, name: &str) -> Result<&Package> {
        let found = self.0.packages.iter().find(|package| package.name == name);
        found.with_context(|| format!("there is no package {name}"))
    }

    /// What gets into a program with a package: neither what only its tests need, nor what only makes it.
    fn linked(&self, id: &PackageId) -> Result<Vec<&PackageId>> {
        let graph = self.0.resolve.as_ref().context("nothing is resolved")?;
        let node = graph.nodes.iter().find(|node| node.id == *id);
        let node = node.with_context(|| format!("{id} is not resolved"))?;
        let is_linked = |kinds: &[cargo_metadata::DepKindInfo]| {
            kinds.iter().any(|of| of.kind == DependencyKind::Normal)
        };
        let linked = node.deps.iter().filter(|dep| is_linked(&dep.dep_kinds));
        let linked: BTreeSet<&PackageId> = linked.map(|dep| &dep.pkg).collect();
        Ok(linked.into_iter().collect())
    }
}

fn component(package: &Package) -> Result<Component> {
    let version = package.version.to_string();
    let mut component = Component::new(
        Classification::Library,
        &package.name,
        &version,
        Some(reference(package)),
    );
    component.purl = Some(Purl::new("cargo", &package.name, &version)?);
    component.description = package.description.as_deref().map(NormalizedString::new);
    if let Some(licence) = &package.license {
        // Some manifests still have the older way of saying "or".
        component.licenses = Some(licenses(&licence.replace('/', " OR "))?);
    }
    Ok(component)
}

fn licenses(expression: &str) -> Result<Licenses> {
    let expression: SpdxExpression = expression
        .to_owned()
        .try_into()
        .with_context(|| format!("`{expression}` is no SPDX expression"))?;
    Ok(Licenses(vec![LicenseChoice::Expression(expression)]))
}

fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}
