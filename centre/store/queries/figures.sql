-- name: first_month
SELECT min(at) AS month FROM (
    SELECT strftime('%Y-%m', min(opened_at_ms) / 1000, 'unixepoch') AS at FROM incidents WHERE event = :alarm
    UNION ALL SELECT strftime('%Y-%m', min(opened_at_ms) / 1000, 'unixepoch') FROM incidents WHERE event = :test
    UNION ALL SELECT min(month) FROM outcomes
    UNION ALL SELECT strftime('%Y-%m', min(opened_at_ms) / 1000, 'unixepoch') FROM cases
    UNION ALL SELECT strftime('%Y-%m', min(imported_at_ms) / 1000, 'unixepoch') FROM devices);

-- name: last_figure_month
SELECT max(month) AS month FROM figure_months;

-- name: figure_months
SELECT month FROM figure_months WHERE month < :before ORDER BY month DESC;

-- name: figures
SELECT * FROM figures WHERE month BETWEEN :first AND :last ORDER BY month, figure, class, zone;

-- name: add_figure
INSERT INTO figures (month, zone, figure, class, value) VALUES (:month, :zone, :figure, :group, :value);

-- name: add_figure_month
INSERT INTO figure_months (month, made_at_ms) VALUES (:month, :now_ms);

-- Of months that are not over: a clock was ahead.
-- name: forget_figures
DELETE FROM figures WHERE month >= :from_month;

-- name: forget_figure_months
DELETE FROM figure_months WHERE month >= :from_month;

-- name: incidents_to_count
SELECT i.rowid AS number, i.opened_at_ms, i.held, c.zone,
       (SELECT pressed_at_ms FROM alarms a WHERE a.incident_id = i.incident_id
        ORDER BY weight_ms DESC LIMIT 1) AS pressed_at_ms,
       (SELECT at_ms FROM receipts r WHERE r.incident_id = i.incident_id AND r.stage = 2) AS acknowledged_at_ms,
       (SELECT at_ms FROM receipts r WHERE r.incident_id = i.incident_id AND r.stage = 3) AS dispatched_at_ms,
       (SELECT reason FROM press_findings f WHERE f.incident_id = i.incident_id) AS reason,
       EXISTS (SELECT 1 FROM call_offs o WHERE o.incident_id = i.incident_id) AS called_off,
       i.erased_at_ms IS NOT NULL AS erased
FROM incidents i LEFT JOIN cases c ON c.case_id = i.case_id
WHERE event = :event AND follows IS NULL AND exercise IS NULL
      AND (i.opened_at_ms, i.rowid) > (:after_ms, :after) AND i.opened_at_ms < :until_ms
ORDER BY i.opened_at_ms, i.rowid LIMIT :at_most;

-- name: outcomes_to_count
SELECT rowid AS number, * FROM outcomes WHERE month = :month AND rowid > :after ORDER BY rowid LIMIT :at_most;

-- name: grants_to_count
SELECT g.*, g.rowid AS number, coalesce(ended_on, date(ends_on, '+1 day')) AS last_on, c.zone
FROM grants g JOIN cases c USING (case_id)
WHERE g.rowid > :after ORDER BY g.rowid LIMIT :at_most;

-- Those handed out at the end of the month, with the last that was said of each.
-- name: buttons_to_count
SELECT h.assignment_id AS number, c.zone, s.battery_mv, s.low
FROM assignments h JOIN cases c USING (case_id)
     LEFT JOIN button_states s ON s.device_id = h.device_id AND s.bridge_id =
         (SELECT bridge_id FROM button_states b WHERE b.device_id = h.device_id
          ORDER BY told_at_ms DESC, bridge_id LIMIT 1)
WHERE h.assignment_id > :after AND given_at_ms < :until_ms
  AND (taken_back_at_ms IS NULL OR taken_back_at_ms >= :until_ms)
ORDER BY h.assignment_id LIMIT :at_most;

-- How long each button was out of reach within the month, by the zone of the case that it served.
-- name: losses_to_count
SELECT h.assignment_id AS number, c.zone,
       (SELECT sum(min(coalesce(l.ended_at_ms, :until_ms), coalesce(h.taken_back_at_ms, :until_ms), :until_ms)
                   - max(l.found_at_ms, h.given_at_ms, :since_ms))
        FROM losses l
        WHERE l.device_id = h.device_id AND l.kind = 'button_out_of_reach'
          AND l.found_at_ms < min(coalesce(h.taken_back_at_ms, :until_ms), :until_ms)
          AND coalesce(l.ended_at_ms, :until_ms) > max(h.given_at_ms, :since_ms)) AS lost_ms
FROM assignments h JOIN cases c USING (case_id)
WHERE h.assignment_id > :after AND h.given_at_ms < :until_ms
  AND (h.taken_back_at_ms IS NULL OR h.taken_back_at_ms > :since_ms)
ORDER BY h.assignment_id LIMIT :at_most;
