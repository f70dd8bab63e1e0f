-- name: log_head
SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1;

-- name: some_contents
SELECT seq, sealed FROM log WHERE sealed IS NOT NULL ORDER BY seq DESC LIMIT 8;

-- name: add_log
INSERT INTO log (seq, at_ms, kind, actor, incident_id, case_id, device_id, sealed, digest, hash)
VALUES (:seq, :at_ms, :kind, :actor, :incident_id, :case_id, :device_id, :sealed, :digest, :hash);

-- name: log_entries
SELECT * FROM log ORDER BY seq;

-- name: log_of_incident
SELECT * FROM log WHERE incident_id = :incident_id ORDER BY seq;

-- name: log_of_case
SELECT * FROM log WHERE case_id = :case_id ORDER BY seq;

-- name: erase_log
UPDATE log SET sealed = NULL WHERE seq = :seq;

-- name: signature_of_day
SELECT * FROM log_signatures WHERE day = :day;

-- name: add_signature
INSERT INTO log_signatures (day, seq, hash, signature, at_ms) VALUES (:day, :seq, :hash, :signature, :at_ms);

-- name: signatures
SELECT * FROM log_signatures ORDER BY seq, day;

-- Held against one another by `verify-log`: on disk, so that a log of any length fits.
-- name: make_named_erased
CREATE TEMP TABLE named_erased (first INTEGER NOT NULL, last INTEGER NOT NULL, by_seq INTEGER NOT NULL) STRICT;

-- name: make_told_stages
CREATE TEMP TABLE told_stages (
    incident_id TEXT NOT NULL, stage INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (incident_id, stage)
) STRICT, WITHOUT ROWID;

-- name: log_of_kind
SELECT * FROM log WHERE kind = :kind ORDER BY seq;

-- name: add_named_erased
INSERT INTO named_erased VALUES (:first, :last, :by_seq);

-- name: named_erased
SELECT * FROM named_erased ORDER BY first, by_seq;

-- name: add_told_stage
INSERT OR IGNORE INTO told_stages VALUES (:incident_id, :stage, :seq);

-- What was there before the log was is not in it.
-- name: receipts_not_told
SELECT r.incident_id, r.stage FROM receipts r JOIN incidents i USING (incident_id)
WHERE i.erased_at_ms IS NULL AND opened_at_ms >= (SELECT at_ms FROM log ORDER BY seq LIMIT 1)
  AND NOT EXISTS (SELECT * FROM told_stages t WHERE t.incident_id = r.incident_id
                  AND (t.stage = r.stage OR t.stage = 0 AND r.stage > 1))
ORDER BY r.seq;

-- name: told_not_in_receipts
SELECT incident_id, stage, seq FROM told_stages t
WHERE stage > 0 AND NOT EXISTS (SELECT * FROM receipts r WHERE r.incident_id = t.incident_id AND r.stage = t.stage)
ORDER BY seq;

-- name: signed_before
SELECT at_ms FROM log_signatures ORDER BY seq DESC, day DESC LIMIT 1 OFFSET :skipped;

-- An incident has ended when it was closed, a test when it was received. Open ones are never due, nor one
-- whose duress PIN nobody has seen.
-- name: incidents_due
SELECT i.* FROM incidents i JOIN receipts r USING (incident_id) LEFT JOIN call_offs c USING (incident_id)
WHERE i.erased_at_ms IS NULL AND opened_at_ms < :before_ms AND r.at_ms < :before_ms
  AND r.stage = iif(event = :test, :received, :closed) AND i.stage = r.stage
  AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL)
ORDER BY opened_at_ms LIMIT :at_most;

-- name: positions_due
SELECT i.* FROM incidents i JOIN receipts r USING (incident_id) LEFT JOIN call_offs c USING (incident_id)
WHERE positions_erased_at_ms IS NULL AND opened_at_ms < :before_ms AND r.at_ms < :before_ms
  AND r.stage = iif(event = :test, :received, :closed) AND i.stage = r.stage
  AND NOT (coalesce(c.duress, 0) AND c.duress_seen_at_ms IS NULL)
ORDER BY opened_at_ms LIMIT :at_most;

-- name: set_positions_erased
UPDATE incidents SET positions_erased_at_ms = :now_ms WHERE incident_id = :incident_id;

-- name: set_incident_erased
UPDATE incidents SET erased_at_ms = :now_ms, positions_erased_at_ms = coalesce(positions_erased_at_ms, :now_ms),
                     case_id = NULL, device_revoked = 0
WHERE incident_id = :incident_id;

-- name: log_with_positions
SELECT seq FROM log
WHERE incident_id = :incident_id AND kind IN ('received', 'fixes') AND sealed IS NOT NULL
ORDER BY seq LIMIT :at_most;

-- What was erased, and why, is told for ever: the chain could not be checked without it.
-- name: log_to_erase
SELECT seq FROM log
WHERE incident_id = :incident_id AND kind <> :erased AND sealed IS NOT NULL ORDER BY seq LIMIT :at_most;

-- name: log_of_case_to_erase
SELECT seq FROM log
WHERE case_id = :case_id AND kind <> :erased AND sealed IS NOT NULL ORDER BY seq LIMIT :at_most;

-- name: erase_fixes
DELETE FROM fixes WHERE fix_id IN (SELECT fix_id FROM fixes WHERE incident_id = :incident_id LIMIT :at_most);

-- name: erase_alarms
DELETE FROM alarms WHERE incident_id = :incident_id;

-- name: erase_acts
DELETE FROM acts WHERE incident_id = :incident_id;

