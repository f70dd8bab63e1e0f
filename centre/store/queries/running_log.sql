-- What people did and wrote, without the many positions.
-- name: running_log
SELECT * FROM log WHERE incident_id = :incident_id AND kind IN
    ('advanced', 'called_off', 'escalated', 'remark', 'patrol', 'passed_on', 'given_back', 'taken_over',
     'closing', 'close_undone', 'corrected', 'reopened', 'order_step')
ORDER BY seq;

-- name: owner
SELECT * FROM owners WHERE incident_id = :incident_id;

-- name: set_owner
INSERT INTO owners (incident_id, actor, name, since_ms, is_new)
VALUES (:incident_id, :actor, :name, :now_ms, :is_new)
ON CONFLICT DO UPDATE SET actor = :actor, name = :name, since_ms = :now_ms, is_new = :is_new;

-- name: see_owned
UPDATE owners SET is_new = 0 WHERE incident_id = :incident_id AND actor = :actor AND is_new;

-- All that somebody has and that is not closed.
-- name: open_alarms_of_owner
SELECT i.incident_id FROM owners o JOIN incidents i USING (incident_id)
WHERE o.actor = :actor AND i.stage < 4 AND i.held = 0 AND i.erased_at_ms IS NULL ORDER BY i.incident_id;

-- name: colleagues
SELECT user_id, name FROM users
WHERE role = :role AND disabled_at_ms IS NULL ORDER BY name COLLATE NOCASE, user_id LIMIT :at_most;

-- name: closing
SELECT * FROM closings WHERE incident_id = :incident_id;

-- name: add_closing
INSERT INTO closings (incident_id, reason, actor, name, at_ms, due_at_ms)
VALUES (:incident_id, :reason, :actor, :name, :now_ms, :due_at_ms);

-- name: forget_closing
DELETE FROM closings WHERE incident_id = :incident_id;

-- Where the clock was set back, nobody knows how long it has waited: it is due.
-- name: closings_due
SELECT * FROM closings WHERE due_at_ms <= :now_ms OR at_ms > :now_ms + 1000 ORDER BY due_at_ms LIMIT :at_most;

-- name: finding
SELECT * FROM findings WHERE incident_id = :incident_id;

-- name: press_finding
SELECT * FROM press_findings WHERE incident_id = :incident_id;

-- name: add_correction
INSERT INTO corrections (incident_id, reason, actor, name, at_ms)
VALUES (:incident_id, :reason, :actor, :name, :now_ms);

-- name: following_incident
SELECT l.incident_id FROM incidents i
     JOIN incidents l ON l.device_id = i.device_id AND l.event = i.event AND l.counter = i.counter
WHERE i.incident_id = :incident_id AND l.follows = i.incident_id;

-- Of a closed alarm the one that goes on after it, if that is open: the last of the same press.
-- name: open_after
SELECT l.incident_id FROM incidents i
     JOIN incidents l ON l.device_id = i.device_id AND l.event = i.event AND l.counter = i.counter
WHERE i.incident_id = :incident_id AND l.rowid > i.rowid AND l.stage < :closed
ORDER BY l.rowid DESC LIMIT 1;

-- name: open_again
INSERT INTO incidents (incident_id, device_id, event, counter, opened_at_ms, case_id, device_revoked, exercise, follows)
SELECT :incident_id, device_id, event, counter, :now_ms, case_id, device_revoked, exercise, incident_id
FROM incidents WHERE incident_id = :follows;

-- What was known of the press goes on with the alarm that follows.
-- name: take_on_alarms
INSERT INTO alarms (incident_id, bridge_id, path, heard_at_ms, age_s, age_is_lower_bound, pressed_at_ms,
                    battery_percent, model, received_at_ms, repeated_at_ms, posts, redated_at_ms)
SELECT :incident_id, bridge_id, path, heard_at_ms, age_s, age_is_lower_bound, pressed_at_ms,
       battery_percent, model, received_at_ms, repeated_at_ms, posts, redated_at_ms
FROM alarms WHERE incident_id = :follows;

-- name: take_on_fixes
INSERT INTO fixes (device_id, incident_id, bridge_id, method, lat, lon, radius_m, confidence, taken_at_ms,
                   received_at_ms, arrived_ms, source, marks, age_s)
SELECT device_id, :incident_id, bridge_id, method, lat, lon, radius_m, confidence, taken_at_ms,
       received_at_ms, arrived_ms, source, marks, age_s
