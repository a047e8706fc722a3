use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Sha256Digest;
use crate::parsed::conversions_from_text;

/// What keys and signatures are written with: the algorithm (RFC 8032).
const ALGORITHM: &str = "ed25519:";
/// What is signed is this and the digest of the component: a signature of anything else says nothing about components.
const CONTEXT: &[u8] = b"portcullis policy component 1\n";

/// The key that signatures are checked with, written as `ed25519:` and 64 hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// The key that signs, written likewise. It never appears in debug output.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

/// That whoever has a key vouches for a component, written as `ed25519:`, the public key, `:` and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentSignature {
    key: PublicKey,
    signature: [u8; 64],
}

/// The text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is `ed25519:` and 64 hexadecimal characters; `portcullis key generate` makes one")]
pub struct InvalidKey;

/// The text is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signature is `ed25519:`, a public key, `:` and 128 hexadecimal characters; `portcullis policy sign` makes one"
)]
pub struct InvalidSignature;

impl SigningKey {
    /// The key that follows from 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The key that its signatures are checked with.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.pair().pk)
    }

    /// Vouches for the component with this digest.
    pub fn sign(&self, component: Sha256Digest) -> ComponentSignature {
        ComponentSignature {
            key: self.public(),
            signature: *self.pair().sk.sign(message(component), None),
        }
    }

    /// Signs a text. It must begin with a line that says what it is, so that it is never taken for something else that
    /// was signed, such as a component.
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        *self.pair().sk.sign(text, None)
    }

    /// The key itself, to be kept in a file.
    pub fn expose(&self) -> String {
        format!("{ALGORITHM}{}", hex::encode(self.0))
    }

    fn pair(&self) -> ed25519_compact::KeyPair {
        ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(self.0))
    }
}

impl PublicKey {
    /// The 32 bytes of the key (RFC 8032, 5.1.5).
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the one who has this key signed a text.
    pub fn has_signed(&self, text: &str, signature: &[u8; 64]) -> bool {
        self.verifies(text.as_bytes(), signature)
    }

    fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = ed25519_compact::PublicKey::new(self.0);
        let signature = ed25519_compact::Signature::new(*signature);
        key.verify(message, &signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl ComponentSignature {
    /// Whose it says that it is.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether the one who has that key vouches for the component with this digest.
    pub fn is_of(&self, component: Sha256Digest) -> bool {
        self.key.verifies(&message(component), &self.signature)
    }
}

fn message(component: Sha256Digest) -> Vec<u8> {
    [CONTEXT, component.as_bytes()].concat()
}

fn key_bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.trim().strip_prefix(ALGORITHM)?;
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

impl FromStr for SigningKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        key_bytes(text).map(Self).ok_or(InvalidKey)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        key_bytes(text).map(Self).ok_or(InvalidKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", hex::encode(self.0))
    }
}

conversions_from_text!(PublicKey, InvalidKey);

impl FromStr for ComponentSignature {
    type Err = InvalidSignature;

    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        let (key, digits) = text.trim().rsplit_once(':').ok_or(InvalidSignature)?;
        let key = key.parse().map_err(|_| InvalidSignature)?;
        let mut signature = [0; 64];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| InvalidSignature)?;
        Ok(Self { key, signature })
    }
}

impl fmt::Display for ComponentSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, hex::encode(self.signature))
    }
}

/// Whose components may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Those whose signatures count.
    pub keys: Vec<PublicKey>,
    /// Whether a component needs a signature of one of them.
    pub is_required: bool,
}

/// A component that may not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It has no signature.
    #[error(
        "it is not signed, and `require-signature` is set; sign it with `portcullis policy sign`"
    )]
    Unsigned,
    /// What should be its signature is none.
    #[error("its signature cannot be read: {0}")]
    Unreadable(#[from] InvalidSignature),
    /// It is signed with a key that does not count here.
    #[error(
        "it is signed with {0}, which is not one of `trusted-keys`; have it signed by somebody whose key is, or add that one"
    )]
    UnknownKey(PublicKey),
    /// It is not what was signed.
    #[error(
        "it is not what was signed with {0}: it or its signature was altered; take both from where they were made"
    )]
    Altered(PublicKey),
}

impl Trust {
    /// Whether a component may run, and who vouches for it. A signature by a key that counts must be one of this
    /// component even where none is required.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(
        &self,
        component: Sha256Digest,
        signature: Option<&str>,
    ) -> Result<Option<PublicKey>, Untrusted> {
        let Some(text) = signature else {
            return if self.is_required {
                Err(Untrusted::Unsigned)
            } else {
                Ok(None)
            };
        };
        let signature: ComponentSignature = match text.parse() {
            Ok(signature) => signature,
            Err(_) if !self.is_required => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let key = signature.key();
        let is_known = self.keys.contains(&key);
        match (is_known, signature.is_of(component)) {
            (true, true) => Ok(Some(key)),
            (true, false) => Err(Untrusted::Altered(key)),
            (false, _) if self.is_required => Err(Untrusted::UnknownKey(key)),
            (false, _) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_test_vector_of_rfc_8032_has_this_public_key() {
        let seed = "ed25519:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key: SigningKey = seed.parse().expect("is a key");
        let public = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public().to_string(), public);
        assert_eq!(key.expose(), seed);
        assert!(!format!("{key:?}").contains("9d61"));
    }

    #[test]
    fn a_signed_text_is_signed_by_one_key() {
        let (one, other) = (
            SigningKey::from_seed([1; 32]),
            SigningKey::from_seed([2; 32]),
        );
        let signature = one.sign_text("a text");
        assert!(one.public().has_signed("a text", &signature));
        assert!(!one.public().has_signed("a tex", &signature));
        assert!(!other.public().has_signed("a text", &signature));
    }

    #[test]
    fn a_signature_is_of_one_component_by_one_key() {
        let (one, other) = (
            SigningKey::from_seed([1; 32]),
            SigningKey::from_seed([2; 32]),
        );
        let component = Sha256Digest::of(b"component");
        let text = one.sign(component).to_string();
        let trust = |keys: &[PublicKey], is_required| Trust {
            keys: keys.to_vec(),
            is_required,
        };
        let strict = trust(&[one.public()], true);
        assert_eq!(strict.check(component, Some(&text)), Ok(Some(one.public())));
        assert_eq!(strict.check(component, None), Err(Untrusted::Unsigned));
        let altered = Sha256Digest::of(b"componenT");
        for trust in [&strict, &trust(&[one.public()], false)] {
            let checked = trust.check(altered, Some(&text));
            assert_eq!(checked, Err(Untrusted::Altered(one.public())));
        }
        let by_other = other.sign(component).to_string();
        let checked = strict.check(component, Some(&by_other));
        assert_eq!(checked, Err(Untrusted::UnknownKey(other.public())));
        // Somebody else's signature under a known name.
        let claimed = by_other.replace(&other.public().to_string(), &one.public().to_string());
        let checked = strict.check(component, Some(&claimed));
        assert_eq!(checked, Err(Untrusted::Altered(one.public())));
        for text in ["", "ed25519:00", "rsa:0:0"] {
            assert!(matches!(
                strict.check(component, Some(text)),
                Err(Untrusted::Unreadable(_))
            ));
        }
        let open = Trust::default();
        assert_eq!(open.check(component, None), Ok(None));
        assert_eq!(open.check(component, Some(&text)), Ok(None));
    }
}
