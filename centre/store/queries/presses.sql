-- name: device
SELECT * FROM devices WHERE device_id = :device_id;

-- name: some_devices
SELECT device_id, root_sealed FROM devices LIMIT 8;

-- name: add_device
INSERT INTO devices (device_id, kind, board, root_sealed, alive_period_s, capabilities, imported_at_ms)
VALUES (:device_id, :kind, :board, :root_sealed, :alive_period_s, :capabilities, :now_ms);

-- name: set_capabilities
UPDATE devices SET capabilities = :capabilities WHERE device_id = :device_id;

-- name: revoke_device
UPDATE devices SET revoked_at_ms = :now_ms WHERE device_id = :device_id AND revoked_at_ms IS NULL;

-- name: set_pins
UPDATE devices SET pin_hash = :pin_hash, duress_pin_hash = :duress_pin_hash WHERE device_id = :device_id;

-- name: devices
SELECT d.*,
       (SELECT count(*) FROM bridge_devices bd JOIN bridges b USING (bridge_id)
        WHERE bd.device_id = d.device_id AND b.revoked_at_ms IS NULL) AS bridges,
       EXISTS (SELECT 1 FROM bridge_devices bd JOIN bridges b USING (bridge_id)
               WHERE bd.device_id = d.device_id AND b.revoked_at_ms IS NOT NULL) AS trackable,
       (SELECT max(opened_at_ms) FROM incidents i WHERE i.device_id = d.device_id AND i.follows IS NULL) AS last_press_at_ms,
       s.heard_at_ms, s.battery_mv, s.low, s.faults
FROM devices d
     LEFT JOIN button_states s ON s.device_id = d.device_id AND s.bridge_id =
         (SELECT bridge_id FROM button_states b WHERE b.device_id = d.device_id
          ORDER BY heard_at_ms DESC, told_at_ms DESC, bridge_id LIMIT 1)
ORDER BY d.rowid;  -- as they were imported

-- How many press counters have come, the highest, and whether a bridge that is not revoked has told that one.
-- Asked with every heartbeat, so it is one query with the counter of signs of life.
-- name: counters_in_short
SELECT count, highest,
       (SELECT coalesce(max(t.alive_counter), 0) FROM button_states t JOIN bridges b USING (bridge_id)
        WHERE t.device_id = :device_id AND b.revoked_at_ms IS NULL) AS alive,
       EXISTS (SELECT 1 FROM incidents i JOIN alarms a USING (incident_id)
                    LEFT JOIN bridges b ON b.bridge_id = a.bridge_id
               WHERE i.device_id = :device_id AND i.event IN (1, 2) AND i.counter = highest
                     AND b.revoked_at_ms IS NULL) AS is_live
FROM (SELECT count(DISTINCT counter) AS count, coalesce(max(counter), 0) AS highest FROM incidents
      WHERE device_id = :device_id AND event IN (1, 2) AND counter < :spare_first);

-- Each press counter that has come, rising, and whether a bridge that is not revoked, or the button, has told it.
-- name: press_counters
SELECT counter, max(EXISTS (SELECT 1 FROM alarms a LEFT JOIN bridges b USING (bridge_id)
                            WHERE a.incident_id = i.incident_id AND b.revoked_at_ms IS NULL)) AS is_live
FROM incidents i WHERE device_id = :device_id AND counter < :spare_first
GROUP BY counter ORDER BY counter;

-- What one bridge told first of one button lately, and the last incident of those.
-- name: share_of_presses
SELECT count(*) AS count FROM incidents
WHERE device_id = :device_id AND first_bridge_id IS :bridge_id AND event = :event AND opened_at_ms > :since_ms;

-- name: last_of_share
SELECT * FROM incidents
WHERE device_id = :device_id AND first_bridge_id IS :bridge_id AND event = :event AND erased_at_ms IS NULL
ORDER BY opened_at_ms DESC, rowid DESC LIMIT 1;

-- name: count_press
UPDATE incidents SET more_presses = more_presses + 1 WHERE incident_id = :incident_id;

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

-- name: devices_of_bridge
SELECT d.* FROM devices d JOIN bridge_devices USING (device_id)
WHERE bridge_id = :bridge_id ORDER BY device_id;

