-- name: case
SELECT * FROM cases WHERE case_id = :case_id;

-- name: case_of_zone
SELECT * FROM cases WHERE case_id = :case_id AND zone = :zone AND erased_at_ms IS NULL;

-- name: open_case
INSERT INTO cases (case_id, zone, file_sealed, opened_at_ms, changed_at_ms)
VALUES (:case_id, :zone, :file_sealed, :now_ms, :now_ms);

-- name: change_case
UPDATE cases SET file_sealed = :file_sealed, changed_at_ms = :now_ms WHERE case_id = :case_id;

-- name: close_case
UPDATE cases SET closed_at_ms = :now_ms WHERE case_id = :case_id;

-- name: reopen_case
UPDATE cases SET closed_at_ms = NULL WHERE case_id = :case_id;

-- name: erase_case
UPDATE cases SET file_sealed = NULL, due_on = NULL, erased_at_ms = :now_ms WHERE case_id = :case_id;

-- name: forget_words
DELETE FROM case_words WHERE case_id = :case_id;

-- name: add_word
INSERT INTO case_words (word_mac, case_id) VALUES (:word_mac, :case_id) ON CONFLICT DO NOTHING;

-- What the list shows of each case is read for one page alone.
-- name: open_cases
SELECT * FROM cases
WHERE zone = :zone AND closed_at_ms IS NULL AND erased_at_ms IS NULL
      AND (opened_at_ms, case_id) < (:before_ms, :before_id)
ORDER BY opened_at_ms DESC, case_id DESC LIMIT :at_most;

-- name: closed_cases
SELECT * FROM cases
WHERE zone = :zone AND closed_at_ms < :before_ms + 1 AND erased_at_ms IS NULL
      AND (closed_at_ms, opened_at_ms, case_id) < (:before_ms, :before_opened_ms, :before_id)
ORDER BY closed_at_ms DESC, opened_at_ms DESC, case_id DESC LIMIT :at_most;

-- By up to four words, all of which must be there.
-- name: found_cases
SELECT c.* FROM case_words w JOIN cases c USING (case_id)
WHERE w.word_mac = :word_1 AND zone = :zone AND erased_at_ms IS NULL
      AND EXISTS (SELECT 1 FROM case_words x WHERE x.word_mac = :word_2 AND x.case_id = w.case_id)
      AND EXISTS (SELECT 1 FROM case_words x WHERE x.word_mac = :word_3 AND x.case_id = w.case_id)
      AND EXISTS (SELECT 1 FROM case_words x WHERE x.word_mac = :word_4 AND x.case_id = w.case_id)
      AND w.case_id > :after_id
ORDER BY w.case_id LIMIT :at_most;

-- By its own id, or by that of a button that it has or had.
-- name: case_of_id
SELECT * FROM cases
WHERE case_id IN (SELECT :any_id UNION ALL SELECT case_id FROM assignments WHERE device_id = :any_id)
      AND +zone = :zone AND erased_at_ms IS NULL AND case_id > :after_id
ORDER BY case_id LIMIT :at_most;

-- name: due_cases
SELECT * FROM cases
WHERE zone = :zone AND closed_at_ms IS NULL AND due_on <= :today
ORDER BY due_on LIMIT :at_most;

-- name: buttons_of_case_count
SELECT count(*) AS count FROM assignments WHERE case_id = :case_id AND taken_back_at_ms IS NULL;

-- name: photo
SELECT * FROM photos WHERE case_id = :case_id AND shows = :shows;

-- name: photos
SELECT shows FROM photos WHERE case_id = :case_id;

-- name: set_photo
INSERT INTO photos (case_id, shows, media_type, image_sealed)
VALUES (:case_id, :shows, :media_type, :image_sealed)
ON CONFLICT DO UPDATE SET media_type = :media_type, image_sealed = :image_sealed;

-- name: remove_photo
DELETE FROM photos WHERE case_id = :case_id AND shows = :shows;

-- name: remove_photos
DELETE FROM photos WHERE case_id = :case_id;

