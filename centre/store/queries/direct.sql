-- Buttons and how far they are, as they were imported: a page of them.
-- name: direct_buttons
SELECT d.rowid AS number, d.device_id, d.epoch, d.root_sealed,
       s.n, s.seq, s.began_at_ms, coalesce(s.is_restored, 0) AS is_restored
FROM devices d LEFT JOIN direct_sessions s USING (device_id)
WHERE d.rowid > :after ORDER BY d.rowid LIMIT :at_most;

-- name: set_direct_session
INSERT INTO direct_sessions (device_id, n, seq, began_at_ms) VALUES (:device_id, :n, :seq, :began_at_ms)
ON CONFLICT DO UPDATE SET n = :n, seq = :seq, began_at_ms = :began_at_ms, is_restored = 0
WHERE (:n, :seq) > (n, seq);

-- Out of a backup: those that it does not know of may have spoken since, too.
-- name: restore_direct_sessions
INSERT INTO direct_sessions (device_id, n, seq, began_at_ms, is_restored)
SELECT device_id, 0, -1, 0, 1 FROM devices WHERE true
ON CONFLICT DO UPDATE SET is_restored = 1;

-- A kind of cell that is not told is the one before.
-- name: hear_carrier
INSERT INTO carrier_states (device_id, carrier, heard_at_ms, signal_dbm, battery_mv, flags, error, error_at_ms, network)
VALUES (:device_id, :carrier, :now_ms, :signal_dbm, :battery_mv, :flags, :error, iif(:error = 0, NULL, :now_ms), :network)
ON CONFLICT DO UPDATE SET
    error = :error, error_at_ms = iif(:error = 0, NULL, iif(:error = error, error_at_ms, :now_ms)),
    heard_at_ms = :now_ms, signal_dbm = :signal_dbm, battery_mv = coalesce(:battery_mv, battery_mv), flags = :flags,
    network_before = iif(:network <> network, network, network_before),
    network_changed_at_ms = iif(:network <> network, :now_ms, network_changed_at_ms),
    network = coalesce(:network, network);

-- Of a carrier that failed, told over another; since when, is when it was first told.
-- name: set_carrier_error
INSERT INTO carrier_states (device_id, carrier, error, error_at_ms)
VALUES (:device_id, :carrier, :error, :now_ms)
ON CONFLICT DO UPDATE SET error = :error, error_at_ms = :now_ms WHERE error <> :error;

-- Of one that somebody else has had before, only what is of now.
-- name: carriers_of_button
SELECT * FROM carrier_states
WHERE device_id = :device_id AND max(coalesce(heard_at_ms, 0), coalesce(error_at_ms, 0)) >= :since_ms
ORDER BY carrier DESC;

-- Buttons of a case that have a carrier, since when each is in hand.
-- name: buttons_with_carriers
SELECT h.device_id, h.given_at_ms FROM assignments h
WHERE h.case_id = :case_id AND h.taken_back_at_ms IS NULL
      AND EXISTS (SELECT 1 FROM carrier_states s WHERE s.device_id = h.device_id);

-- A button's last silent test of a case, and on which ways it came.
-- name: last_test_of_button
SELECT i.incident_id, i.opened_at_ms,
       (SELECT group_concat(DISTINCT a.path) FROM alarms a WHERE a.incident_id = i.incident_id) AS ways
FROM incidents i
WHERE i.device_id = :device_id AND i.event = :test AND i.case_id = :case_id AND i.erased_at_ms IS NULL
ORDER BY i.opened_at_ms DESC, i.rowid DESC LIMIT 1;

-- When a phone that may still speak heard it last.
-- name: heard_by_phones
SELECT max(heard_at_ms) AS at_ms FROM button_states JOIN bridges USING (bridge_id)
WHERE device_id = :device_id AND revoked_at_ms IS NULL;

-- The alarm or test of a press that goes on, with its highest receipt, and whether it came over this carrier.
-- name: direct_incident
SELECT i.incident_id, i.event, coalesce(i.erased_at_ms, i.positions_erased_at_ms) AS erased_at_ms, r.stage AS receipt_stage, r.proof,
       EXISTS (SELECT 1 FROM alarms a WHERE a.incident_id = i.incident_id AND coalesce(a.bridge_id, '') = ''
               AND a.path = :path) AS is_arrived,
       EXISTS (SELECT 1 FROM fixes f WHERE f.incident_id = i.incident_id AND f.at_ms > :recent_ms) AS has_fix
FROM incidents i JOIN receipts r USING (incident_id)
WHERE i.device_id = :device_id AND i.event = :event AND i.counter = :counter AND i.follows IS NULL
ORDER BY r.stage DESC LIMIT 1;

-- name: keep_sighting
INSERT INTO sightings (incident_id, at_ms, sealed) VALUES (:incident_id, :now_ms, :sealed)
ON CONFLICT DO UPDATE SET at_ms = :now_ms, sealed = :sealed;

-- name: sighting
SELECT * FROM sightings WHERE incident_id = :incident_id;

-- name: erase_sightings
DELETE FROM sightings WHERE incident_id = :incident_id;

-- name: place_networks
SELECT * FROM place_networks WHERE case_id = :case_id;

-- name: set_place_networks
INSERT INTO place_networks (case_id, networks_sealed) VALUES (:case_id, :sealed)
ON CONFLICT DO UPDATE SET networks_sealed = :sealed;

-- name: erase_place_networks
DELETE FROM place_networks WHERE case_id = :case_id;