-- name: erase_call_offs
DELETE FROM call_offs WHERE incident_id = :incident_id;

-- name: erase_escalations
DELETE FROM escalations WHERE incident_id = :incident_id;

-- name: erase_webhook_events
DELETE FROM webhook_events WHERE incident_id = :incident_id;

-- name: erase_losses
DELETE FROM losses WHERE loss_id IN (
    SELECT loss_id FROM losses WHERE ended_at_ms < :before_ms ORDER BY ended_at_ms LIMIT :at_most
);

-- name: log_of_losses
SELECT seq FROM log
WHERE kind IN ('lost', 'found_again') AND sealed IS NOT NULL AND at_ms < :before_ms ORDER BY at_ms LIMIT :at_most;

-- name: erase_sessions
DELETE FROM sessions WHERE token_sha256 IN (
    SELECT token_sha256 FROM sessions s
    WHERE coalesce(closed_at_ms, seen_at_ms) < :before_ms
      AND EXISTS (SELECT 1 FROM sessions t WHERE t.user_id = s.user_id
                  AND (t.seen_at_ms, t.token_sha256) > (s.seen_at_ms, s.token_sha256))
    LIMIT :at_most
);

-- name: erase_invitations
DELETE FROM invitations WHERE token_sha256 IN (
    SELECT token_sha256 FROM invitations WHERE coalesce(used_at_ms, expires_at_ms) < :before_ms LIMIT :at_most
);

-- name: add_outcome
INSERT INTO outcomes (month, zone, event, reason, received_ms, acknowledged_ms, dispatched_ms)
VALUES (:month, :zone, :event, :reason, :received_ms, :acknowledged_ms, :dispatched_ms);

-- name: checkpoint
PRAGMA wal_checkpoint(TRUNCATE);

-- name: incidents_of_case
SELECT incident_id FROM incidents WHERE case_id = :case_id ORDER BY opened_at_ms;

-- name: all_fixes
SELECT bridge_id, method, lat, lon, radius_m, confidence, taken_at_ms, received_at_ms, source, marks
FROM fixes WHERE incident_id = :incident_id ORDER BY taken_at_ms, fix_id;

-- name: log_entry
SELECT * FROM log WHERE seq = :seq;

-- name: log_span
SELECT * FROM log WHERE seq BETWEEN :first AND :last ORDER BY seq;

-- name: signatures_of_span
SELECT * FROM log_signatures WHERE seq BETWEEN :first AND :last ORDER BY seq, day;

-- The newest first; `kinds`: a JSON list.
-- name: log_of_case_of_kinds
SELECT * FROM log WHERE case_id = :case_id AND kind IN (SELECT value FROM json_each(:kinds))
ORDER BY seq DESC LIMIT :at_most;

-- name: log_first
SELECT at_ms FROM log ORDER BY seq LIMIT 1;

-- name: log_last_of_kind
SELECT * FROM log WHERE kind = :kind AND kind NOT IN ('received', 'fixes', 'age') ORDER BY seq DESC LIMIT 1;

-- name: signature_last
SELECT day, at_ms FROM log_signatures ORDER BY seq DESC, day DESC LIMIT 1;

-- name: webhook_waits
SELECT count(*) AS waiting, min(made_at_ms) AS oldest_ms FROM webhook_events WHERE done_at_ms IS NULL;

-- Of presses that were told once: one that was sent again had waited.
-- name: clocks_of_phones
SELECT a.bridge_id, a.received_at_ms - a.heard_at_ms AS ahead_ms
FROM incidents i JOIN alarms a USING (incident_id)
WHERE i.event IN (:alarm, :test) AND i.opened_at_ms >= :since_ms AND a.heard_at_ms IS NOT NULL AND a.posts = 1
ORDER BY i.opened_at_ms DESC LIMIT :at_most;

-- A page of the log, the newest first. The rarest filter has its index, which its query names literally; what else
-- is asked is looked at row by row, in a thread for which nobody waits.
-- name: log_page
SELECT * FROM log WHERE seq < :before_seq
      AND (:kind IS NULL OR kind = :kind) AND (:actor IS NULL OR actor = :actor)
      AND at_ms >= :from_ms AND at_ms < :until_ms
ORDER BY seq DESC LIMIT :at_most;

-- name: log_page_of_kind
SELECT * FROM log WHERE kind = :kind AND kind NOT IN ('received', 'fixes', 'age') AND seq < :before_seq
      AND (:actor IS NULL OR actor = :actor) AND at_ms >= :from_ms AND at_ms < :until_ms
ORDER BY seq DESC LIMIT :at_most;

-- name: log_page_of_user
SELECT * FROM log WHERE actor = :actor AND actor GLOB 'user:*' AND seq < :before_seq
      AND (:kind IS NULL OR kind = :kind) AND at_ms >= :from_ms AND at_ms < :until_ms
ORDER BY seq DESC LIMIT :at_most;

-- name: log_page_of_incident
SELECT * FROM log WHERE incident_id = :incident_id AND seq < :before_seq
      AND (:kind IS NULL OR kind = :kind) AND (:actor IS NULL OR actor = :actor)
      AND (:case_id IS NULL OR case_id = :case_id) AND at_ms >= :from_ms AND at_ms < :until_ms
ORDER BY seq DESC LIMIT :at_most;

-- name: log_page_of_case
SELECT * FROM log WHERE case_id = :case_id AND seq < :before_seq
      AND (:kind IS NULL OR kind = :kind) AND (:actor IS NULL OR actor = :actor)
      AND at_ms >= :from_ms AND at_ms < :until_ms
ORDER BY seq DESC LIMIT :at_most;
