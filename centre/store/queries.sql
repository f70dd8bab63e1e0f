-- name: device
SELECT * FROM devices WHERE device_id = :device_id;

-- name: any_device
SELECT * FROM devices LIMIT 1;

-- name: add_device
INSERT INTO devices (device_id, kind, board, root_sealed, alive_period_s, imported_at_ms)
VALUES (:device_id, :kind, :board, :root_sealed, :alive_period_s, :now_ms);

-- name: revoke_device
UPDATE devices SET revoked_at_ms = :now_ms WHERE device_id = :device_id AND revoked_at_ms IS NULL;

-- name: set_pins
UPDATE devices SET pin_hash = :pin_hash, duress_pin_hash = :duress_pin_hash WHERE device_id = :device_id;

-- name: devices
SELECT d.*,
       (SELECT count(*) FROM bridge_devices bd JOIN bridges b USING (bridge_id)
        WHERE bd.device_id = d.device_id AND b.revoked_at_ms IS NULL) AS bridges,
       (SELECT max(opened_at_ms) FROM incidents i WHERE i.device_id = d.device_id) AS last_press_at_ms
FROM devices d ORDER BY imported_at_ms, device_id;

-- name: press_counter
SELECT coalesce(max(counter), 0) AS counter FROM incidents
WHERE device_id = :device_id AND counter < :spare_first;

-- name: enrolment
SELECT * FROM enrolments WHERE code_sha256 = :code_sha256;

-- name: add_enrolment
INSERT INTO enrolments (code_sha256, device_id, expires_at_ms)
VALUES (:code_sha256, :device_id, :expires_at_ms);

-- name: use_enrolment
UPDATE enrolments SET used_at_ms = :now_ms, bridge_id = :bridge_id WHERE code_sha256 = :code_sha256;

-- name: add_bridge
INSERT INTO bridges (bridge_id, token_sha256, enrolled_at_ms) VALUES (:bridge_id, :token_sha256, :now_ms);

-- name: add_bridge_device
INSERT INTO bridge_devices (bridge_id, device_id) VALUES (:bridge_id, :device_id);

-- name: bridge_of_token
SELECT * FROM bridges WHERE token_sha256 = :token_sha256;

-- name: device_of_bridge
SELECT d.* FROM devices d JOIN bridge_devices USING (device_id)
WHERE device_id = :device_id AND bridge_id = :bridge_id;

-- name: bridges
SELECT b.*, group_concat(bd.device_id, ' ') AS device_ids
FROM bridges b JOIN bridge_devices bd USING (bridge_id)
GROUP BY bridge_id ORDER BY enrolled_at_ms, bridge_id;

-- name: revoke_bridge
UPDATE bridges SET revoked_at_ms = coalesce(revoked_at_ms, :now_ms) WHERE bridge_id = :bridge_id;

-- name: incident_of_press
SELECT * FROM incidents WHERE device_id = :device_id AND event = :event AND counter = :counter;

-- name: incident
SELECT i.*, d.kind, d.board, d.epoch, d.root_sealed,
       (SELECT max(stage) FROM receipts r WHERE r.incident_id = i.incident_id) AS stage
FROM incidents i JOIN devices d USING (device_id)
WHERE incident_id = :incident_id;

-- name: incident_of_bridge
SELECT i.*, b.revoked_at_ms AS bridge_revoked_at_ms
FROM incidents i JOIN bridge_devices bd USING (device_id) JOIN bridges b USING (bridge_id)
WHERE incident_id = :incident_id AND bridge_id = :bridge_id;

-- name: open_incident
INSERT INTO incidents (incident_id, device_id, event, counter, opened_at_ms, device_revoked)
VALUES (:incident_id, :device_id, :event, :counter, :now_ms, :device_revoked);

-- name: add_alarm
INSERT INTO alarms (incident_id, bridge_id, path, heard_at_ms, age_s, pressed_at_ms, battery_percent, model,
                    received_at_ms, repeated_at_ms)
VALUES (:incident_id, :bridge_id, :path, :heard_at_ms, :age_s, :pressed_at_ms, :battery_percent, :model,
        :now_ms, :now_ms)
ON CONFLICT DO UPDATE SET posts = posts + 1, repeated_at_ms = :now_ms;

-- name: add_fix
INSERT INTO fixes (device_id, incident_id, bridge_id, method, lat, lon, radius_m, confidence, taken_at_ms,
                   received_at_ms)
VALUES (:device_id, :incident_id, :bridge_id, :method, :lat, :lon, :radius_m, :confidence, :taken_at_ms,
        :now_ms)
ON CONFLICT DO NOTHING;

-- name: add_receipt
INSERT INTO receipts (incident_id, stage, proof, at_ms) VALUES (:incident_id, :stage, :proof, :now_ms);

-- name: last_receipt
SELECT * FROM receipts WHERE incident_id = :incident_id ORDER BY stage DESC LIMIT 1;

-- name: receipts_after
SELECT * FROM receipts WHERE incident_id = :incident_id AND seq > :seq ORDER BY seq;

-- name: receipts
SELECT * FROM receipts WHERE incident_id = :incident_id ORDER BY seq;

-- name: alarms
SELECT * FROM alarms WHERE incident_id = :incident_id ORDER BY received_at_ms;

-- name: fixes
SELECT * FROM fixes WHERE incident_id = :incident_id ORDER BY taken_at_ms DESC, fix_id DESC LIMIT 10;

-- Newest first, but of one button only so many: whoever floods us with one must not hide another.
-- name: untaken_alarms
SELECT * FROM (
    SELECT i.*, i.rowid AS number, d.kind, d.board, 1 AS stage, count(*) OVER () AS untaken,
           row_number() OVER (PARTITION BY device_id ORDER BY opened_at_ms DESC, i.rowid DESC) AS place
    FROM incidents i JOIN devices d USING (device_id)
    WHERE event = :alarm
      AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.incident_id = i.incident_id AND r.stage > 1))
WHERE place <= :of_one_button ORDER BY opened_at_ms DESC, number DESC LIMIT :at_most;

-- name: taken_alarms
SELECT * FROM (
    SELECT i.*, d.kind, d.board,
           (SELECT max(stage) FROM receipts r WHERE r.incident_id = i.incident_id) AS stage
    FROM incidents i JOIN devices d USING (device_id)
    WHERE event = :alarm ORDER BY opened_at_ms DESC, i.rowid DESC)
WHERE stage > 1 LIMIT :at_most;

-- name: last_tests
SELECT * FROM incidents WHERE event = :test ORDER BY opened_at_ms DESC, rowid DESC LIMIT :at_most;
