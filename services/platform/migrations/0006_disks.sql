-- Which disk each name stood for when files were first stored under it.
CREATE TABLE disks (
    name        TEXT    PRIMARY KEY,
    id          TEXT,                   -- what its file `.portcullis/disk` says; none: whatever is found next
    since       INTEGER NOT NULL
) STRICT;

-- Versions: whose quota they count for, and when their bytes were removed for good.
ALTER TABLE versions ADD COLUMN cohort TEXT;
ALTER TABLE versions ADD COLUMN purged_at INTEGER;
UPDATE versions SET cohort = json_extract(metadata, '$.cohort');

-- How many bytes of versions lie on a disk, by cohort; '' for those without one. Kept by the triggers, so that no way
-- to change a version can forget it. Bytes are there until a version is purged, or discarded from quarantine.
CREATE TABLE usage (
    disk        TEXT    NOT NULL,
    cohort      TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    PRIMARY KEY (disk, cohort)
) STRICT, WITHOUT ROWID;
INSERT INTO usage (disk, cohort, bytes)
    SELECT disk, coalesce(cohort, ''), sum(size) FROM versions
    WHERE NOT (quarantined = 1 AND deleted_at IS NOT NULL) GROUP BY 1, 2;
CREATE TRIGGER usage_of_new_versions AFTER INSERT ON versions BEGIN
    INSERT INTO usage (disk, cohort, bytes) VALUES (NEW.disk, coalesce(NEW.cohort, ''), NEW.size)
        ON CONFLICT (disk, cohort) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER usage_of_versions_that_go AFTER UPDATE OF quarantined, deleted_at, purged_at ON versions
    WHEN (OLD.purged_at IS NULL AND NOT (OLD.quarantined = 1 AND OLD.deleted_at IS NOT NULL))
        AND NOT (NEW.purged_at IS NULL AND NOT (NEW.quarantined = 1 AND NEW.deleted_at IS NOT NULL))
BEGIN
    UPDATE usage SET bytes = bytes - OLD.size
        WHERE disk = OLD.disk AND cohort = coalesce(OLD.cohort, '');
END;

-- What is under way, which also needs room.
CREATE INDEX uploads_open ON uploads (disk) WHERE state IN ('open', 'held');
