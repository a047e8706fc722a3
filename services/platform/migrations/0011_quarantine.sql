-- How many files are in quarantine, and how many bytes these are, is looked up again and again.
CREATE INDEX uploads_quarantined ON uploads (offset) WHERE state = 'quarantined';
