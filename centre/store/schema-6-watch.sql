-- Version 6: what supervision finds lost, and what other systems are told.

ALTER TABLE bridge_states ADD COLUMN running_since_ms INTEGER;     -- by the bridge's clock: told apart, not reckoned with
ALTER TABLE bridge_states ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bridge_states ADD COLUMN listening_since_ms INTEGER;   -- NULL: it is deaf
ALTER TABLE bridge_states ADD COLUMN look_at_ms INTEGER;           -- when to look; NULL: at its next sign of life
CREATE INDEX bridges_to_look_at ON bridge_states (look_at_ms) WHERE look_at_ms IS NOT NULL;

-- When this bridge told that it had heard the button anew, by our clock.
ALTER TABLE button_states ADD COLUMN news_at_ms INTEGER;
-- After how long without a sign this bridge takes it for lost; NULL: it does not say.
ALTER TABLE button_states ADD COLUMN lost_after_s INTEGER;
CREATE INDEX states_of_button ON button_states (device_id);

CREATE TABLE watched_buttons (
    device_id       TEXT PRIMARY KEY REFERENCES devices,
    look_at_ms      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX buttons_to_look_at ON watched_buttons (look_at_ms) WHERE look_at_ms IS NOT NULL;

-- Of a bridge or of a button.
CREATE TABLE losses (
    loss_id         INTEGER PRIMARY KEY,
    kind            TEXT NOT NULL,              -- centre/rules/supervision.py
    bridge_id       TEXT REFERENCES bridges,
    device_id       TEXT REFERENCES devices,
    began_at_ms     INTEGER NOT NULL,           -- the last sign of life before it; 0 = there was none
    found_at_ms     INTEGER NOT NULL,
    running_since_ms INTEGER,                   -- as the bridge had told before
    goodbye         INTEGER NOT NULL DEFAULT 0,
    burst_ms        INTEGER,                    -- found among many at once: that burst
    back_at_ms      INTEGER,                    -- a sign came; it must be followed by others
    ended_at_ms     INTEGER
) STRICT;

CREATE UNIQUE INDEX one_open_loss ON losses (kind, coalesce(device_id, ''), coalesce(bridge_id, ''))
    WHERE ended_at_ms IS NULL;
CREATE INDEX losses_of_device ON losses (device_id, found_at_ms) WHERE device_id IS NOT NULL;
CREATE INDEX losses_of_bridge ON losses (bridge_id, found_at_ms) WHERE bridge_id IS NOT NULL;
CREATE INDEX open_losses_by_time ON losses (began_at_ms) WHERE ended_at_ms IS NULL;

-- Alarms that nobody took: told further, once each.
CREATE TABLE escalations (
    incident_id     TEXT PRIMARY KEY REFERENCES incidents,
    at_ms           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a dispatch system is told, until it has said that it knows.
CREATE TABLE hooks (
    hook_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id     TEXT NOT NULL REFERENCES incidents,
    kind            TEXT NOT NULL,
    body            TEXT NOT NULL,              -- JSON, the same at every try
    made_at_ms      INTEGER NOT NULL,
    tries           INTEGER NOT NULL DEFAULT 0,
    next_at_ms      INTEGER NOT NULL,
    done_at_ms      INTEGER,
    given_up        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX hooks_to_send ON hooks (next_at_ms) WHERE done_at_ms IS NULL;
CREATE INDEX hooks_of_incident ON hooks (incident_id, hook_id) WHERE done_at_ms IS NULL;

-- What retention erases of supervision (centre/work/retention.py).
CREATE INDEX losses_ended ON losses (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX log_of_losses ON log (at_ms) WHERE kind IN ('lost', 'found_again') AND sealed IS NOT NULL;