-- name: device_of_bridge
SELECT d.* FROM devices d JOIN bridge_devices USING (device_id)
WHERE device_id = :device_id AND bridge_id = :bridge_id;

-- name: bridges
SELECT b.*, s.alive_at_ms, s.battery_percent, s.troubles, group_concat(bd.device_id, ' ') AS device_ids
FROM bridges b JOIN bridge_devices bd USING (bridge_id) LEFT JOIN bridge_states s USING (bridge_id)
GROUP BY bridge_id ORDER BY b.rowid;

-- name: newest_bridges
SELECT b.*, s.alive_at_ms,
       (SELECT group_concat(device_id, ' ') FROM bridge_devices bd WHERE bd.bridge_id = b.bridge_id) AS device_ids
FROM bridges b LEFT JOIN bridge_states s USING (bridge_id)
ORDER BY b.rowid DESC LIMIT :at_most;

-- name: bridge
SELECT * FROM bridges WHERE bridge_id = :bridge_id;

-- name: revoke_bridge
UPDATE bridges SET revoked_at_ms = coalesce(revoked_at_ms, :now_ms) WHERE bridge_id = :bridge_id;

-- The button of a press, the incident if the press is known, and the case that the button served when it was
-- pressed: all that decides what becomes of it.
-- name: press_of_bridge
SELECT d.device_id, d.epoch, d.root_sealed, d.revoked_at_ms, b.revoked_at_ms AS bridge_revoked_at_ms,
       i.incident_id, i.erased_at_ms, i.stage,
       k.zone AS check_zone, e.zone, e.begins_at_ms, e.ends_at_ms,
       (SELECT case_id FROM assignments h
        WHERE h.device_id = d.device_id AND (taken_back_at_ms IS NULL
              OR taken_back_at_ms > max(:heard_at_ms, b.enrolled_at_ms) - :age_ms)
        ORDER BY given_at_ms LIMIT 1) AS case_id
FROM bridge_devices bd JOIN devices d USING (device_id) JOIN bridges b USING (bridge_id)
     LEFT JOIN incidents i ON i.device_id = d.device_id AND i.event = :event AND i.counter = :counter
                              AND i.follows IS NULL
     LEFT JOIN check_buttons k ON k.device_id = d.device_id LEFT JOIN exercises e ON e.device_id = d.device_id
WHERE bd.bridge_id = :bridge_id AND bd.device_id = :device_id;

-- The same of a press that the button itself has brought; when, is not for it to say.
-- name: press_of_button
SELECT d.device_id, d.epoch, d.root_sealed, d.revoked_at_ms, i.incident_id, i.erased_at_ms, i.stage,
       (SELECT count(*) FROM incidents s
        WHERE s.device_id = d.device_id AND s.first_bridge_id IS NULL AND s.event = :event
              AND s.opened_at_ms > :since_ms) AS lately,
       k.zone AS check_zone, e.zone, e.begins_at_ms, e.ends_at_ms,
       (SELECT case_id FROM assignments h
        WHERE h.device_id = d.device_id AND (taken_back_at_ms IS NULL OR taken_back_at_ms > :pressed_at_ms)
        ORDER BY given_at_ms LIMIT 1) AS case_id
FROM devices d
     LEFT JOIN incidents i ON i.device_id = d.device_id AND i.event = :event AND i.counter = :counter
                              AND i.follows IS NULL
     LEFT JOIN check_buttons k ON k.device_id = d.device_id LEFT JOIN exercises e ON e.device_id = d.device_id
WHERE d.device_id = :device_id;

-- Of a press whose alarm was closed too early and opened again: the one that goes on.
-- name: incident_of_press
SELECT * FROM incidents WHERE device_id = :device_id AND event = :event AND counter = :counter
ORDER BY rowid DESC LIMIT 1;

-- name: incident
SELECT i.*, d.kind, d.board, d.epoch, d.root_sealed
FROM incidents i JOIN devices d USING (device_id)
WHERE incident_id = :incident_id;

-- name: incident_of_bridge
SELECT i.*, b.revoked_at_ms AS bridge_revoked_at_ms
FROM incidents i JOIN bridge_devices bd USING (device_id) JOIN bridges b USING (bridge_id)
WHERE incident_id = :incident_id AND bridge_id = :bridge_id;

