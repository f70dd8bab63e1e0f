-- name: schema
CREATE TABLE IF NOT EXISTS press (
    device_id     TEXT NOT NULL,
    event         INTEGER NOT NULL,
    counter       INTEGER NOT NULL,
    heard_at_ms   INTEGER NOT NULL,
    age_s         INTEGER,
    fix           TEXT,               -- JSON, as it goes to the centre
    incident      TEXT,               -- NULL until the centre has answered 200 or 201
    stage         INTEGER NOT NULL,   -- the highest that the centre has proven, 0 = none
    proof         BLOB NOT NULL,
    delivered     INTEGER NOT NULL,   -- the highest that the button has taken, 0 = none
    last_event_id TEXT
);
-- Exactly once: a press is its device, event and counter, whoever tells it and however often.
CREATE UNIQUE INDEX IF NOT EXISTS press_once ON press (device_id, event, counter);
CREATE TABLE IF NOT EXISTS alive (
    device_id       TEXT PRIMARY KEY,
    counter         INTEGER NOT NULL,
    heard_at_ms     INTEGER NOT NULL,
    on_time_counter INTEGER NOT NULL,
    on_time_at_ms   INTEGER NOT NULL
);

-- name: keep_press
-- A press only goes forward, so rows may be written late, twice and in any order.
INSERT INTO press VALUES (
    :device_id, :event, :counter, :heard_at_ms, :age_s, :fix, :incident, :stage, :proof, :delivered, :last_event_id
)
ON CONFLICT (device_id, event, counter) DO UPDATE SET
    heard_at_ms = min(heard_at_ms, excluded.heard_at_ms),
    fix = coalesce(fix, excluded.fix),
    incident = coalesce(excluded.incident, incident),
    proof = CASE WHEN excluded.stage > stage THEN excluded.proof ELSE proof END,
    stage = max(stage, excluded.stage),
    delivered = max(delivered, excluded.delivered),
    last_event_id = coalesce(excluded.last_event_id, last_event_id);

-- name: keep_alive
INSERT INTO alive VALUES (:device_id, :counter, :heard_at_ms, :on_time_counter, :on_time_at_ms)
ON CONFLICT (device_id) DO UPDATE SET
    counter = excluded.counter, heard_at_ms = excluded.heard_at_ms,
    on_time_counter = excluded.on_time_counter, on_time_at_ms = excluded.on_time_at_ms
WHERE excluded.counter >= counter;

-- name: presses
SELECT * FROM press ORDER BY rowid;

-- name: alives
SELECT * FROM alive;