FROM fixes WHERE incident_id = :follows ORDER BY fix_id;

-- name: take_on_call_off
INSERT INTO call_offs (incident_id, called_off_at_ms, repeated_at_ms, duress, duress_at_ms, duress_seen_at_ms)
SELECT :incident_id, called_off_at_ms, repeated_at_ms, duress, duress_at_ms, duress_seen_at_ms
FROM call_offs WHERE incident_id = :follows;

-- name: forget_escalation
DELETE FROM escalations WHERE incident_id = :incident_id;

-- name: erase_owners
DELETE FROM owners WHERE incident_id = :incident_id;

-- name: erase_closings
DELETE FROM closings WHERE incident_id = :incident_id;

-- name: erase_corrections
DELETE FROM corrections WHERE incident_id = :incident_id;

-- name: standing_order
SELECT * FROM standing_orders WHERE zone = :zone;

-- name: zone_of_incident
SELECT c.zone FROM incidents i JOIN cases c USING (case_id) WHERE i.incident_id = :incident_id;

-- name: write_standing_order
INSERT INTO standing_orders (zone, steps, changed_at_ms, actor, name)
VALUES (:zone, :steps, :now_ms, :actor, :name)
ON CONFLICT DO UPDATE SET steps = :steps, changed_at_ms = :now_ms, actor = :actor, name = :name;

-- Who has an alarm, what becomes of it, and what it was.
-- name: standing_of_alarm
SELECT i.follows, o.actor AS owner, o.name AS owner_name, o.since_ms AS owner_since_ms,
       g.reason AS closing_reason, g.name AS closing_by, g.due_at_ms AS closing_at_ms,
       f.reason AS finding, f.actor AS finding_by
FROM incidents i LEFT JOIN owners o USING (incident_id) LEFT JOIN closings g USING (incident_id)
     LEFT JOIN findings f ON f.incident_id = i.incident_id
WHERE i.incident_id = :incident_id;

-- Of the same case; of a button without one, of the same button without one.
-- name: earlier_alarms
SELECT i.incident_id, i.opened_at_ms, i.stage, count(*) OVER () AS in_all,
       (SELECT reason FROM findings f WHERE f.incident_id = i.incident_id) AS reason
FROM incidents i
WHERE i.event = :alarm AND i.held = 0 AND i.erased_at_ms IS NULL AND i.incident_id < :incident_id
      AND i.case_id IS :case_id AND (:case_id IS NOT NULL OR i.device_id = :device_id)
ORDER BY i.incident_id DESC LIMIT :at_most;

-- By an id, a telephone number or words of the case's names; `find` empty: any.
-- name: found_alarms
SELECT i.incident_id, i.device_id, i.case_id, i.opened_at_ms, i.stage, c.zone, o.name AS owner_name,
       (SELECT reason FROM findings f WHERE f.incident_id = i.incident_id) AS reason
FROM incidents i LEFT JOIN cases c USING (case_id) LEFT JOIN owners o USING (incident_id)
WHERE i.event = :alarm AND i.held = 0 AND i.erased_at_ms IS NULL
      AND i.opened_at_ms >= :since_ms AND i.opened_at_ms < :until_ms AND i.incident_id < :before
      AND (:zone = '' OR c.zone = :zone)
      AND (:reason = '' OR :reason = (SELECT reason FROM findings f WHERE f.incident_id = i.incident_id))
      AND (:find = '' OR upper(i.incident_id) = :any_id OR i.device_id = :any_id OR i.case_id = :any_id
           OR EXISTS (SELECT 1 FROM case_words w WHERE w.word_mac = :phone AND w.case_id = i.case_id)
           OR (EXISTS (SELECT 1 FROM case_words w WHERE w.word_mac = :word_1 AND w.case_id = i.case_id)
               AND EXISTS (SELECT 1 FROM case_words w WHERE w.word_mac = :word_2 AND w.case_id = i.case_id)
               AND EXISTS (SELECT 1 FROM case_words w WHERE w.word_mac = :word_3 AND w.case_id = i.case_id)
               AND EXISTS (SELECT 1 FROM case_words w WHERE w.word_mac = :word_4 AND w.case_id = i.case_id)))
ORDER BY i.incident_id DESC LIMIT :at_most;

-- name: zones
SELECT zone FROM cases UNION SELECT zone FROM users WHERE zone IS NOT NULL ORDER BY zone;
