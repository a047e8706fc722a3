-- Audit: one row for each action, written in the transaction of the action. What a row says may be erased; that there
-- was a row is never changed. The rows of a writer are a chain: each has the digest of the one before it.
ALTER TABLE audit RENAME TO audit_unchained;
DROP INDEX audit_by_path;
CREATE TABLE audit (
    writer       TEXT    NOT NULL,
    sequence     INTEGER NOT NULL CHECK (sequence > 0),
    at           INTEGER NOT NULL,
    action       TEXT    NOT NULL,
    -- What the row says; all of it is NULL once it was erased.
    subject      TEXT,
    client       TEXT,                  -- the address that it was done from
    upload       TEXT,
    disk         TEXT,
    path         TEXT,
    version      INTEGER,
    trace_id     TEXT,
    details      TEXT,                  -- JSON
    salt         BLOB,
    -- SHA-256 of the salt and the JSON of [subject, client, upload, disk, path, version, trace_id, details].
    payload_hash BLOB    NOT NULL,
    -- SHA-256 of the JSON of ["portcullis audit row 1", writer, sequence, at, action, payload_hash, hash of the row before].
    hash         BLOB    NOT NULL,
    PRIMARY KEY (writer, sequence)
) STRICT;
CREATE INDEX audit_by_path ON audit (disk, path);
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_upload ON audit (upload);
CREATE INDEX audit_by_time ON audit (at);

-- The newest row of each writer, signed anew in each transaction that adds one. Without a signature only within it.
CREATE TABLE audit_heads (
    writer       TEXT    PRIMARY KEY,
    sequence     INTEGER NOT NULL,      -- 0: there is no row yet
    at           INTEGER NOT NULL,      -- when that row was written
    hash         BLOB    NOT NULL,      -- of that row; before the first, 32 times 0
    key          TEXT,                  -- the public key
    signature    BLOB
) STRICT;
INSERT INTO audit_heads (writer, sequence, at, hash)
    VALUES (lower(hex(randomblob(8))), 0, 0, zeroblob(32));

-- Heads that were put away, as they can be sent off the host.
CREATE TABLE audit_checkpoints (
    writer       TEXT    NOT NULL,
    sequence     INTEGER NOT NULL,
    note         TEXT    NOT NULL,
    PRIMARY KEY (writer, sequence)
) STRICT;
