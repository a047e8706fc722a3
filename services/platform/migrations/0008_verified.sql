-- Versions: when their bytes were last compared with their digest, so that a comparison that was interrupted goes on.
ALTER TABLE versions ADD COLUMN verified_at INTEGER;
