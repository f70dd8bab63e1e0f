-- Whether a button's presses are an exercise: a check button always, another one for some hours.
-- name: exercise_of_device
SELECT k.zone AS check_zone, e.zone, e.begins_at_ms, e.ends_at_ms
FROM devices d LEFT JOIN check_buttons k USING (device_id) LEFT JOIN exercises e USING (device_id)
WHERE d.device_id = :device_id;

-- name: add_check_button
INSERT INTO check_buttons (device_id, zone, added_at_ms) VALUES (:device_id, :zone, :now_ms);

-- name: set_exercise
INSERT INTO exercises (device_id, zone, begins_at_ms, ends_at_ms) VALUES (:device_id, :zone, :now_ms, :ends_at_ms)
ON CONFLICT DO UPDATE SET zone = :zone, begins_at_ms = :now_ms, ends_at_ms = :ends_at_ms;

-- name: end_exercise
UPDATE exercises SET ends_at_ms = :now_ms WHERE device_id = :device_id AND ends_at_ms > :now_ms;

-- name: exercises_running
SELECT * FROM exercises WHERE begins_at_ms <= :now_ms AND ends_at_ms > :now_ms ORDER BY ends_at_ms, device_id;

-- name: check_buttons
SELECT k.* FROM check_buttons k JOIN devices d USING (device_id)
WHERE d.revoked_at_ms IS NULL ORDER BY zone, k.added_at_ms;

-- name: add_desk_check
INSERT INTO desk_checks (incident_id, zone, opened_at_ms, confirmed_at_ms, user_id, sound_heard)
VALUES (:incident_id, :zone, :opened_at_ms, :now_ms, :user_id, :sound_heard)
ON CONFLICT DO NOTHING;

-- name: desk_check
SELECT c.*, u.name FROM desk_checks c JOIN users u USING (user_id) WHERE incident_id = :incident_id;

-- The last of each zone and each operator, the newest first.
-- name: last_desk_checks
SELECT c.*, u.name, max(confirmed_at_ms) FROM desk_checks c JOIN users u USING (user_id)
GROUP BY c.zone, c.user_id ORDER BY c.zone, confirmed_at_ms DESC LIMIT :at_most;

-- name: erase_desk_checks
DELETE FROM desk_checks WHERE incident_id = :incident_id;
