use std::fmt;

use portcullis_types::Sha256Digest;
use subtle::ConstantTimeEq;

/// The key that the web host shows to services in `X-API-Key`. It never appears in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Box<str>);

/// The text cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key is 16 to 512 printable ASCII characters without spaces; make one with `openssl rand -hex 32`"
)]
pub struct InvalidApiKey;

impl ApiKey {
    /// Reads a key; white space around it, as a file may have, is not part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let text = text.trim();
        let fits = (16..=512).contains(&text.len());
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if fits && printable {
            Ok(Self(text.into()))
        } else {
            Err(InvalidApiKey)
        }
    }

    /// Whether this is what somebody shows. Takes the same time whatever is shown.
    pub fn is(&self, shown: &[u8]) -> bool {
        // Digests have one length, which the comparison needs.
        let [own, shown] = [self.0.as_bytes(), shown].map(Sha256Digest::of);
        own.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// The key itself, for the header and the comparison.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}
