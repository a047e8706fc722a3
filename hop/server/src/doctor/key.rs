//! Whether the key between the servers is there, and hard to guess.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use portcullis_hop::ApiKey;

use super::Check;
use crate::{Environment, Resolved, internal_keys};

/// A key has at least so many characters, and so many different ones: what `openssl rand -hex 32` or `-base64 24` makes
/// always has, and what people think of often has not.
const STRONG_CHARS: usize = 32;
const DIFFERENT_CHARS: usize = 10;
/// What others may not do with the file of a key: read it or write to it.
const OTHERS: u32 = 0o007;

/// How the key is, and the keys there are.
pub struct KeyFound {
    /// What was found.
    pub check: Check,
    /// The key that is shown to services, if there is one that can be used.
    pub key: Option<ApiKey>,
}

/// Looks at the key of a server.
pub fn key(environment: Environment<'_>) -> KeyFound {
    let keys = match internal_keys(environment, &mut Resolved::default()) {
        Ok(keys) => keys,
        Err(error) => {
            let fix = format!("put a key there: {MAKE_ONE}");
            return KeyFound {
                check: Check::problem("key", error.to_string(), fix),
                key: None,
            };
        }
    };
    let count = keys.len();
    let Some(key) = keys.into_iter().next() else {
        let found = "there is no key: neither INTERNAL_API_KEY nor INTERNAL_API_KEY_FILE is set, and there is no /etc/portcullis/internal-api-key";
        return KeyFound {
            check: Check::problem(
                "key",
                found,
                format!("{MAKE_ONE}, and bring the same to the other server"),
            ),
            key: None,
        };
    };
    let check = if is_weak(key.expose()) {
        Check::warning(
            "key",
            format!(
                "the key can be guessed: it has {} characters, {} of them different",
                key.expose().len(),
                different(key.expose())
            ),
            format!("take another on both servers: {MAKE_ONE}"),
        )
    } else if let Some(path) = open_to_others(environment) {
        Check::warning(
            "key",
            format!("everybody on this machine may read {path}, which holds the key"),
            format!("chmod 0640 {path}"),
        )
    } else {
        Check::ok("key", format!("{count} key(s), strong"))
    };
    KeyFound {
        check,
        key: Some(key),
    }
}

const MAKE_ONE: &str = "`openssl rand -hex 32 > /etc/portcullis/internal-api-key`";

fn is_weak(key: &str) -> bool {
    key.len() < STRONG_CHARS || different(key) < DIFFERENT_CHARS
}

fn different(key: &str) -> usize {
    key.bytes().collect::<BTreeSet<u8>>().len()
}

/// The file of the key, if others may read it.
fn open_to_others(environment: Environment<'_>) -> Option<String> {
    if environment("INTERNAL_API_KEY").is_some() {
        return None;
    }
    let path = environment("INTERNAL_API_KEY_FILE")?;
    let metadata = std::fs::metadata(&path).ok()?;
    (metadata.mode() & OTHERS != 0).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_people_think_of_are_weak() {
        for weak in [
            "change-me-please",
            "password-password-password-password",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(is_weak(weak), "{weak}");
        }
        assert!(!is_weak(
            "5f0c7d2be1a94836b0d1e2f3a4958677c0ffee0123456789abcdef0011223344"
        ));
        assert!(!is_weak("pX9v0kQm3tYb7LrZ2wHs6NcE1aGd8uJf"));
    }
}
