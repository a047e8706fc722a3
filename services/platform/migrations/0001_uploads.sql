-- Uploads: one row each, from creation until it expires. What was said of it stays when its bytes are gone.
CREATE TABLE uploads (
    id          TEXT    PRIMARY KEY,
    state       TEXT    NOT NULL CHECK (state IN ('open', 'held', 'quarantined', 'committing', 'committed',
                                                  'rejected', 'cancelled', 'expired')),
    epoch       INTEGER NOT NULL,
    offset      INTEGER NOT NULL,
    hash_state  BLOB    NOT NULL,       -- tagged with its format; holds up to 63 bytes of the data
    disk        TEXT,                   -- none: refused before it had one
    created     TEXT    NOT NULL,       -- JSON: what it was created as
    commitment  TEXT,                   -- JSON: the commit that ended it
    receipt     TEXT,                   -- JSON
    conclusion  TEXT,                   -- JSON: the conclusion that ended it
    expires_at  INTEGER NOT NULL        -- milliseconds since 1970, here and everywhere
) STRICT;
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- Versions: one row for every file that was ever stored. The row is the commit point.
CREATE TABLE versions (
    upload      TEXT    PRIMARY KEY REFERENCES uploads (id),
    disk        TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    size        INTEGER NOT NULL,
    sha256      TEXT    NOT NULL,
    media_type  TEXT,
    metadata    TEXT    NOT NULL,       -- JSON: the attributes
    quarantined INTEGER NOT NULL,
    stored_at   INTEGER NOT NULL,
    deleted_at  INTEGER,
    linked      INTEGER NOT NULL DEFAULT 0,  -- whether the visible link is known to agree with this row
    UNIQUE (disk, path, version)
) STRICT;
CREATE INDEX versions_unlinked ON versions (disk, path) WHERE linked = 0;

-- Audit: one row for each action, written in the transaction of the action. Never changed.
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    upload      TEXT,
    disk        TEXT,
    path        TEXT,
    version     INTEGER,
    trace_id    TEXT,
    details     TEXT                    -- JSON
) STRICT;
CREATE INDEX audit_by_path ON audit (disk, path);

-- Bearer tokens of uploaders. Only the SHA-256 of a token is kept: it is 256 random bits.
CREATE TABLE tokens (
    id          TEXT    PRIMARY KEY,
    subject     TEXT    NOT NULL,
    groups      TEXT    NOT NULL,       -- JSON: a list
    sha256      TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;
