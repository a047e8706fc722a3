-- Files of policy revisions, by their digest. What no revision has goes after a day.
CREATE TABLE policy_files (
    sha256      TEXT    PRIMARY KEY,
    bytes       BLOB    NOT NULL,
    added_at    INTEGER NOT NULL
) STRICT;

-- Revisions of the policies. Never changed and never removed: they say what ran.
CREATE TABLE policy_revisions (
    number      INTEGER PRIMARY KEY CHECK (number > 0),
    digest      TEXT    NOT NULL,       -- over code, settings and resources together
    base        INTEGER,                -- what was active when it was sent
    at          INTEGER NOT NULL,
    subject     TEXT    NOT NULL,       -- the key
    author      TEXT    NOT NULL,       -- who says that they sent it
    note        TEXT    NOT NULL
) STRICT;
CREATE TABLE policy_revision_files (
    revision    INTEGER NOT NULL REFERENCES policy_revisions (number),
    name        TEXT    NOT NULL,
    sha256      TEXT    NOT NULL REFERENCES policy_files (sha256),
    fixture     INTEGER NOT NULL,       -- whether it only says if the revision may serve
    PRIMARY KEY (revision, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX policy_revision_files_by_sha256 ON policy_revision_files (sha256);

-- Which revision was active from when on. The last one is.
CREATE TABLE policy_activations (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    revision    INTEGER NOT NULL REFERENCES policy_revisions (number),
    at          INTEGER NOT NULL,
    subject     TEXT    NOT NULL,
    author      TEXT    NOT NULL,
    note        TEXT    NOT NULL
) STRICT;
