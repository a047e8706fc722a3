-- Revisions that must hold in the shadow before they become active; at most one of them runs.
CREATE TABLE policy_trials (
    revision    INTEGER PRIMARY KEY REFERENCES policy_revisions (number),
    started_at  INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    seconds     INTEGER NOT NULL,
    percent     REAL    NOT NULL,       -- of the uploads that it has judged, how many it may newly refuse
    min_uploads INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('running', 'enforced', 'dropped')),
    ended_at    INTEGER,
    reason      TEXT
) STRICT;
CREATE UNIQUE INDEX policy_trials_running ON policy_trials (state) WHERE state = 'running';
