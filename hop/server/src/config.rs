//! Where each value of a configuration comes from: the command line before the environment before the file
//! before the default.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// How a server looks variables up, so that tests bring their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What stands in the way of starting: one sentence each, with the key and where it was given.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The wrong binary for this role.
    #[error(
        "SERVER_ROLE is `{found}`, but this is {this}; set SERVER_ROLE={wanted}, or start {other} instead"
    )]
    Role {
        /// What was set.
        found: String,
        /// What this server is.
        this: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// What to start instead.
        other: &'static str,
    },
    /// Something that must be given is not.
    #[error("{name} is not set; {advice}")]
    Missing {
        /// The variable or key.
        name: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A value that cannot be used. The value itself may be a secret and is not repeated.
    #[error("{name} cannot be used: {why}")]
    Value {
        /// The variable or key.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read: {why}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// How it failed.
        why: std::io::ErrorKind,
    },
    /// The file is not what a configuration looks like.
    #[error("{path}, line {line}: {why}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there, with the key.
        why: String,
    },
}

impl ConfigError {
    /// A value that cannot be used.
    pub fn value(name: impl Into<String>, why: impl Display) -> Self {
        Self::Value {
            name: name.into(),
            why: why.to_string(),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Variable(&'static str),
    /// The configuration file.
    File,
    /// Nobody said anything else.
    Default,
}

impl Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => f.write_str(name),
            Self::File => f.write_str("file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The values that were settled, for `--check-config`: each with its source, secrets masked.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    lines: Vec<(String, String, Source)>,
}

impl Resolved {
    /// Takes the first value that there is, and remembers where it came from.
    pub fn pick<T: Display>(
        &mut self,
        key: &str,
        given: impl IntoIterator<Item = (Option<T>, Source)>,
        default: impl FnOnce() -> T,
    ) -> T {
        let found = given
            .into_iter()
            .find_map(|(value, source)| Some((value?, source)));
        let (value, source) = found.unwrap_or_else(|| (default(), Source::Default));
        self.note(key, value.to_string(), source);
        value
    }

    /// The same for a path.
    pub fn pick_path(
        &mut self,
        key: &str,
        given: impl IntoIterator<Item = (Option<PathBuf>, Source)>,
        default: &str,
    ) -> PathBuf {
        struct Shown(PathBuf);
        impl Display for Shown {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.display().fmt(f)
            }
        }
        let given = given.into_iter();
        let shown = given.map(|(path, source)| (path.map(Shown), source));
        self.pick(key, shown, || Shown(default.into())).0
    }

    /// Reads the configuration file that the command line names, or the one at its default place; without
    /// one there the defaults of every key.
    pub fn read_file<T: Default + DeserializeOwned>(
        &mut self,
        flag: Option<&Path>,
        default: &str,
    ) -> Result<T, ConfigError> {
        let (path, source) = match flag {
            Some(path) => (path, Source::Flag("--config")),
            None => (Path::new(default), Source::Default),
        };
        if flag.is_none() && !path.exists() {
            self.note("config", "none".to_owned(), source);
            return Ok(T::default());
        }
        self.note("config", path.display().to_string(), source);
        read_toml(path)
    }

    /// Remembers a value that was settled elsewhere.
    pub fn note(&mut self, key: &str, shown: String, source: Source) {
        self.lines.push((key.to_owned(), shown, source));
    }
}

impl Display for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (key, value, source) in &self.lines {
            writeln!(f, "{key} = {value}  # {source}")?;
        }
        Ok(())
    }
}

/// Reads a configuration file; what is wrong with it is said with its line and key.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        why: error.kind(),
    })?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        ConfigError::Invalid {
            path: path.to_owned(),
            line: before.map_or(1, |before| before.matches('\n').count() + 1),
            why: error.message().replace('\n', " "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct File {
        #[expect(dead_code, reason = "only its errors are looked at")]
        listen_on: Option<u16>,
    }

    #[test]
    fn the_first_value_wins_and_its_source_is_shown() {
        let mut resolved = Resolved::default();
        let sources = |flag, file| [(flag, Source::Flag("--port")), (file, Source::File)];
        assert_eq!(resolved.pick("port", sources(Some(1), Some(2)), || 3), 1);
        assert_eq!(resolved.pick("port", sources(None, Some(2)), || 3), 2);
        assert_eq!(resolved.pick("port", sources(None, None), || 3), 3);
        let shown = "port = 1  # --port\nport = 2  # file\nport = 3  # default\n";
        assert_eq!(resolved.to_string(), shown);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let path = std::env::temp_dir().join(format!("portcullis-{}.toml", std::process::id()));
        std::fs::write(&path, "# one\nlisten-on = 1\nlisten-at = 2\n").expect("is written");
        let error = read_toml::<File>(&path)
            .expect_err("is refused")
            .to_string();
        std::fs::remove_file(&path).expect("is removed");
        assert!(
            error.contains(", line 3: unknown field `listen-at`"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
        let error = read_toml::<File>(&path).expect_err("is gone").to_string();
        assert!(
            error.contains("cannot be read: entity not found"),
            "{error}"
        );
    }
}
