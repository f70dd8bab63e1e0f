-- name: add_dispatch_system
INSERT INTO dispatch_systems (system_id, name, token_sha256, every_zone, may_close, added_at_ms)
VALUES (:system_id, :name, :token_sha256, :every_zone, :may_close, :now_ms);

-- name: add_dispatch_zone
INSERT INTO dispatch_zones (system_id, zone) VALUES (:system_id, :zone) ON CONFLICT DO NOTHING;

-- name: dispatch_system_named
SELECT * FROM dispatch_systems WHERE name = :name AND revoked_at_ms IS NULL;

-- name: dispatch_system
SELECT * FROM dispatch_systems WHERE system_id = :system_id;

-- name: dispatch_systems
SELECT s.*, (SELECT group_concat(zone, ', ') FROM dispatch_zones z WHERE z.system_id = s.system_id) AS zones,
       (SELECT max(at_ms) FROM dispatch_requests r WHERE r.system_id = s.system_id) AS acted_at_ms
FROM dispatch_systems s ORDER BY added_at_ms, system_id;

-- name: dispatch_system_of_token
SELECT * FROM dispatch_systems WHERE token_sha256 = :token_sha256;

-- name: revoke_dispatch_system
UPDATE dispatch_systems SET revoked_at_ms = :now_ms WHERE name = :name AND revoked_at_ms IS NULL;

-- Whether an incident is of a zone of the system's: that of its case, or that which exercises.
-- name: incident_of_system
SELECT i.incident_id FROM incidents i LEFT JOIN cases c USING (case_id)
     JOIN dispatch_systems s ON s.system_id = :system_id
WHERE i.incident_id = :incident_id AND (every_zone OR EXISTS (
    SELECT 1 FROM dispatch_zones z WHERE z.system_id = s.system_id AND z.zone = coalesce(i.exercise, c.zone)));

-- name: dispatch_request
SELECT * FROM dispatch_requests WHERE system_id = :system_id AND key = :key;

-- name: add_dispatch_request
INSERT INTO dispatch_requests (system_id, key, request_sha256, answer, at_ms)
VALUES (:system_id, :key, :request_sha256, :answer, :now_ms);

-- name: forget_dispatch_requests
DELETE FROM dispatch_requests WHERE at_ms < :before_ms;
