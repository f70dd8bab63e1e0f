-- name: log_head
SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1;

-- name: add_log
INSERT INTO log (seq, at_ms, kind, actor, incident_id, case_id, device_id, sealed, digest, hash)
VALUES (:seq, :at_ms, :kind, :actor, :incident_id, :case_id, :device_id, :sealed, :digest, :hash);

-- name: log_entries
SELECT * FROM log ORDER BY seq;

-- name: log_of_incident
SELECT * FROM log WHERE incident_id = :incident_id ORDER BY seq;

-- name: log_of_case
SELECT * FROM log WHERE case_id = :case_id ORDER BY seq;
