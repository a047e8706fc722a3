//! The policies that ship: what their pages say is what they say of themselves, and their fixtures pass.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{ROOT, policy, standard};

/// The pages that were written by hand, before components could write them.
const BY_HAND: [&str; 3] = ["csv-schema", "file-type", "route-by-attributes"];

fn names() -> Result<Vec<String>> {
    let folders = fs::read_dir(format!("{ROOT}/plugins/standard"))?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    ensure!(names.len() >= 5, "{names:?}");
    Ok(names)
}

#[test]
fn every_page_says_what_the_component_says() -> Result<()> {
    for name in names()? {
        let page = fs::read_to_string(format!("{ROOT}/docs/policies/{name}.md"));
        let page = page.with_context(|| format!("there is no page about {name}"))?;
        let marked = page.split_once("<!-- describe -->\n");
        let Some((_, rest)) = marked else {
            ensure!(
                BY_HAND.contains(&name.as_str()),
                "the page about {name} has no marks"
            );
            continue;
        };
        let (written, _) = rest.split_once("<!-- /describe -->").context("no end")?;
        let said = policy(
            Path::new(ROOT),
            &["inspect", "--markdown", &standard(&name)],
        )?;
        ensure!(
            said.ok && written == said.out,
            "the page about {name} is out of date: run `cargo xtask policies --docs`"
        );
    }
    Ok(())
}

#[test]
fn every_fixture_passes_in_every_way() -> Result<()> {
    for name in names()? {
        let fixtures = format!("plugins/standard/{name}/fixtures");
        if BY_HAND.contains(&name.as_str()) && !Path::new(ROOT).join(&fixtures).exists() {
            continue;
        }
        let arguments = ["test", &standard(&name), "--fixtures", &fixtures];
        let said = policy(Path::new(ROOT), &arguments)?;
        ensure!(said.ok, "{name}: {}{}", said.out, said.err);
    }
    Ok(())
}
