-- Version 1. Later versions are files of their own, listed in store/__init__.py; this one stays as it is.
-- Times are integers in ms since 1970. Invariants are unique indexes.

CREATE TABLE devices (
    device_id       TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    board           TEXT NOT NULL,
    root_sealed     BLOB NOT NULL,              -- centre/platform/sealing.py
    epoch           INTEGER NOT NULL DEFAULT 0, -- re-keying in the field will raise it
    alive_period_s  INTEGER NOT NULL,
    alive_counter   INTEGER NOT NULL DEFAULT 0, -- highest counted, 0 = none
    pin_hash        TEXT,                       -- the wearer's, checked by the centre alone; sealed, hex
    duress_pin_hash TEXT,
    imported_at_ms  INTEGER NOT NULL,
    revoked_at_ms   INTEGER
) STRICT;

-- What a phone holds. The token itself is only with the phone.
CREATE TABLE bridges (
    bridge_id       TEXT PRIMARY KEY,
    token_sha256    TEXT NOT NULL UNIQUE,
    enrolled_at_ms  INTEGER NOT NULL,
    revoked_at_ms   INTEGER
) STRICT;

CREATE TABLE bridge_devices (
    bridge_id       TEXT NOT NULL REFERENCES bridges,
    device_id       TEXT NOT NULL REFERENCES devices,
    PRIMARY KEY (bridge_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolments (
    code_sha256     TEXT PRIMARY KEY,           -- of its ASCII; the code itself is on the label
    device_id       TEXT NOT NULL REFERENCES devices,
    expires_at_ms   INTEGER NOT NULL,
    used_at_ms      INTEGER,
    bridge_id       TEXT REFERENCES bridges
) STRICT;

CREATE TABLE incidents (
    incident_id     TEXT PRIMARY KEY,
    device_id       TEXT NOT NULL REFERENCES devices,
    event           INTEGER NOT NULL,
    counter         INTEGER NOT NULL,
    opened_at_ms    INTEGER NOT NULL,
    device_revoked  INTEGER NOT NULL            -- the button was revoked when it pressed: for an administrator
) STRICT;

-- Exactly one incident per press, whoever sends it and however often (protocol).
CREATE UNIQUE INDEX one_incident_per_press ON incidents (device_id, event, counter);
CREATE INDEX incidents_by_time ON incidents (event, opened_at_ms);

-- What reached us: by each bridge and path once, with the number of its posts.
CREATE TABLE alarms (
    incident_id     TEXT NOT NULL REFERENCES incidents,
    bridge_id       TEXT NOT NULL REFERENCES bridges,
    path            TEXT NOT NULL,              -- ble wifi lte phone, unknown where it was dropped
    heard_at_ms     INTEGER,                    -- by the bridge's clock
    age_s           REAL,                       -- of the press when heard; NULL = unknown
    pressed_at_ms   INTEGER NOT NULL,           -- our reckoning; without an age the latest it can be
    battery_percent INTEGER,                    -- of the phone
    model           TEXT,
    received_at_ms  INTEGER NOT NULL,
    repeated_at_ms  INTEGER NOT NULL,           -- the last post of it
    posts           INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (incident_id, bridge_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE fixes (
    fix_id          INTEGER PRIMARY KEY,
    device_id       TEXT NOT NULL REFERENCES devices,
    incident_id     TEXT REFERENCES incidents,  -- a fix belongs to a device, and perhaps to an incident
    bridge_id       TEXT REFERENCES bridges,
    method          TEXT NOT NULL,
    lat             REAL NOT NULL,
    lon             REAL NOT NULL,
    radius_m        REAL NOT NULL,
    confidence      REAL,                       -- percent
    taken_at_ms     INTEGER NOT NULL,           -- by the bridge's clock
    received_at_ms  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_fix_once ON fixes
    (device_id, coalesce(incident_id, ''), coalesce(bridge_id, ''), method, taken_at_ms);
CREATE INDEX fixes_of_incident ON fixes (incident_id, taken_at_ms);

-- The order that server-sent events follow; signals in memory only wake those who read it.
CREATE TABLE receipts (
    seq             INTEGER PRIMARY KEY,
    incident_id     TEXT NOT NULL REFERENCES incidents,
    stage           INTEGER NOT NULL,
    proof           BLOB NOT NULL,
    at_ms           INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_receipt_per_stage ON receipts (incident_id, stage);
