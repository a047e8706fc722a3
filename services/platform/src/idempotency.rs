//! Calls that may be sent again without being done again: whoever gives a call a key gets the first answer
//! (draft-ietf-httpapi-idempotency-key-header-07). The answer is recorded in the transaction that does what was
//! asked, so that neither is there without the other.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::{Sha256Digest, Sha256Hasher, Timestamp};
use serde_json::Value;

use crate::catalog::{Catalog, CatalogError, IdempotentCall, Rows};
use crate::fault::Fault;

/// How long an answer is kept.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// What a client calls one of its calls: 1 to 255 visible ASCII characters, in quotes or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to {max} visible ASCII characters", max = IdempotencyKey::MAX_BYTES)]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 255;

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let quoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let text = quoted.unwrap_or(text);
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

/// The calls with a key that are under way.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<HashSet<(String, IdempotencyKey)>>>);

/// A call with a key: nobody else makes it while this lives.
#[derive(Clone, Debug)]
pub struct Once(Arc<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    calls: Calls,
    call: (String, IdempotencyKey),
}

impl Calls {
    /// Begins a call of somebody.
    ///
    /// # Errors
    /// The same one is under way.
    pub fn begin(&self, subject: &str, key: IdempotencyKey) -> Result<Once, Problem> {
        let call = (subject.to_owned(), key);
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !under_way.insert(call.clone()) {
            let detail =
                "A call with this Idempotency-Key is under way; send it again when it has ended.";
            return Err(Problem::new(ProblemKind::IdempotencyKeyInUse, detail));
        }
        drop(under_way);
        let calls = self.clone();
        Ok(Once(Arc::new(UnderWay { calls, call })))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.calls.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.call);
    }
}

impl Once {
    /// How this call was answered before.
    pub async fn earlier(&self, catalog: &Catalog) -> Result<Option<Earlier>, Fault> {
        let (subject, key) = self.0.call.clone();
        let find = move |rows: &Rows| Ok(IdempotentCall::find(rows, &subject, key.as_str())?);
        let found: Result<_, Fault> = catalog.read(find).await;
        Ok(found?.map(Earlier))
    }

    /// The same call once it is known what it asks for.
    pub fn asking(self, what: Asked) -> Answering {
        Answering {
            once: self,
            call: what.digest(),
        }
    }
}

/// What a call asks for: the digest of its name and of all that makes it the one it is.
#[derive(Clone, Debug)]
pub struct Asked(Sha256Hasher);

impl Asked {
    /// A call of this name.
    pub fn new(name: &str) -> Self {
        Self(Sha256Hasher::default()).with(name)
    }

    /// And with this, too.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        // With its length, so that no other parts come to the same bytes.
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn digest(self) -> Sha256Digest {
        self.0.finish()
    }
}

/// A call that was answered before.
#[derive(Clone, Debug)]
pub struct Earlier(IdempotentCall);

impl Earlier {
    /// Its answer, if it asked for the same.
    ///
    /// # Errors
    /// It asked for something else.
    pub fn answer_to(self, what: Asked) -> Result<Value, Problem> {
        if self.0.call == what.digest() {
            return Ok(self.0.answer);
        }
        let detail =
            "This Idempotency-Key came with another call before; give each call a key of its own.";
        Err(Problem::new(ProblemKind::IdempotencyKeyReused, detail))
    }
}

/// A call whose answer is recorded when what it asks for is done.
#[derive(Clone, Debug)]
pub struct Answering {
    once: Once,
    call: Sha256Digest,
}

impl Answering {
    /// Records the answer, in the transaction that does what is asked.
    pub(crate) fn record(
        &self,
        rows: &Rows,
        answer: &Value,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let (subject, key) = &self.once.0.call;
        let call = IdempotentCall {
            call: self.call,
            answer: answer.clone(),
        };
        call.insert(rows, subject, key.as_str(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_text_with_or_without_quotes() {
        let key: IdempotencyKey = "\"8e03978e-40d5\"".parse().expect("is one");
        assert_eq!(Ok(key), "8e03978e-40d5".parse());
        for text in ["", "\"\"", "a b", "ä", &"k".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(InvalidIdempotencyKey));
        }
    }

    #[test]
    fn one_call_at_a_time_has_a_key_and_others_have_theirs() {
        let calls = Calls::default();
        let key: IdempotencyKey = "k".parse().expect("is one");
        let first = calls.begin("a", key.clone()).expect("is free");
        assert!(calls.begin("a", key.clone()).is_err());
        assert!(calls.begin("b", key.clone()).is_ok());
        drop(first);
        assert!(calls.begin("a", key).is_ok());
    }

    #[test]
    fn what_is_asked_does_not_depend_on_how_it_is_cut() {
        let digest = |parts: &[&str]| {
            let asked = Asked::new("upload");
            parts.iter().fold(asked, Asked::with).digest()
        };
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
    }
}
