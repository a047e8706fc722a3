//! A policy's cargo project: what it needs to be built, and its component.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What policies are compiled to.
const TARGET: &str = "wasm32-wasip2";

/// The project in a folder.
pub(crate) struct Project {
    folder: PathBuf,
    name: String,
}

/// The component that was built.
pub(crate) struct Built {
    /// Where it lies.
    pub(crate) component: PathBuf,
    /// What the project calls itself.
    pub(crate) name: String,
}

impl Project {
    /// The project whose `Cargo.toml` lies in the folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let shown = manifest.display();
        let text = std::fs::read_to_string(&manifest).with_context(|| {
            format!(
                "there is no policy's project here: {shown} cannot be read; `portcullis policy new NAME` makes one, `--path FOLDER` names another folder"
            )
        })?;
        let table: toml::Table = text
            .parse()
            .with_context(|| format!("{shown} is not valid"))?;
        let name = table.get("package").and_then(|package| package.get("name"));
        let name = name.and_then(toml::Value::as_str).with_context(|| {
            format!("{shown} has no `package.name`; name the folder of one package")
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Compiles it. What cargo says goes to standard error.
    pub(crate) fn build(&self) -> Result<Built> {
        self.check_toolchain()?;
        let mut cargo = self.command("cargo");
        cargo
            .args(["build", "--release", "--lib", "--target", TARGET])
            .arg("--message-format=json-render-diagnostics")
            .stdout(Stdio::piped());
        let mut cargo = cargo.spawn().context("cargo cannot be started")?;
        let said = cargo.stdout.take().context("cargo says nothing")?;
        let lines = BufReader::new(said).lines();
        let mut components: Vec<PathBuf> = Vec::new();
        for line in lines {
            let line = line.context("what cargo says cannot be read")?;
            components.extend(component_of(&line, &self.name));
        }
        let status = cargo.wait().context("cargo cannot be waited for")?;
        ensure!(
            status.success(),
            "the policy `{}` does not compile; what is wrong stands above",
            self.name
        );
        let Some(component) = components.pop() else {
            bail!(
                "cargo built no component of `{}`: add `crate-type = [\"cdylib\", \"rlib\"]` to `[lib]` in {}",
                self.name,
                self.folder.join("Cargo.toml").display()
            );
        };
        Ok(Built {
            component,
            name: self.name.clone(),
        })
    }

    /// Says what to install, before cargo says what it misses.
    fn check_toolchain(&self) -> Result<()> {
        if self.answer("cargo", &["--version"]).is_none() {
            bail!(
                "there is no cargo here, which compiles policies; install Rust with rustup (https://rustup.rs), then run `rustup target add {TARGET}`"
            );
        }
        let library = self.answer("rustc", &["--print", "target-libdir", "--target", TARGET]);
        if library.is_some_and(|library| Path::new(&library).is_dir()) {
            return Ok(());
        }
        if self.answer("rustup", &["--version"]).is_some() {
            bail!(
                "this Rust cannot compile for {TARGET} yet, which policies are compiled to; run `rustup target add {TARGET}`"
            );
        }
        bail!(
            "this Rust has no standard library for {TARGET}, which policies are compiled to; install Rust with rustup (https://rustup.rs), then run `rustup target add {TARGET}`"
        );
    }

    fn answer(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let output = self.command(program).args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// A program in the project's folder. Flags for everything would win over those that the project has for
    /// its target.
    fn command(&self, program: &str) -> Command {
        let set = match program {
            "cargo" => std::env::var_os("CARGO"),
            _ => None,
        };
        let mut command = Command::new(set.unwrap_or_else(|| OsString::from(program)));
        command
            .current_dir(&self.folder)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }
}

/// The component that a line of cargo's says was built of this package.
fn component_of(line: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_artifact = message["reason"] == "compiler-artifact";
    let target = message["target"]["name"].as_str()?;
    if !is_artifact || target.replace('_', "-") != package.replace('_', "-") {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let mut files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_what_cargo_says_it_is() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"no_tabs"},"filenames":["/t/libno_tabs.rlib","/t/no_tabs.wasm"]}"#;
        let component = Some(PathBuf::from("/t/no_tabs.wasm"));
        assert_eq!(component_of(line, "no-tabs"), component);
        assert_eq!(component_of(line, "serde"), None);
        assert_eq!(component_of("Compiling", "no-tabs"), None);
    }
}
