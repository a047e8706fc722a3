//! The newest row of a writer, signed: what is before it cannot be changed or cut off without that being seen. In the
//! form of a signed note (C2SP, "Note format": a text, an empty line, and a line with the signature).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_types::{PublicKey, Sha256Digest, Timestamp};
use rusqlite::{OptionalExtension, Row};

use crate::catalog::{CatalogError, Rows};

/// The first line of the text: what is signed, and in which form.
const ORIGIN: &str = "portcullis audit checkpoint 1";
/// Before a signature's line comes an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";
/// The algorithm in the id of a key: Ed25519.
const ED25519: u8 = 1;
const KEY_ID_BYTES: usize = 4;

/// The newest row of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose row.
    pub writer: String,
    /// Its number: that of the rows up to it.
    pub sequence: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Its digest, which depends on all rows before it.
    pub hash: Sha256Digest,
}

/// The text is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no signed checkpoint as `portcullis-services audit checkpoint` prints it")]
pub struct InvalidCheckpoint;

/// A checkpoint and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    key_id: [u8; KEY_ID_BYTES],
    signature: [u8; 64],
}

impl Checkpoint {
    /// From the columns writer, sequence, at and hash.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let at = Timestamp::from_ms(row.get(2)?);
        Ok(Self {
            writer: row.get(0)?,
            sequence: row.get(1)?,
            at: at.map_err(|_| rusqlite::Error::IntegralValueOutOfRange(2, 0))?,
            hash: Sha256Digest::from_bytes(row.get(3)?),
        })
    }

    /// What is signed.
    pub fn text(&self) -> String {
        let Self {
            writer,
            sequence,
            at,
            hash,
        } = self;
        format!("{ORIGIN}\nwriter {writer}\nsequence {sequence}\nat {at}\nhash {hash}\n")
    }

    /// The name of the key that signs for a writer.
    fn key_name(&self) -> String {
        format!("portcullis-audit-{}", self.writer)
    }

    fn key_id(&self, key: &PublicKey) -> [u8; KEY_ID_BYTES] {
        let name = self.key_name();
        let of = [name.as_bytes(), b"\n", &[ED25519], key.as_bytes()].concat();
        let digest = Sha256Digest::of(&of);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest.as_bytes()[..KEY_ID_BYTES]);
        id
    }

    /// With the signature that this key made of it.
    pub fn signed(self, key: &PublicKey, signature: [u8; 64]) -> SignedCheckpoint {
        SignedCheckpoint {
            key_id: self.key_id(key),
            checkpoint: self,
            signature,
        }
    }
}

impl SignedCheckpoint {
    /// From the columns of a head: writer, sequence, at, hash, key and signature.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, CatalogError> {
        let key: Option<String> = row.get(4)?;
        let key = key.and_then(|key| key.parse().ok());
        let signature: Option<[u8; 64]> = row.get(5)?;
        match (key, signature) {
            (Some(key), Some(signature)) => Ok(Checkpoint::read(row)?.signed(&key, signature)),
            _ => Err(CatalogError::Damaged),
        }
    }

    /// The newest row of this catalog. Absent while there is none.
    pub fn newest(rows: &Rows) -> Result<Option<Self>, CatalogError> {
        let newest = rows
            .prepare_cached(
                "SELECT writer, sequence, at, hash, key, signature FROM audit_heads WHERE sequence > 0",
            )?
            .query_row([], |row| Ok(Self::read(row)))
            .optional()?;
        newest.transpose()
    }

    /// Puts it away. Says whether it is new.
    pub fn put_away(&self, rows: &Rows) -> Result<bool, CatalogError> {
        let Checkpoint {
            writer, sequence, ..
        } = &self.checkpoint;
        let new = rows
            .prepare_cached("INSERT OR IGNORE INTO audit_checkpoints (writer, sequence, note) VALUES (?1, ?2, ?3)")?
            .execute((writer, sequence, self.to_string()))?;
        Ok(new > 0)
    }

    /// Which of these keys signed it.
    pub fn signer<'a>(&self, keys: &'a [PublicKey]) -> Option<&'a PublicKey> {
        let text = self.checkpoint.text();
        let signed = |key: &&PublicKey| {
            self.key_id == self.checkpoint.key_id(key) && key.has_signed(&text, &self.signature)
        };
        keys.iter().find(signed)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = STANDARD.encode([&self.key_id[..], &self.signature].concat());
        let (text, name) = (self.checkpoint.text(), self.checkpoint.key_name());
        write!(f, "{text}\n{SIGNATURE}{name} {signature}\n")
    }
}

