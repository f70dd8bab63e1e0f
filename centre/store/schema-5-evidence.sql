-- Version 5: what happened, so that one changed byte shows (centre/rules/event_log.py).

CREATE TABLE log (
    seq             INTEGER PRIMARY KEY,        -- 1, 2, 3, ... without a gap
    at_ms           INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    actor           TEXT NOT NULL,              -- user:ID bridge:ID centre command
    incident_id     TEXT,
    case_id         TEXT,
    device_id       TEXT,
    sealed          BLOB,                       -- salt and content (JSON); NULL once erased: digest tells nothing
    digest          BLOB NOT NULL,              -- of salt and content, in clear
    hash            BLOB NOT NULL               -- of the hash before and all of this row but `sealed`
) STRICT;

CREATE INDEX log_of_incident ON log (incident_id, seq) WHERE incident_id IS NOT NULL;
CREATE INDEX log_of_case ON log (case_id, seq) WHERE case_id IS NOT NULL;

CREATE TRIGGER log_is_not_deleted BEFORE DELETE ON log BEGIN
    SELECT raise(ABORT, 'the log is append-only');
END;
CREATE TRIGGER log_is_only_erased BEFORE UPDATE ON log
WHEN NEW.sealed IS NOT NULL OR NEW.seq <> OLD.seq OR NEW.at_ms <> OLD.at_ms
     OR NEW.kind <> OLD.kind OR NEW.actor <> OLD.actor OR NEW.incident_id IS NOT OLD.incident_id
     OR NEW.case_id IS NOT OLD.case_id OR NEW.device_id IS NOT OLD.device_id
     OR NEW.digest <> OLD.digest OR NEW.hash <> OLD.hash
BEGIN
    SELECT raise(ABORT, 'the log is append-only');
END;

-- Once a day: the head of the chain, signed with a key outside the database.
CREATE TABLE log_signatures (
    day             TEXT PRIMARY KEY,           -- UTC
    seq             INTEGER NOT NULL,
    hash            BLOB NOT NULL,
    signature       BLOB NOT NULL,              -- Ed25519 over the other four
    at_ms           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An incident whose term is over keeps its press (it is still not taken twice) and loses everything else.
ALTER TABLE incidents ADD COLUMN erased_at_ms INTEGER;
ALTER TABLE incidents ADD COLUMN positions_erased_at_ms INTEGER;  -- earlier: where she went
-- What the board reads: however many were erased, it walks none of them.
DROP INDEX incidents_by_stage;
CREATE INDEX incidents_by_stage ON incidents (event, stage, opened_at_ms) WHERE erased_at_ms IS NULL;
CREATE INDEX incidents_to_erase ON incidents (opened_at_ms) WHERE erased_at_ms IS NULL;
CREATE INDEX positions_to_erase ON incidents (opened_at_ms) WHERE positions_erased_at_ms IS NULL;

-- What the monthly figures keep of it: nothing that says whose it was.
CREATE TABLE outcomes (
    month           TEXT NOT NULL,              -- YYYY-MM
    zone            TEXT,
    event           INTEGER NOT NULL,
    reason          TEXT,
    received_ms     INTEGER,                    -- from the press to RECEIVED
    acknowledged_ms INTEGER,                    -- from RECEIVED
    dispatched_ms   INTEGER
) STRICT;

CREATE INDEX outcomes_of_month ON outcomes (month);
