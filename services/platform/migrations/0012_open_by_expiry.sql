-- Only what is under way expires: an upload that comes whole has no row there to be written.
DROP INDEX uploads_by_expiry;
CREATE INDEX uploads_open_by_expiry ON uploads (expires_at) WHERE state IN ('open', 'held');
