//! The policy set of a test.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The policies of a pair.
#[derive(Clone, Debug, Default)]
pub enum Policies {
    /// Those that ship: `policies/policies.toml`.
    Standard,
    /// Those that ship but for `csv-schema`: for tests that are not about what stands in a table.
    #[default]
    AnyTable,
    /// The text of a policy set of its own.
    Set(String),
}

impl Policies {
    /// One policy before a router that puts every upload at `in/{filename}` on the disk `local`.
    ///
    /// `settings` and `more` are TOML: a table, and further keys of the policy.
    pub fn one(name: &str, component: &Path, settings: &str, more: &str) -> Self {
        Self::none().and(name, component, settings, more)
    }

    /// No policy but that router, which also takes the attributes `loop` and `table`.
    pub fn none() -> Self {
        let router = component("route-by-attributes");
        Self::Set(format!(
            "allow-empty = true\n[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\n\
             settings = {{ template = 'in/{{filename}}', ignore = ['hostile', 'table'] }}\n",
            router.display()
        ))
    }

    /// One more policy at the end of the set.
    #[must_use]
    pub fn and(self, name: &str, component: &Path, settings: &str, more: &str) -> Self {
        let before = match self {
            Self::Standard | Self::AnyTable => String::new(),
            Self::Set(text) => text,
        };
        let component = component.display();
        Self::Set(format!(
            "{before}\n[[policy]]\nname = '{name}'\ncomponent = '{component}'\nsettings = {settings}\n{more}\n"
        ))
    }

    /// Where the web host reads it.
    pub(crate) fn place(&self, folder: &Path) -> Result<PathBuf> {
        match self {
            Self::Standard => Ok(root().join("policies/policies.toml")),
            Self::AnyTable | Self::Set(_) => write(folder, &self.text()?),
        }
    }

    /// The policy set itself, wherever it lies.
    pub(crate) fn text(&self) -> Result<String> {
        match self {
            Self::Standard => anyhow::bail!("the policies that ship lie where they are"),
            Self::AnyTable => Ok(any_table()),
            Self::Set(text) => Ok(text.clone()),
        }
    }
}

fn any_table() -> String {
    let (file_type, route) = (component("file-type"), component("route-by-attributes"));
    format!(
        "[[policy]]\nname = 'file-type'\ncomponent = '{}'\n\
         settings = {{ allow = ['csv', 'tsv'] }}\n\
         [[policy]]\nname = 'route-by-attributes'\ncomponent = '{}'\n\
         disks = ['local', 'workspace']\n\
         settings = {{ template = 'submissions/{{cohort}}/{{protocol_year}}/{{table}}/{{filename}}' }}\n",
        file_type.display(),
        route.display()
    )
}

fn write(folder: &Path, set: &str) -> Result<PathBuf> {
    let path = folder.join("policies.toml");
    std::fs::write(&path, set).with_context(|| path.display().to_string())?;
    if set.contains("csv-schema.wasm") {
        definitions(folder)?;
    }
    Ok(path)
}

/// The data definitions that ship, beside a set.
fn definitions(folder: &Path) -> Result<()> {
    let own = folder.join("definitions");
    std::fs::create_dir_all(&own)?;
    for entry in std::fs::read_dir(root().join("policies/definitions"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), own.join(entry.file_name()))?;
    }
    Ok(())
}

/// A set in a folder of its own, with its components beside it: one that can be sent to services. `policies` has
/// a `[[policy]]` for each but the router, with components of `components/`.
pub fn set_folder(folder: &Path, policies: &str) -> Result<()> {
    let components = folder.join("components");
    std::fs::create_dir_all(&components)?;
    for name in ["size-limit", "route-by-attributes", "file-type"] {
        std::fs::copy(component(name), components.join(format!("{name}.wasm")))?;
    }
    let set = format!(
        "{policies}\n[[policy]]\nname = 'route'\ncomponent = 'components/route-by-attributes.wasm'\n\
         disks = ['local']\nsettings = {{ template = 'in/{{filename}}', ignore = ['hostile', 'table'] }}\n"
    );
    std::fs::write(folder.join("policies.toml"), set)?;
    Ok(())
}

/// A component that ships.
pub fn component(name: &str) -> PathBuf {
    built(root().join(format!("policies/components/{name}.wasm")))
}

/// A component for tests.
pub fn guest(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>
    let target = test
        .ancestors()
        .nth(3)
        .expect("tests are built into the target folder");
    built(target.join(format!("guests/{name}.wasm")))
}

fn built(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is not built; run `cargo xtask policies`",
        path.display()
    );
    path
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this crate lies in the workspace").to_owned()
}
