-- Version 4: cases, the prosecutor's grants, who holds which button.

CREATE TABLE cases (
    case_id         TEXT PRIMARY KEY,           -- 8 base32 characters
    zone            TEXT NOT NULL,              -- the police zone that sees it
    file_sealed     BLOB,                       -- the whole file as JSON (centre/rules/cases.py); NULL once erased
    opened_at_ms    INTEGER NOT NULL,
    changed_at_ms   INTEGER NOT NULL,           -- of the file: who changes it names the one she has read
    closed_at_ms    INTEGER,
    due_on          TEXT,                       -- the day of its last grant's review or end: then it is on top
    erased_at_ms    INTEGER
) STRICT;

CREATE INDEX cases_of_zone ON cases (zone, closed_at_ms, opened_at_ms, case_id);
CREATE INDEX cases_due ON cases (zone, due_on) WHERE closed_at_ms IS NULL AND due_on IS NOT NULL;

-- Names lie sealed; each word of them can be looked for by its HMAC under a key outside the database.
CREATE TABLE case_words (
    word_mac        BLOB NOT NULL,
    case_id         TEXT NOT NULL REFERENCES cases,
    PRIMARY KEY (word_mac, case_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX words_of_case ON case_words (case_id);

CREATE TABLE photos (
    case_id         TEXT NOT NULL REFERENCES cases,
    shows           TEXT NOT NULL,              -- stalker person vehicle
    media_type      TEXT NOT NULL,              -- image/jpeg image/png
    image_sealed    BLOB NOT NULL,
    PRIMARY KEY (case_id, shows)
) STRICT;

-- The prosecutor's decision. Days are ISO 8601 (YYYY-MM-DD), in the centre's own time zone.
CREATE TABLE grants (
    grant_id        TEXT PRIMARY KEY,
    case_id         TEXT NOT NULL REFERENCES cases,
    reference       TEXT NOT NULL,              -- the prosecutor's own
    starts_on       TEXT NOT NULL,
    review_on       TEXT NOT NULL,
    ends_on         TEXT NOT NULL,
    recorded_at_ms  INTEGER NOT NULL,
    ended_on        TEXT                        -- earlier than it was to end
) STRICT;

CREATE INDEX grants_of_case ON grants (case_id, starts_on);

-- Which case a button serves, and when it did.
CREATE TABLE handouts (
    handout_id      INTEGER PRIMARY KEY,
    device_id       TEXT NOT NULL REFERENCES devices,
    case_id         TEXT NOT NULL REFERENCES cases,
    given_at_ms     INTEGER NOT NULL,
    taken_back_at_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX one_case_per_button ON handouts (device_id) WHERE taken_back_at_ms IS NULL;
CREATE INDEX handouts_of_case ON handouts (case_id);
CREATE INDEX handouts_of_device ON handouts (device_id, given_at_ms);

-- The case that an alarm is about is the one its button served when it was pressed, for ever.
ALTER TABLE incidents ADD COLUMN case_id TEXT REFERENCES cases;
CREATE INDEX incidents_of_case ON incidents (case_id, opened_at_ms) WHERE case_id IS NOT NULL;

-- The button was revoked when it was pressed: an administrator rules on it before any operator sees it.
-- 1 = waits for her, 0 = an alarm like any other, 2 = set aside.
ALTER TABLE incidents ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incidents_held ON incidents (opened_at_ms) WHERE held = 1;

CREATE INDEX bridges_of_device ON bridge_devices (device_id);
CREATE INDEX enrolments_of_device ON enrolments (device_id);

-- What an administrator looks after first.
CREATE INDEX devices_revoked ON devices (device_id) WHERE revoked_at_ms IS NOT NULL;
CREATE INDEX bridges_revoked ON bridges (bridge_id) WHERE revoked_at_ms IS NOT NULL;
