use std::fmt;

use portcullis_types::{Principal, Sha256Digest, Timestamp};
use rusqlite::{OptionalExtension, named_params};

use super::{CatalogError, Rows};

/// A bearer token: 256 random bits behind `pcls_`, so that secret scanners can know it. It is shown once,
/// when it is made; the catalog keeps its digest.
#[derive(Clone)]
pub struct Token(String);

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id, by which it is revoked.
    pub id: String,
    /// Who it stands for.
    pub principal: Principal,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// A new token.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to give.
    pub fn generate() -> Self {
        Self(format!("pcls_{}", random_hex::<32>()))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// So many random bytes in hexadecimal.
fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    hex::encode(bytes)
}

impl TokenRow {
    /// Keeps a new token for somebody.
    pub fn add(
        rows: &Rows,
        token: &Token,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Self, CatalogError> {
        let id = random_hex::<4>();
        let groups: Vec<&str> = principal.groups().collect();
        rows.execute(
            "INSERT INTO tokens (id, subject, groups, sha256, created_at)
             VALUES (:id, :subject, :groups, :sha256, :created_at)",
            named_params! {
                ":id": id,
                ":subject": principal.subject(),
                ":groups": serde_json::to_string(&groups)?,
                ":sha256": Sha256Digest::of(token.expose().as_bytes()).to_string(),
                ":created_at": now.as_ms(),
            },
        )?;
        Ok(Self {
            id,
            principal: principal.clone(),
            created_at: now,
            revoked_at: None,
        })
    }

    /// Who a token stands for, unless it is not known or was revoked.
    pub fn principal_of(rows: &Rows, token: &str) -> Result<Option<Principal>, CatalogError> {
        // Looked up by the digest of 256 random bits: what the time of the look-up tells, nobody can use.
        let digest = Sha256Digest::of(token.as_bytes()).to_string();
        let found = rows
            .prepare_cached(&format!(
                "{SELECT} WHERE sha256 = ?1 AND revoked_at IS NULL"
            ))?
            .query_row([digest], |row| Ok(read(row)))
            .optional()?;
        Ok(found.transpose()?.map(|row| row.principal))
    }

    /// All tokens, oldest first.
    pub fn all(rows: &Rows) -> Result<Vec<Self>, CatalogError> {
        rows.prepare(&format!("{SELECT} ORDER BY created_at, id"))?
            .query_map([], |row| Ok(read(row)))?
            .collect::<Result<Result<Vec<_>, _>, _>>()?
    }

    /// Revokes a token. Absent when there is none with this id that is still good.
    pub fn revoke(rows: &Rows, id: &str, now: Timestamp) -> Result<Option<Self>, CatalogError> {
        let revoked = rows.execute(
            "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
            rusqlite::params![id, now.as_ms()],
        )?;
        if revoked == 0 {
            return Ok(None);
        }
        let row = rows.query_row(&format!("{SELECT} WHERE id = ?1"), [id], |row| {
            Ok(read(row))
        })?;
        row.map(Some)
    }
}

const SELECT: &str = "SELECT id, subject, groups, created_at, revoked_at FROM tokens";

fn read(row: &rusqlite::Row<'_>) -> Result<TokenRow, CatalogError> {
    let groups: Vec<String> = serde_json::from_str(&row.get::<_, String>(2)?)?;
    let subject: String = row.get(1)?;
    let moment = |ms: i64| Timestamp::from_ms(ms).map_err(|_| CatalogError::Damaged);
    Ok(TokenRow {
        id: row.get(0)?,
        principal: Principal::new(&subject, groups).map_err(|_| CatalogError::Damaged)?,
        created_at: moment(row.get(3)?)?,
        revoked_at: row.get::<_, Option<i64>>(4)?.map(moment).transpose()?,
    })
}
