-- name: version 1
CREATE TABLE press (
    device_id          TEXT NOT NULL,
    event              INTEGER NOT NULL,
    counter            INTEGER NOT NULL,
    heard_at_ms        INTEGER NOT NULL,
    age_s              INTEGER,
    fix                TEXT,                -- JSON, as it goes to the centre
    incident           TEXT,                -- NULL until the centre has answered 200 or 201
    stage              INTEGER NOT NULL,    -- the highest that the centre has proven, 0 = none
    proof              BLOB NOT NULL,
    delivered          INTEGER NOT NULL,    -- the highest that the button has taken, 0 = none
    last_event_id      TEXT,
    call_off           TEXT NOT NULL,
    follow_left_ms     INTEGER NOT NULL,    -- its position is followed for so long yet
    pin                TEXT,                -- until the centre has answered, no longer
    age_is_lower_bound INTEGER NOT NULL,
    age_told           INTEGER NOT NULL     -- the centre has taken age_s
);
-- Exactly once: a press is its device, event and counter, whoever tells it and however often.
CREATE UNIQUE INDEX press_once ON press (device_id, event, counter);
CREATE TABLE alive (
    device_id       TEXT PRIMARY KEY,
    counter         INTEGER NOT NULL,
    heard_at_ms     INTEGER NOT NULL,
    on_time_counter INTEGER NOT NULL,
    on_time_at_ms   INTEGER NOT NULL
);
CREATE TABLE health (
    device_id       TEXT PRIMARY KEY,
    low             INTEGER NOT NULL,
    battery_mv      INTEGER,
    faults          TEXT NOT NULL,          -- words
    hearing         TEXT NOT NULL           -- numbers: how well the button is heard
);
CREATE TABLE waypoint (
    device_id       TEXT NOT NULL,
    event           INTEGER NOT NULL,
    counter         INTEGER NOT NULL,
    taken_at        TEXT NOT NULL,
    fix             TEXT NOT NULL           -- JSON, as it goes to the centre
);
CREATE UNIQUE INDEX waypoint_once ON waypoint (device_id, event, counter, taken_at);

-- name: keep_press
-- A press only goes forward, so rows may be written late, twice and in any order.
INSERT INTO press VALUES (
    :device_id, :event, :counter, :heard_at_ms, :age_s, :fix, :incident, :stage, :proof, :delivered, :last_event_id,
    :call_off, :follow_left_ms, :pin, :age_is_lower_bound, :age_told
)
ON CONFLICT (device_id, event, counter) DO UPDATE SET
    heard_at_ms = min(heard_at_ms, excluded.heard_at_ms),
    age_is_lower_bound = CASE WHEN age_s IS NULL THEN excluded.age_is_lower_bound ELSE age_is_lower_bound END,
    age_s = coalesce(age_s, excluded.age_s),
    age_told = max(age_told, excluded.age_told),
    fix = coalesce(fix, excluded.fix),
    incident = coalesce(excluded.incident, incident),
    proof = CASE WHEN excluded.stage > stage THEN excluded.proof ELSE proof END,
    stage = max(stage, excluded.stage),
    delivered = max(delivered, excluded.delivered),
    last_event_id = coalesce(excluded.last_event_id, last_event_id),
    pin = CASE WHEN call_off = 'done' THEN NULL ELSE excluded.pin END,
    call_off = CASE WHEN call_off = 'done' THEN call_off ELSE excluded.call_off END,
    follow_left_ms = min(follow_left_ms, excluded.follow_left_ms);

-- Both counters only go up, and one of them may be damaged: what was heard after either is later.
-- name: keep_alive
INSERT INTO alive VALUES (:device_id, :counter, :heard_at_ms, :on_time_counter, :on_time_at_ms)
ON CONFLICT (device_id) DO UPDATE SET
    counter = excluded.counter, heard_at_ms = excluded.heard_at_ms,
    on_time_counter = excluded.on_time_counter, on_time_at_ms = excluded.on_time_at_ms
WHERE excluded.counter >= min(counter, on_time_counter);

-- name: keep_health
INSERT INTO health VALUES (:device_id, :low, :battery_mv, :faults, :hearing)
ON CONFLICT (device_id) DO UPDATE SET
    low = excluded.low, battery_mv = excluded.battery_mv, faults = excluded.faults,
    hearing = excluded.hearing;

-- name: keep_waypoint
INSERT INTO waypoint VALUES (:device_id, :event, :counter, :taken_at, :fix) ON CONFLICT DO NOTHING;

-- name: drop_waypoint
DELETE FROM waypoint
WHERE device_id = :device_id AND event = :event AND counter = :counter AND taken_at = :taken_at;

-- A press that the centre has, is long over, and is too far behind to be taken again (expected_codes.BEHIND).
-- name: prune
DELETE FROM press
WHERE incident IS NOT NULL AND heard_at_ms < :before_ms
  AND counter + :behind < (SELECT max(counter) FROM press AS other
                           WHERE other.device_id = press.device_id AND other.counter < :spare_first);
