-- What policies in the shadow would have said about uploads. Kept for 30 days.
CREATE TABLE shadow_verdicts (
    upload      TEXT    NOT NULL,
    candidate   TEXT    NOT NULL,       -- the digest of the set that the policy belongs to
    policy      TEXT    NOT NULL,
    digest      TEXT    NOT NULL,       -- of its component
    at          INTEGER NOT NULL,
    revision    TEXT    NOT NULL,       -- the digest of the set that decided
    decided     TEXT    NOT NULL CHECK (decided IN ('accept', 'quarantine', 'reject')),
    decided_by  TEXT,                   -- the policy that refused it or set it apart
    verdict     TEXT    NOT NULL,
    rule        TEXT,
    passes      INTEGER,                -- none: it has not judged
    incomplete  TEXT,                   -- why not
    attributes  TEXT    NOT NULL,       -- JSON
    rules       TEXT    NOT NULL,       -- JSON: how often each was broken
    PRIMARY KEY (upload, candidate, policy)
) STRICT, WITHOUT ROWID;
CREATE INDEX shadow_verdicts_by_time ON shadow_verdicts (at);
CREATE INDEX shadow_verdicts_by_candidate ON shadow_verdicts (candidate, at);
