-- Calls of the file API that came with an Idempotency-Key and changed something. Kept for a day.
CREATE TABLE idempotent_calls (
    subject     TEXT    NOT NULL,       -- the key
    key         TEXT    NOT NULL,
    call        TEXT    NOT NULL,       -- the digest of what was asked
    answer      TEXT    NOT NULL,       -- JSON
    at          INTEGER NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotent_calls_by_time ON idempotent_calls (at);

-- Uploads of the file API that come in numbered chunks: where they go, and what has come.
CREATE TABLE chunked_uploads (
    upload      TEXT    PRIMARY KEY REFERENCES uploads (id),
    path        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (
    upload      TEXT    NOT NULL REFERENCES chunked_uploads (upload),
    number      INTEGER NOT NULL CHECK (number >= 0),
    size        INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
