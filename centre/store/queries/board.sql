-- Alarms that nobody has taken, or that were given back: duress first, then who has waited longest; but of one share only so many
-- (centre/rules/fair_share.py): whoever floods us with one must not hide another.
-- name: untaken_alarms
SELECT * FROM (
    SELECT incident_id, opened_at_ms, i.rowid AS number, coalesce(c.duress, 0) AS is_duress, exercise,
           count(*) OVER () AS in_all,
           row_number() OVER (PARTITION BY i.device_id, i.first_bridge_id
                              ORDER BY coalesce(c.duress, 0) DESC, opened_at_ms DESC, i.rowid DESC) AS place
    FROM incidents i LEFT JOIN call_offs c USING (incident_id)
         LEFT JOIN owners o USING (incident_id)
    WHERE event = :alarm AND stage IN (1, 2, 3) AND held = 0 AND erased_at_ms IS NULL
          AND (stage = 1 OR (o.since_ms IS NOT NULL AND o.actor IS NULL
                             AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL))))
WHERE place <= :of_one_share
ORDER BY exercise IS NOT NULL, is_duress DESC, opened_at_ms, number LIMIT :at_most;

-- A duress PIN that nobody has seen, of alarms that somebody had taken, or closed, before.
-- name: unseen_duress
SELECT incident_id, count(*) OVER () AS in_all
FROM call_offs c INDEXED BY duress_not_seen CROSS JOIN incidents i USING (incident_id)  -- few, of very many
WHERE c.duress AND c.duress_seen_at_ms IS NULL AND i.event = :alarm AND i.stage > 1
      AND i.held = 0
ORDER BY c.duress_at_ms DESC, i.rowid DESC LIMIT :at_most;

-- Taken and not closed: duress first, then those for which nothing was sent yet, then the oldest.
-- name: taken_alarms
SELECT incident_id, count(*) OVER () AS in_all
FROM incidents i LEFT JOIN call_offs c USING (incident_id) LEFT JOIN owners o USING (incident_id)
WHERE event = :alarm AND stage IN (2, 3) AND held = 0 AND erased_at_ms IS NULL
      AND NOT (o.since_ms IS NOT NULL AND o.actor IS NULL)
      AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL)
ORDER BY exercise IS NOT NULL, coalesce(c.duress, 0) DESC, stage, opened_at_ms, i.rowid LIMIT :at_most;

-- How many of those each has.
-- name: owned_alarms
SELECT o.actor, count(*) AS count
FROM incidents i JOIN owners o USING (incident_id) LEFT JOIN call_offs c USING (incident_id)
WHERE event = :alarm AND stage IN (2, 3) AND held = 0 AND erased_at_ms IS NULL AND o.actor IS NOT NULL
      AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL)
GROUP BY o.actor;

-- All that are open, or wait because of a duress PIN, as they came: an incident's id rises with time.
-- name: open_alarms
SELECT incident_id
FROM incidents i LEFT JOIN call_offs c USING (incident_id)
WHERE event = :alarm AND held = 0 AND erased_at_ms IS NULL AND incident_id > :after
      AND (stage < 4 OR (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL))
ORDER BY incident_id LIMIT :at_most;

-- name: closed_alarms
SELECT incident_id
FROM incidents i LEFT JOIN call_offs c USING (incident_id)
WHERE event = :alarm AND stage = 4 AND held = 0 AND erased_at_ms IS NULL
      AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL)
ORDER BY opened_at_ms DESC, i.rowid DESC LIMIT :at_most;

-- name: last_tests
SELECT * FROM incidents WHERE event = :test AND stage = 1 AND erased_at_ms IS NULL
ORDER BY opened_at_ms DESC, rowid DESC LIMIT :at_most;

-- What the board shows of one alarm.
-- name: card
SELECT i.incident_id, i.device_id, i.device_revoked, i.opened_at_ms, i.stage, i.case_id, i.more_presses,
       k.file_sealed, i.exercise,
       EXISTS (SELECT 1 FROM check_buttons b WHERE b.device_id = i.device_id) AS is_check,
       c.called_off_at_ms, c.duress_at_ms, c.duress_seen_at_ms,
       a.pressed_at_ms, a.age_s, a.age_is_lower_bound,
       (SELECT count(*) FROM fixes n WHERE n.incident_id = i.incident_id) AS fixes,
       (SELECT count(*) FROM alarms n WHERE n.incident_id = i.incident_id) AS arrivals,
       (SELECT count(n.age_s) FROM alarms n WHERE n.incident_id = i.incident_id) AS ages,
       (SELECT group_concat(DISTINCT n.path) FROM alarms n WHERE n.incident_id = i.incident_id) AS ways,
       o.actor AS owner, o.name AS owner_name, o.since_ms AS owner_since_ms, o.is_new AS is_new_to_owner,
       g.reason AS closing_reason, g.name AS closing_by, g.due_at_ms AS closing_at_ms,
       (SELECT reason FROM findings f WHERE f.incident_id = i.incident_id) AS reason,
       (SELECT max(seq) FROM log l WHERE l.incident_id = i.incident_id AND kind IN
           ('advanced', 'called_off', 'escalated', 'remark', 'patrol', 'passed_on', 'given_back', 'taken_over',
            'closing', 'close_undone', 'corrected', 'reopened', 'order_step')) AS last_seq,
       (SELECT at_ms FROM receipts r WHERE r.incident_id = i.incident_id AND r.stage = i.stage) AS stage_at_ms
