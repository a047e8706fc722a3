-- The length of an upload in bytes that was created without one, as soon as it is known. What it was created as stays as it was.
ALTER TABLE uploads ADD COLUMN length INTEGER;
