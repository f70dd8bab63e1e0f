-- name: bridges_to_look_at
SELECT s.*, b.revoked_at_ms FROM bridge_states s JOIN bridges b USING (bridge_id)
WHERE look_at_ms <= :now_ms ORDER BY look_at_ms LIMIT :at_most;

-- name: look_at_bridge
UPDATE bridge_states SET look_at_ms = :look_at_ms WHERE bridge_id = :bridge_id;

-- name: buttons_to_look_at
SELECT w.*, d.alive_period_s FROM watched_buttons w JOIN devices d USING (device_id)
WHERE look_at_ms <= :now_ms ORDER BY look_at_ms LIMIT :at_most;

-- name: look_at_button
UPDATE watched_buttons SET look_at_ms = :look_at_ms WHERE device_id = :device_id;

-- A button is watched unless it was revoked, or taken back and not handed out again.
-- name: is_button_watched
SELECT 1 FROM devices d
WHERE device_id = :device_id AND revoked_at_ms IS NULL
  AND (NOT EXISTS (SELECT 1 FROM assignments h WHERE h.device_id = d.device_id)
       OR EXISTS (SELECT 1 FROM assignments h WHERE h.device_id = d.device_id AND taken_back_at_ms IS NULL));

-- A bridge is watched while it is not revoked and has a button that is.
-- name: is_bridge_watched
SELECT 1 FROM bridge_devices bd JOIN bridges b USING (bridge_id) JOIN devices d USING (device_id)
WHERE bridge_id = :bridge_id AND b.revoked_at_ms IS NULL AND d.revoked_at_ms IS NULL
  AND (NOT EXISTS (SELECT 1 FROM assignments h WHERE h.device_id = d.device_id)
       OR EXISTS (SELECT 1 FROM assignments h WHERE h.device_id = d.device_id AND taken_back_at_ms IS NULL))
LIMIT 1;

-- name: listeners_of_button
SELECT b.*, s.in_reach, s.lost_after_s, s.news_at_ms, s.low, s.told_at_ms
FROM button_states s JOIN bridge_states b USING (bridge_id) JOIN bridges r USING (bridge_id)
WHERE device_id = :device_id AND r.revoked_at_ms IS NULL ORDER BY told_at_ms;

-- name: open_losses_of_bridge
SELECT * FROM losses WHERE bridge_id = :bridge_id AND ended_at_ms IS NULL;

-- name: open_losses_of_device
SELECT * FROM losses WHERE device_id = :device_id AND ended_at_ms IS NULL;

-- name: open_loss
INSERT INTO losses (kind, bridge_id, device_id, began_at_ms, found_at_ms, running_since_ms, goodbye)
VALUES (:kind, :bridge_id, :device_id, :began_at_ms, :now_ms, :running_since_ms, :goodbye);

-- name: set_loss_back
UPDATE losses SET back_at_ms = :back_at_ms WHERE loss_id = :loss_id;

-- name: end_loss
UPDATE losses SET kind = :kind, ended_at_ms = :ended_at_ms WHERE loss_id = :loss_id;

-- The clock was set back: what lies in the future now lies at its beginning.
-- name: clamp_bridge_heartbeats
UPDATE bridge_states SET alive_at_ms = min(alive_at_ms, :now_ms),
    listening_since_ms = min(listening_since_ms, :now_ms), look_at_ms = min(look_at_ms, :now_ms)
WHERE max(alive_at_ms, coalesce(look_at_ms, 0)) > :now_ms;

-- name: clamp_button_heartbeats
UPDATE button_states SET news_at_ms = min(news_at_ms, :now_ms), heard_at_ms = min(heard_at_ms, :now_ms)
WHERE max(coalesce(news_at_ms, 0), coalesce(heard_at_ms, 0)) > :now_ms;

-- name: clamp_watched_buttons
UPDATE watched_buttons SET look_at_ms = :now_ms WHERE look_at_ms > :now_ms;

-- name: clamp_losses
UPDATE losses SET began_at_ms = min(began_at_ms, :now_ms), found_at_ms = min(found_at_ms, :now_ms),
                  back_at_ms = min(back_at_ms, :now_ms)
WHERE ended_at_ms IS NULL AND max(found_at_ms, began_at_ms, coalesce(back_at_ms, 0)) > :now_ms;

-- Those who have fallen silent together lately, and the burst that some of them are already in.
-- name: silent_together
SELECT count(*) AS count, max(burst_ms) AS burst_ms FROM losses
WHERE ended_at_ms IS NULL AND kind = 'phone_silent' AND began_at_ms >= :since_ms AND back_at_ms IS NULL;

-- name: mark_burst
UPDATE losses SET burst_ms = :burst_ms
WHERE ended_at_ms IS NULL AND kind = 'phone_silent' AND began_at_ms >= :since_ms AND burst_ms IS NULL;

-- name: count_open_losses
SELECT count(*) AS count FROM losses WHERE ended_at_ms IS NULL;

-- Those that do not belong to a burst, the newest first; a bridge is named by its buttons.
-- name: single_losses
SELECT l.*, coalesce(l.device_id, (SELECT group_concat(bd.device_id, ' ') FROM bridge_devices bd
                                   WHERE bd.bridge_id = l.bridge_id)) AS device_ids, 1 AS bridges
FROM losses l WHERE ended_at_ms IS NULL AND burst_ms IS NULL
ORDER BY began_at_ms DESC, loss_id DESC LIMIT :at_most;