FROM incidents i
     LEFT JOIN cases k USING (case_id)
     LEFT JOIN call_offs c USING (incident_id)
     LEFT JOIN owners o USING (incident_id)
     LEFT JOIN closings g USING (incident_id)
     LEFT JOIN (SELECT * FROM alarms WHERE incident_id = :incident_id ORDER BY weight_ms DESC, received_at_ms LIMIT 1) a
WHERE i.incident_id = :incident_id;

-- name: incident_on_sheet
SELECT i.*, d.kind, d.board, d.capabilities,
       EXISTS (SELECT 1 FROM check_buttons b WHERE b.device_id = i.device_id) AS is_check
FROM incidents i JOIN devices d USING (device_id)
WHERE incident_id = :incident_id AND event = :alarm AND held = 0 AND erased_at_ms IS NULL;

-- name: acts
SELECT * FROM acts WHERE incident_id = :incident_id ORDER BY stage;

-- name: alarms
SELECT * FROM alarms WHERE incident_id = :incident_id ORDER BY received_at_ms, rowid;

-- Of each bridge and each set of marks the newest: centre/rules/newest_position.py chooses among them.
-- name: newest_fixes
SELECT f.*, b.revoked_at_ms AS bridge_revoked_at_ms
FROM (SELECT DISTINCT bridge_id, marks FROM fixes WHERE incident_id = :incident_id) g
     JOIN fixes f ON f.fix_id = (SELECT fix_id FROM fixes n
                                 WHERE n.incident_id = :incident_id AND n.bridge_id IS g.bridge_id AND n.marks = g.marks
                                 ORDER BY at_ms DESC, fix_id DESC LIMIT 1)
     LEFT JOIN bridges b ON b.bridge_id = f.bridge_id;

-- name: latest_fixes
SELECT f.*, b.revoked_at_ms AS bridge_revoked_at_ms FROM fixes f LEFT JOIN bridges b USING (bridge_id)
WHERE incident_id = :incident_id ORDER BY at_ms DESC, fix_id DESC LIMIT :at_most;

-- name: fixes_count
SELECT count(*) AS count FROM fixes WHERE incident_id = :incident_id;

-- The trail, as it came; by number, so that a map asks only for what it has not drawn.
-- name: fixes_after
SELECT f.*, b.revoked_at_ms AS bridge_revoked_at_ms FROM fixes f LEFT JOIN bridges b USING (bridge_id)
WHERE incident_id = :incident_id AND fix_id > :after ORDER BY fix_id LIMIT :at_most;

-- The alarm before this one that has a position: of the same case alone, as a button may have had somebody else.
-- name: last_incident_with_fix
SELECT incident_id FROM incidents i
WHERE i.device_id = :device_id AND i.event = :alarm AND i.counter < :counter AND i.case_id IS :case_id
      AND EXISTS (SELECT 1 FROM fixes f WHERE f.incident_id = i.incident_id)
ORDER BY i.counter DESC LIMIT 1;

-- What bridges last said of the button: the one that heard it last.
-- name: button_state
SELECT * FROM button_states WHERE device_id = :device_id ORDER BY heard_at_ms DESC, told_at_ms DESC LIMIT 1;

-- As other systems are told of it (CAP). Of a call-off when it first came: the same for either PIN.
-- name: cap_incident
SELECT i.incident_id, i.event, i.case_id, i.opened_at_ms, i.exercise, c.called_off_at_ms,
       (SELECT reason FROM findings f WHERE f.incident_id = i.incident_id) AS close_reason,
       (SELECT pressed_at_ms FROM alarms a WHERE a.incident_id = i.incident_id
        ORDER BY weight_ms DESC LIMIT 1) AS pressed_at_ms
FROM incidents i LEFT JOIN call_offs c USING (incident_id)
WHERE i.incident_id = :incident_id AND held = 0 AND erased_at_ms IS NULL;

-- When else it changed than by its receipts; the newest first.
-- name: cap_moments
SELECT DISTINCT received_at_ms AS at_ms FROM fixes WHERE incident_id = :incident_id
UNION SELECT called_off_at_ms FROM call_offs WHERE incident_id = :incident_id
UNION SELECT redated_at_ms FROM alarms WHERE incident_id = :incident_id AND redated_at_ms IS NOT NULL
UNION SELECT at_ms FROM corrections WHERE incident_id = :incident_id
ORDER BY at_ms DESC LIMIT :at_most;
