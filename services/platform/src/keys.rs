//! Who may call: keys with scopes, compared in constant time.

use http::HeaderMap;
use portcullis_hop::{ApiKey, Problem, ProblemKind, wire};
use portcullis_types::{Principal, Sha256Digest};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// What a web host needs: uploads, and who tokens belong to.
    Stages,
    /// The file API under `/internal/storage/`.
    Files,
    /// Everything else.
    Admin,
}

/// A key that is accepted.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, which stands in the audit.
    pub name: String,
    /// The digest of the key: all digests have one length, which the comparison needs.
    digest: Sha256Digest,
    scopes: Vec<Scope>,
}

/// All keys that are accepted.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

impl Key {
    /// A key with its name and what it allows.
    pub fn new(name: &str, key: &ApiKey, scopes: Vec<Scope>) -> Self {
        Self {
            name: name.to_owned(),
            digest: Sha256Digest::of(key.expose().as_bytes()),
            scopes,
        }
    }

    /// Who acts with this key.
    pub fn principal(&self) -> Principal {
        Principal::new(&format!("key:{}", self.name), [""; 0])
            .unwrap_or_else(|_| Principal::anonymous())
    }
}

impl Keys {
    /// These keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a request shows, if it has one of the scopes that allow what is asked; at least one.
    ///
    /// # Errors
    /// 401 without a key, 403 with a wrong one or one that does not allow it. Never a redirect.
    pub fn authorise(&self, headers: &HeaderMap, scopes: &[Scope]) -> Result<&Key, Problem> {
        let shown = headers.get(wire::API_KEY).ok_or_else(|| {
            let detail = "The request has no key; send it in the header X-API-Key.";
            Problem::new(ProblemKind::Unauthenticated, detail)
        })?;
        let shown = Sha256Digest::of(shown.as_bytes());
        // All are compared, so that the time does not tell which one was close.
        let mut found = None;
        for key in &self.0 {
            if key.digest.as_bytes().ct_eq(shown.as_bytes()).into() {
                found = Some(key);
            }
        }
        let found = found.ok_or_else(|| {
            let detail = "The key in X-API-Key is not one that services accept; compare INTERNAL_API_KEY on both servers.";
            Problem::new(ProblemKind::Forbidden, detail)
        })?;
        if !found.scopes.iter().any(|scope| scopes.contains(scope)) {
            let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let detail = format!(
                "The key `{}` does not allow this; it needs the scope `{}`.",
                found.name,
                words.join("` or `")
            );
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        Ok(found)
    }
}

impl Scope {
    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stages => "stages",
            Self::Files => "files",
            Self::Admin => "admin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(shown: Option<&str>, scope: Scope) -> Result<String, u16> {
        let key = |text: &str| ApiKey::parse(text).expect("is a key");
        let keys = Keys::new(vec![
            Key::new("web", &key("0123456789abcdef-web"), vec![Scope::Stages]),
            Key::new("files", &key("0123456789abcdef-files"), vec![Scope::Files]),
        ]);
        let mut headers = HeaderMap::new();
        if let Some(shown) = shown {
            headers.insert(wire::API_KEY, shown.parse().expect("is a header"));
        }
        let authorised = keys.authorise(&headers, &[scope]);
        authorised
            .map(|key| key.name.clone())
            .map_err(|problem| problem.status)
    }

    #[test]
    fn no_key_is_401_and_a_wrong_key_or_scope_403() {
        assert_eq!(answer(None, Scope::Stages), Err(401));
        assert_eq!(
            answer(Some("0123456789abcdef-wek"), Scope::Stages),
            Err(403)
        );
        assert_eq!(answer(Some("0123456789abcdef-web"), Scope::Files), Err(403));
        let web = answer(Some("0123456789abcdef-web"), Scope::Stages);
        assert_eq!(web, Ok("web".to_owned()));
    }
}
