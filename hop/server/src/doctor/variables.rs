//! The environment of a server, for somebody in a shell of its machine: what the unit of the server sets is not set there.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Role;

/// Where the unit takes the key from.
const KEY_FILE: &str = "/etc/portcullis/internal-api-key";
const KEY: &str = "INTERNAL_API_KEY";
const KEY_FILE_VARIABLE: &str = "INTERNAL_API_KEY_FILE";

/// The file with the variables that the unit of a server reads.
pub fn unit_file(role: Role) -> PathBuf {
    format!("/etc/portcullis/{}.env", role.word()).into()
}

/// Starts this program anew with the variables that a server has from such a file and that are not set here. Returns when
/// there are none.
///
/// # Errors
/// The file is there and cannot be read, or the program cannot be started anew.
pub(super) fn take_over(file: &Path) -> io::Result<()> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let mut lacking = parse(&text);
    lacking.retain(|name, _| !is_set(name));
    let has_key = [KEY, KEY_FILE_VARIABLE]
        .into_iter()
        .any(|name| is_set(name) || lacking.contains_key(name));
    if !has_key && Path::new(KEY_FILE).exists() {
        lacking.insert(KEY_FILE_VARIABLE.to_owned(), KEY_FILE.to_owned());
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    arguments.next();
    Err(Command::new(std::env::current_exe()?)
        .args(arguments)
        .envs(lacking)
        .exec())
}

/// The assignments of a file as systemd.exec(5) describes it for `EnvironmentFile=`, without continued lines.
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim);
    let assignments = lines.filter(|line| !line.starts_with(['#', ';']));
    assignments
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let value = value.trim();
            let quoted = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
            (name.trim().to_owned(), quoted.unwrap_or(value).to_owned())
        })
        // A name that no environment can hold would keep the program from starting.
        .filter(|(name, value)| !name.is_empty() && !value.contains('\0'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
        let text = "# A comment\nSERVER_ROLE=web\n; another\n A = \"b c\" \nE='='\n=x\nnonsense\n";
        let found: Vec<(String, String)> = parse(text).into_iter().collect();
        let wanted = [("A", "b c"), ("E", "="), ("SERVER_ROLE", "web")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, wanted);
    }
}
