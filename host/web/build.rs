//! Embeds what the pages load: the stylesheet and the mark of this crate, and the built front end if
//! there is one. It never builds the front end (`cargo xtask` does) and works without it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The front end's sources, from this crate.
const UI: &str = "../ui";
/// What this crate serves itself.
const OWN: &str = "src/page";

/// The licences of what Vite built in, which ask to be passed on with it.
const LICENSES: &str = "licenses.md";

/// A chunk in the manifest that Vite writes (vite.dev, "Backend Integration").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    file: String,
    #[serde(default)]
    css: Vec<String>,
    #[serde(default)]
    assets: Vec<String>,
    #[serde(default)]
    is_entry: bool,
}

struct Assets {
    /// Where they go. What is written there names no other folder: two builds are the same wherever they lie.
    out: PathBuf,
    table: String,
    stylesheets: Vec<String>,
    scripts: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(
        std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?,
    );
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut assets = Assets {
        out: out.clone(),
        table: String::new(),
        stylesheets: Vec::new(),
        scripts: Vec::new(),
    };

    let stylesheet = assets.own(&root.join(OWN).join("page.css"))?;
    assets.stylesheets.push(stylesheet);
    let mark = assets.own(&root.join(OWN).join("mark.svg"))?;
    assets.front_end(&root.join(UI))?;

    let Assets {
        table,
        stylesheets,
        scripts,
        ..
    } = assets;
    let generated = format!(
        "const ASSETS: &[Asset] = &[\n{table}];\n\
         const STYLESHEETS: &[&str] = &{stylesheets:?};\n\
         const SCRIPTS: &[&str] = &{scripts:?};\n\
         const MARK: &str = {mark:?};\n"
    );
    fs::write(out.join("assets.rs"), generated)?;
    Ok(())
}

impl Assets {
    /// A file of this crate, under a name that changes with its content.
    fn own(&mut self, path: &Path) -> Result<String, Box<dyn Error>> {
        watch(path);
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let part = |part: Option<&std::ffi::OsStr>| {
            part.and_then(|text| text.to_str())
                .unwrap_or_default()
                .to_owned()
        };
        let name = format!(
            "{}-{:016x}.{}",
            part(path.file_stem()),
            fnv1a(&bytes),
            part(path.extension())
        );
        self.add(&name, path)?;
        Ok(name)
    }

    /// The files that Vite has built, under the names that it gave them.
    fn front_end(&mut self, ui: &Path) -> Result<(), Box<dyn Error>> {
        let dist = ui.join("dist");
        let manifest = dist.join(".vite/manifest.json");
        if !manifest.is_file() {
            // A missing path would make cargo run this again each time; the folder in which `dist`
            // appears changes when it does.
            if ui.is_dir() {
                watch(ui);
            }
            return Ok(());
        }
        watch(&dist);
        let text = fs::read_to_string(&manifest)?;
        let chunks: BTreeMap<String, Chunk> = serde_json::from_str(&text)
            .map_err(|error| format!("{}: {error}", manifest.display()))?;
        for chunk in chunks.values() {
            for file in [&chunk.file]
                .into_iter()
                .chain(&chunk.css)
                .chain(&chunk.assets)
            {
                self.add(file, &dist.join(file))?;
            }
            if chunk.is_entry {
                self.scripts.push(chunk.file.clone());
                self.stylesheets.extend(chunk.css.iter().cloned());
            }
        }
        self.serve(LICENSES, &dist.join(LICENSES), false)
    }

    /// A file whose name changes with its content.
    fn add(&mut self, name: &str, path: &Path) -> Result<(), Box<dyn Error>> {
        self.serve(name, path, true)
    }

    fn serve(&mut self, name: &str, path: &Path, immutable: bool) -> Result<(), Box<dyn Error>> {
        if name.contains('/') {
            return Err(format!(
                "the asset {name} lies in a folder; `vite.config.ts` must keep them flat"
            )
            .into());
        }
        fs::copy(path, self.out.join(name))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let line = format!(
            "    Asset {{ name: {name:?}, bytes: include_bytes!({name:?}), media_type: {:?}, immutable: {immutable} }},\n",
            media_type(path)?,
        );
        if !self.table.contains(&line) {
            write!(self.table, "{line}")?;
        }
        Ok(())
    }
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn media_type(path: &Path) -> Result<&'static str, Box<dyn Error>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("md") => Ok("text/markdown; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        _ => Err(format!(
            "{}: give this kind of asset its media type in build.rs",
            path.display()
        )
        .into()),
    }
}

/// FNV-1a (RFC 9923): a name for a content, the same on every machine. Not a protection.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
