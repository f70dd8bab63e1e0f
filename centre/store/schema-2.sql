-- Version 2: positions with their source and marks, call-offs, signs of life, what operators did.

-- The highest stage, so that the operator's page reads only what is open, however long the history.
ALTER TABLE incidents ADD COLUMN stage INTEGER NOT NULL DEFAULT 1;  -- RECEIVED: nothing opens without it
UPDATE incidents SET stage = coalesce(
    (SELECT max(r.stage) FROM receipts r WHERE r.incident_id = incidents.incident_id), 1);
CREATE TRIGGER stage_follows_receipts AFTER INSERT ON receipts WHEN NEW.stage > 1 BEGIN
    UPDATE incidents SET stage = NEW.stage WHERE incident_id = NEW.incident_id AND stage < NEW.stage;
END;
CREATE INDEX incidents_by_stage ON incidents (event, stage, opened_at_ms);

-- Which part of the phone a position came from, and why it is not to be taken for a fresh one.
ALTER TABLE fixes ADD COLUMN source TEXT;
ALTER TABLE fixes ADD COLUMN marks TEXT NOT NULL DEFAULT '';  -- words, separated by spaces

-- The same position, sent again, is one row; two sources may speak in the same millisecond.
DROP INDEX one_fix_once;
CREATE UNIQUE INDEX one_fix_once ON fixes
    (incident_id, bridge_id, method, coalesce(source, ''), taken_at_ms, lat, lon);

-- What its kind of board can do: a JSON object of booleans; NULL = provisioning did not say.
ALTER TABLE devices ADD COLUMN capabilities TEXT;
ALTER TABLE devices ADD COLUMN alive_counter_at_ms INTEGER;  -- when alive_counter rose

-- The wearer took the alarm back. It stays open: only the operator closes.
CREATE TABLE call_offs (
    incident_id       TEXT PRIMARY KEY REFERENCES incidents,
    called_off_at_ms  INTEGER NOT NULL,         -- the first time
    repeated_at_ms    INTEGER NOT NULL,
    duress            INTEGER NOT NULL,         -- 1: with the duress PIN, then or later; never back to 0
    duress_at_ms      INTEGER,
    duress_seen_at_ms INTEGER                   -- an operator acted on it, knowing
) STRICT, WITHOUT ROWID;

CREATE INDEX duress_not_seen ON call_offs (incident_id) WHERE duress AND duress_seen_at_ms IS NULL;

-- Tries of a PIN since the last right one, so that a restart forgives nothing.
CREATE TABLE pin_tries (
    device_id         TEXT PRIMARY KEY REFERENCES devices,
    tries             INTEGER NOT NULL,
    locked_until_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an operator adds to a stage: the receipt itself is in `receipts`.
CREATE TABLE acts (
    incident_id       TEXT NOT NULL REFERENCES incidents,
    stage             INTEGER NOT NULL,         -- DISPATCHED, CLOSED
    reason            TEXT,                     -- of CLOSED
    note              TEXT,
    at_ms             INTEGER NOT NULL,
    PRIMARY KEY (incident_id, stage)
) STRICT, WITHOUT ROWID;

-- The last that a bridge said of itself and of each button.
CREATE TABLE bridge_states (
    bridge_id         TEXT PRIMARY KEY REFERENCES bridges,
    alive_at_ms       INTEGER NOT NULL,
    battery_percent   INTEGER,
    model             TEXT,
    troubles          TEXT NOT NULL             -- words, separated by spaces
) STRICT, WITHOUT ROWID;

CREATE TABLE button_states (
    bridge_id         TEXT NOT NULL REFERENCES bridges,
    device_id         TEXT NOT NULL REFERENCES devices,
    told_at_ms        INTEGER NOT NULL,
    heard_at_ms       INTEGER,                  -- never later than told_at_ms, whatever the bridge's clock says
    battery_mv        INTEGER,
    low               INTEGER NOT NULL,
    in_reach          INTEGER,
    press_counter     INTEGER,
    alive_counter     INTEGER,
    faults            TEXT NOT NULL,
    PRIMARY KEY (bridge_id, device_id)
) STRICT, WITHOUT ROWID;