-- name: burst_losses
SELECT min(kind) AS kind, min(began_at_ms) AS began_at_ms, count(*) AS bridges,
       iif(count(back_at_ms) = count(*), max(back_at_ms), NULL) AS back_at_ms
FROM losses WHERE ended_at_ms IS NULL AND burst_ms IS NOT NULL
GROUP BY burst_ms ORDER BY burst_ms DESC LIMIT :at_most;

-- name: case_served_by
SELECT case_id FROM assignments WHERE device_id = :device_id AND taken_back_at_ms IS NULL;

-- Of a button and of its bridges, open ones first.
-- What is lost now of the buttons in hand and of their phones; of one zone or all, of one case or all.
-- name: losses_of_cases
SELECT l.*, h.case_id, h.device_id AS device_ids, 1 AS bridges
FROM assignments h JOIN cases c USING (case_id) JOIN losses l ON l.loss_id IN
     (SELECT loss_id FROM losses WHERE device_id = h.device_id
      UNION ALL SELECT n.loss_id FROM bridge_devices bd JOIN losses n ON n.bridge_id = bd.bridge_id
      WHERE bd.device_id = h.device_id)
WHERE h.taken_back_at_ms IS NULL AND l.ended_at_ms IS NULL AND l.back_at_ms IS NULL
  AND (:zone IS NULL OR c.zone = :zone) AND (:case_id IS NULL OR h.case_id = :case_id)
ORDER BY l.began_at_ms, l.loss_id;

-- name: losses_of_button
SELECT l.*, :device_id AS device_ids, 1 AS bridges FROM losses l
WHERE (l.device_id = :device_id
       OR l.bridge_id IN (SELECT bd.bridge_id FROM bridge_devices bd WHERE bd.device_id = :device_id))
  AND coalesce(l.ended_at_ms, :since_ms) >= :since_ms
ORDER BY ended_at_ms IS NOT NULL, found_at_ms DESC LIMIT :at_most;

-- Alarms that nobody has taken since `until_ms`, or that were given back a step (`step_ms`) later, and that were not told further yet; of revoked buttons those
-- that no administrator has ruled on. From after `ahead_ms`: the clock was set back.
-- Of each share in turn (centre/rules/fair_share.py).
-- name: to_escalate
SELECT * FROM (
    SELECT i.*, row_number() OVER (PARTITION BY device_id, first_bridge_id ORDER BY opened_at_ms, i.rowid) AS place
    FROM incidents i LEFT JOIN owners o USING (incident_id)
    WHERE event = :alarm AND stage IN (1, 2, 3) AND held <> 2 AND erased_at_ms IS NULL
      AND ((stage = 1 AND (opened_at_ms <= :until_ms OR opened_at_ms > :ahead_ms))
           OR (o.since_ms IS NOT NULL AND o.actor IS NULL
               AND (o.since_ms <= :until_ms + :step_ms OR o.since_ms > :ahead_ms)))
      AND NOT EXISTS (SELECT 1 FROM escalations e WHERE e.incident_id = i.incident_id))
WHERE place <= :of_one_share ORDER BY place, opened_at_ms LIMIT :at_most;

-- name: add_escalation
INSERT INTO escalations (incident_id, at_ms) VALUES (:incident_id, :now_ms);

-- name: webhook_events_waiting
SELECT count(*) AS count FROM webhook_events WHERE done_at_ms IS NULL;

-- name: webhook_events_of_share
SELECT count(*) AS count FROM webhook_events w JOIN incidents i USING (incident_id)
WHERE done_at_ms IS NULL AND i.device_id = :device_id AND i.first_bridge_id IS :bridge_id;

-- name: webhook_shares_full
SELECT count(*) AS count FROM (
    SELECT 1 FROM webhook_events w JOIN incidents i USING (incident_id) WHERE done_at_ms IS NULL
    GROUP BY i.device_id, i.first_bridge_id HAVING count(*) >= :at_most);

-- name: add_webhook_event
INSERT INTO webhook_events (incident_id, kind, body, made_at_ms, next_at_ms)
VALUES (:incident_id, :kind, :body, :now_ms, :now_ms);

-- Of each share in turn (centre/rules/fair_share.py); of each incident only the first that is not done: their
-- order is kept.
-- name: webhook_events_due
SELECT * FROM (
    SELECT w.*, row_number() OVER (PARTITION BY i.device_id, i.first_bridge_id ORDER BY event_id) AS place
    FROM webhook_events w JOIN incidents i USING (incident_id)
    WHERE done_at_ms IS NULL AND next_at_ms <= :now_ms
      AND NOT EXISTS (SELECT 1 FROM webhook_events e WHERE e.incident_id = w.incident_id
                      AND e.event_id < w.event_id AND e.done_at_ms IS NULL))
ORDER BY place, event_id LIMIT :at_most;

-- name: webhook_event_done
UPDATE webhook_events SET done_at_ms = :now_ms, given_up = :given_up, tries = tries + 1 WHERE event_id = :event_id;

-- name: webhook_event_again
UPDATE webhook_events SET tries = tries + 1, next_at_ms = :next_at_ms WHERE event_id = :event_id;

-- name: clamp_webhook_events
UPDATE webhook_events SET next_at_ms = :now_ms WHERE done_at_ms IS NULL AND next_at_ms > :latest_ms;

-- name: check_write
INSERT INTO write_checks (only, at_ms, filler) VALUES (1, :now_ms, :filler)
ON CONFLICT DO UPDATE SET at_ms = :now_ms, filler = :filler;