-- name: open_incident
INSERT INTO incidents (incident_id, device_id, event, counter, opened_at_ms, case_id, device_revoked, held,
                       exercise, first_bridge_id)
VALUES (:incident_id, :device_id, :event, :counter, :now_ms, :case_id, :device_revoked, :device_revoked,
        :exercise, :bridge_id);

-- name: add_alarm
INSERT INTO alarms (incident_id, bridge_id, path, heard_at_ms, age_s, age_is_lower_bound, pressed_at_ms,
                    battery_percent, model, received_at_ms, repeated_at_ms)
VALUES (:incident_id, :bridge_id, :path, :heard_at_ms, :age_s, :age_is_lower_bound, :pressed_at_ms,
        :battery_percent, :model, :now_ms, :now_ms)
ON CONFLICT DO UPDATE SET posts = posts + 1, repeated_at_ms = :now_ms;

-- name: arrival
SELECT * FROM alarms
WHERE incident_id = :incident_id AND coalesce(bridge_id, '') = coalesce(:bridge_id, '') AND path = :path;

-- What the button said of the press after it was posted. What a bridge has once said of it stays.
-- name: tell_age
UPDATE alarms SET age_s = :age_s, age_is_lower_bound = :age_is_lower_bound, pressed_at_ms = :pressed_at_ms,
                  redated_at_ms = iif(pressed_at_ms = :pressed_at_ms, NULL, :now_ms)
WHERE incident_id = :incident_id AND coalesce(bridge_id, '') = coalesce(:bridge_id, '') AND path = :path
      AND age_s IS NULL;

-- The bridge's word that stands (schema.sql).
-- name: standing_arrival
SELECT * FROM alarms WHERE incident_id = :incident_id ORDER BY weight_ms DESC, received_at_ms LIMIT 1;

-- name: add_fix
INSERT INTO fixes (device_id, incident_id, bridge_id, method, lat, lon, radius_m, confidence, taken_at_ms,
                   age_s, source, marks, received_at_ms, arrived_ms)
VALUES (:device_id, :incident_id, :bridge_id, :method, :lat, :lon, :radius_m, :confidence, :taken_at_ms,
        :age_s, :source, :marks, :now_ms, :now_ms)
ON CONFLICT DO NOTHING;

-- name: add_receipt
INSERT INTO receipts (incident_id, stage, proof, at_ms) VALUES (:incident_id, :stage, :proof, :now_ms);

-- name: last_receipt
SELECT * FROM receipts WHERE incident_id = :incident_id ORDER BY stage DESC LIMIT 1;

-- name: receipts_after
SELECT * FROM receipts WHERE incident_id = :incident_id AND seq > :seq ORDER BY seq;

-- name: receipts
SELECT * FROM receipts WHERE incident_id = :incident_id ORDER BY seq;

-- name: fixes_of_bridge
SELECT count(*) AS count FROM fixes WHERE incident_id = :incident_id AND bridge_id IS :bridge_id;

-- name: pin_attempts
SELECT * FROM pin_attempts WHERE device_id = :device_id;

-- name: set_pin_attempts
INSERT INTO pin_attempts (device_id, attempts, locked_until_ms) VALUES (:device_id, :attempts, :locked_until_ms)
ON CONFLICT DO UPDATE SET attempts = :attempts, locked_until_ms = :locked_until_ms;

-- name: call_off
SELECT * FROM call_offs WHERE incident_id = :incident_id;

-- Duress once is duress for ever, and is seen anew only where it is new.
-- name: add_call_off
INSERT INTO call_offs (incident_id, called_off_at_ms, repeated_at_ms, duress, duress_at_ms)
VALUES (:incident_id, :now_ms, :now_ms, :duress, iif(:duress, :now_ms, NULL))
ON CONFLICT DO UPDATE SET repeated_at_ms = :now_ms, duress = max(duress, :duress),
                          duress_at_ms = coalesce(duress_at_ms, excluded.duress_at_ms);

-- name: see_duress
UPDATE call_offs SET duress_seen_at_ms = :now_ms
WHERE incident_id = :incident_id AND duress AND duress_seen_at_ms IS NULL;

-- name: add_act
INSERT INTO acts (incident_id, stage, reason, note, actor, name, at_ms)
VALUES (:incident_id, :stage, :reason, :note, :actor, :name, :now_ms);