-- name: add_grant
INSERT INTO grants (grant_id, case_id, reference, starts_on, review_on, ends_on, recorded_at_ms)
VALUES (:grant_id, :case_id, :reference, :starts_on, :review_on, :ends_on, :now_ms);

-- The one that counts today is the last.
-- name: grants
SELECT * FROM grants WHERE case_id = :case_id ORDER BY ends_on, starts_on, recorded_at_ms;

-- name: set_review
UPDATE grants SET review_on = :review_on WHERE grant_id = :grant_id;

-- name: end_grant
UPDATE grants SET ended_on = :ended_on WHERE grant_id = :grant_id;

-- name: forget_references
UPDATE grants SET reference = '' WHERE case_id = :case_id;

-- name: set_due
UPDATE cases SET due_on = :due_on WHERE case_id = :case_id;

-- name: hand_out
INSERT INTO assignments (device_id, case_id, given_at_ms) VALUES (:device_id, :case_id, :now_ms);

-- name: end_assignment
UPDATE assignments SET taken_back_at_ms = :now_ms WHERE device_id = :device_id AND taken_back_at_ms IS NULL;

-- name: assignment
SELECT h.*, c.zone FROM assignments h JOIN cases c USING (case_id)
WHERE device_id = :device_id AND taken_back_at_ms IS NULL;

-- name: last_assignment
SELECT * FROM assignments WHERE device_id = :device_id ORDER BY given_at_ms DESC, assignment_id DESC LIMIT 1;

-- name: assignments_of_case
SELECT * FROM assignments WHERE case_id = :case_id ORDER BY given_at_ms, assignment_id;

-- Of a press: the first assignment that had not ended by then. A phone's clock that is behind makes it no
-- stranger's: no phone has heard anything before it was enrolled. A late press of a former assignment, by the
-- button's own word (`age_ms`), is about the case of then.
-- A revoked bridge keeps K_code, which predicts every code to come (wire/SPEC.md).
-- name: trackable
SELECT 1 FROM bridge_devices JOIN bridges USING (bridge_id)
WHERE device_id = :device_id AND revoked_at_ms IS NOT NULL LIMIT 1;

-- name: bridges_of_device
SELECT b.*, s.alive_at_ms, s.battery_percent, s.troubles, t.heard_at_ms, t.in_reach, t.lost_after_s
FROM bridge_devices bd JOIN bridges b USING (bridge_id)
     LEFT JOIN bridge_states s USING (bridge_id)
     LEFT JOIN button_states t ON t.bridge_id = b.bridge_id AND t.device_id = bd.device_id
WHERE bd.device_id = :device_id ORDER BY b.rowid;

-- name: revoke_bridges_of_device
UPDATE bridges SET revoked_at_ms = :now_ms
WHERE revoked_at_ms IS NULL
      AND bridge_id IN (SELECT bridge_id FROM bridge_devices WHERE device_id = :device_id);

-- name: void_enrolments
UPDATE enrolments SET expires_at_ms = min(expires_at_ms, :now_ms)
WHERE device_id = :device_id AND used_at_ms IS NULL;

-- name: forget_pin_attempts
DELETE FROM pin_attempts WHERE device_id = :device_id;

-- name: open_alarms_of_device
SELECT incident_id FROM incidents
WHERE device_id = :device_id AND event = :alarm AND stage < :closed AND held <> 2;

-- What can be handed out: here, in nobody's hand, not revoked, and followed by no former phone.
-- name: free_buttons
SELECT d.device_id, d.board FROM devices d
WHERE revoked_at_ms IS NULL
      AND NOT EXISTS (SELECT 1 FROM assignments h WHERE h.device_id = d.device_id AND h.taken_back_at_ms IS NULL)
      AND NOT EXISTS (SELECT 1 FROM bridge_devices bd JOIN bridges b USING (bridge_id)
                      WHERE bd.device_id = d.device_id AND b.revoked_at_ms IS NOT NULL)
ORDER BY d.rowid LIMIT :at_most;

-- name: last_of_button
SELECT max(opened_at_ms) AS at_ms, count(*) AS count FROM incidents
WHERE device_id = :device_id AND event = :event AND case_id = :case_id AND follows IS NULL;

