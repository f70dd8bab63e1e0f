-- name: log_head
SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1;

-- name: add_log
INSERT INTO log (seq, at_ms, kind, actor, incident_id, case_id, device_id, salt, content, digest, hash)
VALUES (:seq, :at_ms, :kind, :actor, :incident_id, :case_id, :device_id, :salt, :content, :digest, :hash);
