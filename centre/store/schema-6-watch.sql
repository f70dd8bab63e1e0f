-- Version 6: what supervision finds lost, and what other systems are told.

CREATE TABLE losses (
    loss_id         INTEGER PRIMARY KEY,
    kind            TEXT NOT NULL,              -- centre/rules/losses.py
    bridge_id       TEXT REFERENCES bridges,
    device_id       TEXT REFERENCES devices,
    began_at_ms     INTEGER NOT NULL,           -- the last sign of life before it
    found_at_ms     INTEGER NOT NULL,
    ended_at_ms     INTEGER
) STRICT;

CREATE UNIQUE INDEX one_open_loss ON losses (kind, coalesce(device_id, ''), coalesce(bridge_id, ''))
    WHERE ended_at_ms IS NULL;
CREATE INDEX losses_of_device ON losses (device_id, found_at_ms);

-- What a dispatch system is told, until it has said that it knows.
CREATE TABLE hooks (
    hook_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id     TEXT NOT NULL REFERENCES incidents,
    kind            TEXT NOT NULL,
    body            TEXT NOT NULL,              -- JSON, the same at every try
    made_at_ms      INTEGER NOT NULL,
    tries           INTEGER NOT NULL DEFAULT 0,
    next_at_ms      INTEGER NOT NULL,
    done_at_ms      INTEGER
) STRICT;

CREATE INDEX hooks_to_send ON hooks (next_at_ms) WHERE done_at_ms IS NULL;