-- That a duress PIN was used is for operators alone: to the zone it was a real alarm.
-- name: alarms_of_case
SELECT i.*, (SELECT iif(reason = 'duress', 'real', reason) FROM findings f
             WHERE f.incident_id = i.incident_id) AS reason
FROM incidents i
WHERE case_id = :case_id AND event = :alarm ORDER BY opened_at_ms DESC LIMIT :at_most;

-- name: alarms_of_day
SELECT i.*, c.zone, (SELECT iif(reason = 'duress', 'real', reason) FROM press_findings f
                     WHERE f.incident_id = i.incident_id) AS reason
FROM incidents i JOIN cases c USING (case_id)
WHERE event = :event AND follows IS NULL AND i.opened_at_ms >= :begins_ms AND i.opened_at_ms < :ends_ms
      AND (:zone IS NULL OR zone = :zone)
ORDER BY i.opened_at_ms;

-- name: handed_out
SELECT h.device_id, h.case_id, h.given_at_ms, c.zone FROM assignments h JOIN cases c USING (case_id)
WHERE taken_back_at_ms IS NULL AND (:zone IS NULL OR zone = :zone) ORDER BY zone, case_id, device_id;

-- name: due_anywhere
SELECT * FROM cases
WHERE closed_at_ms IS NULL AND due_on <= :today AND (:zone IS NULL OR zone = :zone)
ORDER BY zone, due_on;

-- `+event`: few alarms are held, and the index of those is the one to use.
-- name: held_alarms
SELECT i.*, d.board, d.revoked_at_ms, c.zone, count(*) OVER () AS waiting
FROM incidents i JOIN devices d USING (device_id) LEFT JOIN cases c USING (case_id)
WHERE held = 1 AND +event = :alarm ORDER BY i.opened_at_ms DESC LIMIT :at_most;

-- name: held_count
SELECT count(*) AS count FROM incidents WHERE held = 1 AND +event = :alarm;

-- name: rule_on_held
UPDATE incidents SET held = :held WHERE incident_id = :incident_id AND held = 1 AND event = :alarm;

-- Those that need a hand: revoked, or trackable. Both by their own index, however many others there are.
-- name: buttons_in_need
SELECT d.rowid AS number, d.device_id, d.board, d.revoked_at_ms, h.case_id, c.zone, n.trackable,
       (SELECT max(heard_at_ms) FROM button_states s WHERE s.device_id = d.device_id) AS heard_at_ms
FROM (SELECT device_id, max(trackable) AS trackable
      FROM (SELECT device_id, 0 AS trackable FROM devices WHERE revoked_at_ms IS NOT NULL
            UNION ALL SELECT bd.device_id, 1 FROM bridges b JOIN bridge_devices bd USING (bridge_id)
                      WHERE b.revoked_at_ms IS NOT NULL)
      GROUP BY device_id) n
     JOIN devices d USING (device_id)
     LEFT JOIN assignments h ON h.device_id = d.device_id AND h.taken_back_at_ms IS NULL
     LEFT JOIN cases c USING (case_id)
ORDER BY revoked_at_ms IS NOT NULL DESC, trackable DESC, d.rowid LIMIT :at_most;

-- All, as they were imported.
-- name: buttons_from
SELECT d.rowid AS number, d.device_id, d.board, d.revoked_at_ms, h.case_id, c.zone,
       EXISTS (SELECT 1 FROM bridge_devices bd JOIN bridges b USING (bridge_id)
               WHERE bd.device_id = d.device_id AND b.revoked_at_ms IS NOT NULL) AS trackable,
       (SELECT max(heard_at_ms) FROM button_states s WHERE s.device_id = d.device_id) AS heard_at_ms
FROM devices d LEFT JOIN assignments h ON h.device_id = d.device_id AND h.taken_back_at_ms IS NULL
     LEFT JOIN cases c USING (case_id)
WHERE d.rowid > :after ORDER BY d.rowid LIMIT :at_most;

-- name: buttons_count
SELECT count(*) AS count FROM devices;