impl FromStr for SignedCheckpoint {
    type Err = InvalidCheckpoint;

    fn from_str(note: &str) -> Result<Self, InvalidCheckpoint> {
        parse(note).ok_or(InvalidCheckpoint)
    }
}

fn parse(note: &str) -> Option<SignedCheckpoint> {
    let note = note.replace("\r\n", "\n");
    let (text, signatures) = note.trim_start().split_once("\n\n")?;
    let mut lines = text.lines();
    if lines.next()? != ORIGIN {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let checkpoint = Checkpoint {
        writer: field("writer")?.to_owned(),
        sequence: field("sequence")?.parse().ok()?,
        at: field("at")?.parse().ok()?,
        hash: field("hash")?.parse().ok()?,
    };
    let name = checkpoint.key_name();
    let by_us = |line: &str| {
        let signature = line
            .strip_prefix(SIGNATURE)?
            .strip_prefix(&name)?
            .strip_prefix(' ')?;
        STANDARD.decode(signature.trim_end()).ok()
    };
    let signature = signatures.lines().find_map(by_us)?;
    let (key_id, signature) = signature.split_at_checked(KEY_ID_BYTES)?;
    let signed = SignedCheckpoint {
        checkpoint,
        key_id: key_id.try_into().ok()?,
        signature: signature.try_into().ok()?,
    };
    // What is not read must not be taken for signed.
    (signed.checkpoint.text().trim_end() == text.trim_end()).then_some(signed)
}

#[cfg(test)]
mod tests {
    use portcullis_types::SigningKey;
    use proptest::prelude::*;

    use super::*;

    fn signed(key: &SigningKey, sequence: i64) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            writer: "0123456789abcdef".to_owned(),
            sequence,
            at: "2026-11-26T00:00:00.000Z".parse().expect("is a moment"),
            hash: Sha256Digest::of(b"a row"),
        };
        let signature = key.sign_text(&checkpoint.text());
        checkpoint.signed(&key.public(), signature)
    }

    #[test]
    fn a_checkpoint_is_signed_by_one_key_and_nothing_of_it_can_be_changed() {
        let (one, other) = (
            SigningKey::from_seed([1; 32]),
            SigningKey::from_seed([2; 32]),
        );
        let keys = [other.public(), one.public()];
        let note = signed(&one, 120).to_string();
        let read: SignedCheckpoint = note.parse().expect("parses");
        assert_eq!(read.signer(&keys), Some(&one.public()));
        assert_eq!(read.signer(&[other.public()]), None);
        let mailed: SignedCheckpoint = note.replace('\n', "\r\n").parse().expect("parses");
        assert_eq!(mailed, read);
        let changed: SignedCheckpoint = note.replace("120", "119").parse().expect("parses");
        assert_eq!(changed.signer(&keys), None);
        let longer = note.replace("\n\n", "\nand more\n\n");
        assert_eq!(longer.parse::<SignedCheckpoint>(), Err(InvalidCheckpoint));
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_refused(text in any::<String>(), cut in any::<prop::sample::Index>()) {
            let _ = text.parse::<SignedCheckpoint>();
            let note = signed(&SigningKey::from_seed([1; 32]), 7).to_string();
            let cut = note.char_indices().map(|(at, _)| at).nth(cut.index(note.chars().count())).unwrap_or(0);
            let _ = note[..cut].parse::<SignedCheckpoint>();
        }
    }
}
