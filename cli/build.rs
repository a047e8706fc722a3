//! Puts into the binary what `portcullis policy new` gives to an author: the SDK and the contract, as they are
//! in this checkout, so that a policy builds anywhere; and the component that `policy bench` compares with.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_hand_made::HandMade;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The folders whose files are taken as they are.
const FOLDERS: [&str; 2] = ["plugins/sdk/src", "wit/0.1"];
const MANIFEST: &str = "plugins/sdk/Cargo.toml";

fn main() -> Outcome<()> {
    let own = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let root = own.join("..").canonicalize()?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut code = String::from("pub(crate) const FILES: &[(&str, &str)] = &[\n");
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        for path in files(&root.join(folder))? {
            let name = path.strip_prefix(&root)?.display().to_string();
            // The code names no folder: two builds are the same wherever they lie.
            let copy = out.join(&name);
            fs::create_dir_all(copy.parent().ok_or("has a folder")?)?;
            fs::copy(&path, copy)?;
            writeln!(code, "({name:?}, include_str!({name:?})),")?;
        }
    }
    let manifest = manifest(&root)?;
    writeln!(code, "({MANIFEST:?}, {manifest:?}),\n];")?;
    fs::write(out.join("vendored.rs"), code)?;
    // With room for the longest block.
    let no_op = HandMade {
        memory: "3",
        ..HandMade::default()
    };
    fs::write(out.join("no-op.wasm"), no_op.component()?)?;
    Ok(())
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The manifest of the SDK with what it takes from the workspace written out.
fn manifest(root: &Path) -> Outcome<String> {
    let read = |name: &str| -> Outcome<toml::Table> {
        println!("cargo::rerun-if-changed={}", root.join(name).display());
        Ok(fs::read_to_string(root.join(name))?.parse()?)
    };
    let (mut own, workspace) = (read(MANIFEST)?, read("Cargo.toml")?);
    let workspace = &workspace["workspace"];
    // Its own tests stay here.
    own.remove("lints");
    own.remove("dev-dependencies");
    for section in ["package", "dependencies"] {
        let table = own[section].as_table_mut().ok_or("is no table")?;
        for (key, value) in table.iter_mut() {
            if value.get("workspace").is_some() {
                *value = workspace[section][key].clone();
            }
        }
    }
    Ok(toml::to_string(&own)?)
}
