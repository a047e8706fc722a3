-- Uploads that are not over, by who sends them: how many one sender has open.
CREATE INDEX uploads_open_by_subject ON uploads (json_extract(created, '$.principal.subject')) WHERE state IN ('open', 'held');
