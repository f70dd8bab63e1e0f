-- Version 1. Later versions are files of their own, listed in store/__init__.py. Once this one is out it stays as it
-- is: a database that was made by another text of it is refused.
-- Times are integers in ms since 1970. Invariants are unique indexes.

-- Which files made this database, and with what text: one that was made by another is not taken for ours.
CREATE TABLE schema_files (
    version         INTEGER PRIMARY KEY,        -- 1, 2, 3, ... in the order of the list
    sha256          TEXT NOT NULL               -- of the file
) STRICT;

CREATE TABLE devices (
    device_id       TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    board           TEXT NOT NULL,
    root_sealed     BLOB NOT NULL,              -- centre/platform/sealing.py
    epoch           INTEGER NOT NULL DEFAULT 0, -- re-keying in the field will raise it
    alive_period_s  INTEGER NOT NULL,
    pin_hash        TEXT,                       -- the protected person's, checked by the centre alone; sealed, hex
    duress_pin_hash TEXT,
    imported_at_ms  INTEGER NOT NULL,
    revoked_at_ms   INTEGER,
    capabilities    TEXT                        -- of its kind of board: a JSON object of booleans; NULL = not told
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
    device_revoked  INTEGER NOT NULL,           -- the button was revoked when it pressed: for an administrator
    stage           INTEGER NOT NULL DEFAULT 1, -- RECEIVED: nothing opens without it
    case_id         TEXT REFERENCES cases,      -- the one its button served when it was pressed, for ever
    -- The button was revoked when it was pressed: an administrator rules on it before any operator sees it.
    held            INTEGER NOT NULL DEFAULT 0, -- 1 = waits for that, 0 = an alarm like any other, 2 = set aside
    -- Its term is over: it keeps its press (it is still not taken twice) and loses everything else.
    erased_at_ms    INTEGER,
    positions_erased_at_ms INTEGER,             -- earlier: its positions
    -- Presses of the same button by the same bridge that are counted here, and not kept each.
    more_presses    INTEGER NOT NULL DEFAULT 0,
    -- The zone that exercises; NULL: a true alarm. Ruled once, when it is opened (centre/rules/exercises.py).
    exercise        TEXT,
    -- The bridge that told of it first: what one bridge tells of one button is a share (rules/fair_share.py).
    first_bridge_id TEXT REFERENCES bridges,    -- NULL: the button itself, without a phone
    follows         TEXT REFERENCES incidents   -- opened again by an operator, after that one was closed too early
) STRICT;

-- Exactly one incident per press, whoever sends it and however often (protocol); and one after each that was
-- closed too early.
CREATE UNIQUE INDEX one_incident_per_press ON incidents (device_id, event, counter, coalesce(follows, ''));
CREATE INDEX incidents_by_time ON incidents (event, opened_at_ms);
CREATE INDEX incidents_of_share ON incidents (device_id, first_bridge_id, event, opened_at_ms);

-- What reached us: by each bridge and path once, with the number of its posts.
CREATE TABLE alarms (
    incident_id     TEXT NOT NULL REFERENCES incidents,
    bridge_id       TEXT REFERENCES bridges,    -- NULL: the button itself has said it, without a phone
    path            TEXT NOT NULL,              -- ble wifi lte phone, unknown where it was dropped
    heard_at_ms     INTEGER,                    -- by the bridge's clock
    age_s           REAL,                       -- of the press when heard; NULL = unknown
    pressed_at_ms   INTEGER NOT NULL,           -- our reckoning; without an age the latest it can be
    battery_percent INTEGER,                    -- of the phone
    model           TEXT,
    received_at_ms  INTEGER NOT NULL,
    repeated_at_ms  INTEGER NOT NULL,           -- the last post of it
    posts           INTEGER NOT NULL DEFAULT 1,
    age_is_lower_bound INTEGER NOT NULL DEFAULT 0, -- the button's power was lost since
    redated_at_ms   INTEGER,                    -- when an age that came later moved pressed_at_ms
    -- Of several bridges, the one that makes the press the freshest is believed: none can make an alarm look old
    -- that another has just heard. A press's own code is on the air for 5.5 min: one without an age is that old at
    -- most, and gives way to an age that says so.
    weight_ms       INTEGER
        GENERATED ALWAYS AS (pressed_at_ms - iif(age_s IS NULL, 360000, 0)) VIRTUAL
) STRICT;

CREATE UNIQUE INDEX one_arrival_once ON alarms (incident_id, coalesce(bridge_id, ''), path);

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
    received_at_ms  INTEGER NOT NULL,
    source          TEXT,                       -- which part of the phone it came from
    marks           TEXT NOT NULL DEFAULT '',   -- words, separated by spaces: why it is not fresh
    age_s           REAL,                       -- when it was posted, as the bridge says; NULL = it does not
    arrived_ms      INTEGER NOT NULL,           -- received_at_ms, by our clock as it has been set since
    -- When it was measured, by our own clock (centre/rules/newest_position.py).
    at_ms           INTEGER GENERATED ALWAYS AS
        (iif(age_s IS NULL, min(taken_at_ms, arrived_ms), arrived_ms - CAST(round(age_s * 1000) AS INTEGER))) VIRTUAL
) STRICT;

-- The same position, sent again, is one row; two sources may speak in the same millisecond.
CREATE UNIQUE INDEX one_fix_once ON fixes
    (incident_id, coalesce(bridge_id, ''), method, coalesce(source, ''), taken_at_ms, lat, lon);
CREATE INDEX fixes_of_incident ON fixes (incident_id, at_ms);
-- The newest of each phone and each set of marks, of however many.
CREATE INDEX newest_fixes ON fixes (incident_id, bridge_id, marks, at_ms);
-- Nothing was measured later than a fix came that came after it: where it seems so, our clock was set back since.
CREATE TRIGGER arrival_follows_the_clock AFTER INSERT ON fixes BEGIN
    UPDATE fixes SET arrived_ms = NEW.arrived_ms WHERE incident_id = NEW.incident_id AND at_ms > NEW.arrived_ms;
END;

-- The order that server-sent events follow; signals in memory only wake those who read it.
CREATE TABLE receipts (
    seq             INTEGER PRIMARY KEY,
    incident_id     TEXT NOT NULL REFERENCES incidents,
    stage           INTEGER NOT NULL,
    proof           BLOB NOT NULL,
    at_ms           INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_receipt_per_stage ON receipts (incident_id, stage);

-- Call-offs, what operators did, what bridges last told.

-- The highest stage follows the receipts: the operator's page reads only what is open, however long the history.
CREATE TRIGGER stage_follows_receipts AFTER INSERT ON receipts WHEN NEW.stage > 1 BEGIN
    UPDATE incidents SET stage = NEW.stage WHERE incident_id = NEW.incident_id AND stage < NEW.stage;
END;

-- The protected person took the alarm back. It stays open: only the operator closes.
CREATE TABLE call_offs (
    incident_id       TEXT PRIMARY KEY REFERENCES incidents,
    called_off_at_ms  INTEGER NOT NULL,         -- the first time
    repeated_at_ms    INTEGER NOT NULL,
    duress            INTEGER NOT NULL,         -- 1: with the duress PIN, then or later; never back to 0
    duress_at_ms      INTEGER,
    duress_seen_at_ms INTEGER                   -- an operator acted on it, knowing
) STRICT, WITHOUT ROWID;

CREATE INDEX duress_not_seen ON call_offs (incident_id) WHERE duress AND duress_seen_at_ms IS NULL;

-- Attempts at a PIN since the last right one, so that a restart forgives nothing.
CREATE TABLE pin_attempts (
    device_id         TEXT PRIMARY KEY REFERENCES devices,
    attempts          INTEGER NOT NULL,
    locked_until_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an operator adds to a stage: the receipt itself is in `receipts`.
CREATE TABLE acts (
    incident_id       TEXT NOT NULL REFERENCES incidents,
    stage             INTEGER NOT NULL,         -- ACKNOWLEDGED, DISPATCHED, CLOSED
    reason            TEXT,                     -- of CLOSED
    note              TEXT,
    at_ms             INTEGER NOT NULL,
    actor             TEXT NOT NULL,            -- who took the alarm, sent help, closed it: as the log has it
    name              TEXT NOT NULL,            -- as colleagues knew them then
    PRIMARY KEY (incident_id, stage)
) STRICT, WITHOUT ROWID;

-- Who has an alarm that somebody has taken. All else of its running log is in the event log alone.
CREATE TABLE owners (
    incident_id       TEXT PRIMARY KEY REFERENCES incidents,
    actor             TEXT,                     -- NULL: it was given back, and waits again
    name              TEXT NOT NULL,
    since_ms          INTEGER NOT NULL,
    is_new            INTEGER NOT NULL DEFAULT 0 -- it was handed over, and not looked at since
) STRICT, WITHOUT ROWID;

CREATE INDEX alarms_of_owner ON owners (actor);

-- A closing that the button has not been told of yet: until then it can be undone.
CREATE TABLE closings (
    incident_id       TEXT PRIMARY KEY REFERENCES incidents,
    reason            TEXT NOT NULL,
    actor             TEXT NOT NULL,
    name              TEXT NOT NULL,
    at_ms             INTEGER NOT NULL,
    due_at_ms         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX closings_by_time ON closings (due_at_ms);

-- What somebody else than who closed it has found since; nothing is overwritten, the last word counts.
CREATE TABLE corrections (
    number            INTEGER PRIMARY KEY,
    incident_id       TEXT NOT NULL REFERENCES incidents,
    reason            TEXT NOT NULL,
    actor             TEXT NOT NULL,
    name              TEXT NOT NULL,
    at_ms             INTEGER NOT NULL
) STRICT;

CREATE INDEX corrections_of_incident ON corrections (incident_id, number);

-- What is to be done at an alarm of a police zone, a step a line; operators tick them off in the running log.
CREATE TABLE standing_orders (
    zone              TEXT PRIMARY KEY,
    steps             TEXT NOT NULL,            -- one a line
    changed_at_ms     INTEGER NOT NULL,         -- who changes it names the one that was read
    actor             TEXT NOT NULL,
    name              TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a closed alarm was, and whose word that is.
CREATE VIEW findings AS
SELECT a.incident_id, coalesce(c.reason, a.reason) AS reason, coalesce(c.actor, a.actor) AS actor
FROM acts a LEFT JOIN corrections c
     ON c.number = (SELECT max(number) FROM corrections l WHERE l.incident_id = a.incident_id)
WHERE a.stage = 4;

-- What a press turned out to be: where its alarm was closed too early and opened again, by the last of them.
CREATE VIEW press_findings AS
SELECT i.incident_id,
       (SELECT (SELECT reason FROM findings f WHERE f.incident_id = l.incident_id) FROM incidents l
        WHERE l.device_id = i.device_id AND l.event = i.event AND l.counter = i.counter
        ORDER BY l.rowid DESC LIMIT 1) AS reason
FROM incidents i WHERE i.follows IS NULL;

-- The last that a bridge said of itself and of each button.
CREATE TABLE bridge_states (
    bridge_id         TEXT PRIMARY KEY REFERENCES bridges,
    alive_at_ms       INTEGER NOT NULL,
    battery_percent   INTEGER,
    model             TEXT,
    troubles          TEXT NOT NULL,             -- words, separated by spaces
    running_since_ms  INTEGER,                  -- by the bridge's clock: told apart, not reckoned with
    leaving           INTEGER NOT NULL DEFAULT 0,
    listening_since_ms INTEGER,                 -- NULL: it is deaf
    look_at_ms        INTEGER                  -- when to look; NULL: at its next heartbeat
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
    news_at_ms        INTEGER,                  -- when this bridge told that it had heard it anew, by our clock
    lost_after_s      INTEGER,                  -- silence after which this bridge takes it for lost; NULL: not told
    PRIMARY KEY (bridge_id, device_id)
) STRICT, WITHOUT ROWID;

-- The direct path: what buttons say without a phone (wire/SPEC.md, "Direct path"; centre/rules/direct.py).

-- How far each one is, of those that have spoken.
CREATE TABLE direct_sessions (
    device_id       TEXT PRIMARY KEY REFERENCES devices,
    n               INTEGER NOT NULL,           -- the session that is expected next
    seq             INTEGER NOT NULL,           -- of the one before: the highest that came
    began_at_ms     INTEGER NOT NULL,           -- when that one was first heard
    is_restored     INTEGER NOT NULL DEFAULT 0  -- out of a backup: the button may be far ahead
) STRICT, WITHOUT ROWID;

-- The last that a button said over a carrier, or of one that failed.
CREATE TABLE carrier_states (
    device_id       TEXT NOT NULL REFERENCES devices,
    carrier         TEXT NOT NULL,              -- wifi lte
    heard_at_ms     INTEGER,                    -- NULL: it has never come through
    signal_dbm      INTEGER,
    battery_mv      INTEGER,
    flags           INTEGER NOT NULL DEFAULT 0, -- as in *state*, and that the clock was lost
    error           INTEGER NOT NULL DEFAULT 0, -- why it failed last (wire/SPEC.md, "Errors"); 0: it did not
    error_at_ms     INTEGER,
    network         INTEGER,                    -- of LTE: the kind of cell
    network_before  INTEGER,
    network_changed_at_ms INTEGER,
    PRIMARY KEY (device_id, carrier)
) STRICT, WITHOUT ROWID;

-- What a button saw where it pressed without a phone: access points and cell, as JSON, sealed. It goes with the
-- positions (centre/work/retention.py).
CREATE TABLE sightings (
    incident_id     TEXT PRIMARY KEY REFERENCES incidents,
    at_ms           INTEGER NOT NULL,
    sealed          BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Who works here, and who is signed in.

CREATE TABLE users (
    user_id         TEXT PRIMARY KEY,           -- 8 base32 characters
    login           TEXT NOT NULL UNIQUE,       -- lower case
    name            TEXT NOT NULL,              -- as colleagues know the person
    role            TEXT NOT NULL,              -- operator case_manager institute administrator
    zone            TEXT,                       -- of a case manager: the police zone
    language        TEXT NOT NULL,              -- fr nl de en
    password_sealed BLOB,                       -- its argon2id hash; NULL = none yet: nobody can sign in with it
    totp_sealed     BLOB,                       -- the secret of the second factor (RFC 6238)
    totp_step       INTEGER NOT NULL DEFAULT 0, -- the last one used, so that none is used twice
    added_at_ms     INTEGER NOT NULL,
    disabled_at_ms  INTEGER
) STRICT;

-- What a browser holds. The token itself is only there.
CREATE TABLE sessions (
    token_sha256    TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL REFERENCES users,
    opened_at_ms    INTEGER NOT NULL,
    seen_at_ms      INTEGER NOT NULL,
    closed_at_ms    INTEGER,
    is_away         INTEGER NOT NULL DEFAULT 0, -- of an operator: others shall take what comes
    where_sealed    BLOB                        -- address and browser that it was opened from
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user_id);

-- An address that the administrator hands out, good once: to set a password, or to come in.
CREATE TABLE invitations (
    token_sha256    TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL REFERENCES users,
    purpose         TEXT NOT NULL,              -- enter set
    expires_at_ms   INTEGER NOT NULL,
    used_at_ms      INTEGER
) STRICT, WITHOUT ROWID;

-- Wrong sign-ins since the last right one, of whatever was typed as a login: whoever tries is not told
-- whether there is such a user. Which are counted together: centre/rules/login_attempts.py.
CREATE TABLE sign_in_tries (
    place           BLOB NOT NULL,              -- a browser or a network, as a word; empty: any strange one
    login           BLOB NOT NULL,              -- as a word (centre/platform/sealing.py); empty: any
    tries           INTEGER NOT NULL,
    tried_at_ms     INTEGER NOT NULL,           -- the last one
    locked_until_ms INTEGER NOT NULL,
    PRIMARY KEY (login, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_tries_by_time ON sign_in_tries (tried_at_ms);

-- Browsers and networks from which somebody has signed in: tries from there stand apart from strangers'.
CREATE TABLE known_places (
    place           BLOB PRIMARY KEY,           -- as a word: no address can be read here
    seen_at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX known_places_by_time ON known_places (seen_at_ms);

-- What strangers cause is noted in the log at most once a minute, with how often it was.
CREATE TABLE tallies (
    kind            TEXT NOT NULL,
    why             TEXT NOT NULL,
    waiting         INTEGER NOT NULL,           -- not noted yet
    noted_at_ms     INTEGER NOT NULL,
    PRIMARY KEY (kind, why)
) STRICT, WITHOUT ROWID;

-- Cases, the prosecutor's grants, who holds which button.

CREATE TABLE cases (
    case_id         TEXT PRIMARY KEY,           -- 8 base32 characters
    zone            TEXT NOT NULL,              -- the police zone that sees it
    file_sealed     BLOB,                       -- the whole file as JSON (centre/rules/cases.py); NULL once erased
    opened_at_ms    INTEGER NOT NULL,
    changed_at_ms   INTEGER NOT NULL,           -- of the file: who changes it names the one that was read
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

-- By which access points the registered places of a case are known: JSON, sealed.
CREATE TABLE place_networks (
    case_id         TEXT PRIMARY KEY REFERENCES cases,
    networks_sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

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
CREATE TABLE assignments (
    assignment_id   INTEGER PRIMARY KEY,
    device_id       TEXT NOT NULL REFERENCES devices,
    case_id         TEXT NOT NULL REFERENCES cases,
    given_at_ms     INTEGER NOT NULL,
    taken_back_at_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX one_case_per_button ON assignments (device_id) WHERE taken_back_at_ms IS NULL;
CREATE INDEX assignments_of_case ON assignments (case_id);
CREATE INDEX assignments_of_device ON assignments (device_id, given_at_ms);

CREATE INDEX incidents_of_case ON incidents (case_id, opened_at_ms) WHERE case_id IS NOT NULL;

CREATE INDEX incidents_held ON incidents (opened_at_ms) WHERE held = 1;

CREATE INDEX bridges_of_device ON bridge_devices (device_id);
CREATE INDEX enrolments_of_device ON enrolments (device_id);

-- What an administrator looks after first.
CREATE INDEX devices_revoked ON devices (device_id) WHERE revoked_at_ms IS NOT NULL;
CREATE INDEX bridges_revoked ON bridges (bridge_id) WHERE revoked_at_ms IS NOT NULL;

-- What happened, so that one changed byte shows (centre/rules/event_log.py).

CREATE TABLE log (
    seq             INTEGER PRIMARY KEY,        -- 1, 2, 3, ... without a gap
    at_ms           INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    actor           TEXT NOT NULL,              -- user:ID bridge:ID button centre command
    incident_id     TEXT,
    case_id         TEXT,
    device_id       TEXT,
    sealed          BLOB,                       -- salt and content (JSON); NULL once erased: digest tells nothing
    digest          BLOB NOT NULL,              -- of salt and content, in clear
    hash            BLOB NOT NULL               -- of the hash before and all of this row but `sealed`
) STRICT;

CREATE INDEX log_of_incident ON log (incident_id, seq) WHERE incident_id IS NOT NULL;
CREATE INDEX log_of_case ON log (case_id, seq) WHERE case_id IS NOT NULL;
-- What people did and wrote, apart from the many positions: centre/rules/running_log.py.
CREATE INDEX running_log ON log (incident_id, seq) WHERE kind IN
    ('advanced', 'called_off', 'escalated', 'remark', 'patrol', 'passed_on', 'given_back', 'taken_over',
     'closing', 'close_undone', 'corrected', 'reopened', 'order_step');
-- For who reads it, with filters. What phones send is not in them: an alarm writes no page more for it.
CREATE INDEX log_of_kind ON log (kind, seq) WHERE kind NOT IN ('received', 'fixes', 'age');
CREATE INDEX log_of_user ON log (actor, seq) WHERE actor GLOB 'user:*';

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

-- What the board reads: however many were erased, it walks none of them.
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

-- What supervision finds lost, and what other systems are told.

CREATE INDEX bridges_to_look_at ON bridge_states (look_at_ms) WHERE look_at_ms IS NOT NULL;

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
    began_at_ms     INTEGER NOT NULL,           -- the last heartbeat before it; 0 = there was none
    found_at_ms     INTEGER NOT NULL,
    running_since_ms INTEGER,                   -- as the bridge had told before
    goodbye         INTEGER NOT NULL DEFAULT 0,
    burst_ms        INTEGER,                    -- found among many at once: that burst
    back_at_ms      INTEGER,                    -- a heartbeat came; it must be followed by others
    ended_at_ms     INTEGER
) STRICT;

CREATE UNIQUE INDEX one_open_loss ON losses (kind, coalesce(device_id, ''), coalesce(bridge_id, ''))
    WHERE ended_at_ms IS NULL;
CREATE INDEX losses_of_device ON losses (device_id, found_at_ms) WHERE device_id IS NOT NULL;
CREATE INDEX losses_of_bridge ON losses (bridge_id, found_at_ms) WHERE bridge_id IS NOT NULL;
CREATE INDEX open_losses_by_time ON losses (began_at_ms) WHERE ended_at_ms IS NULL;

-- What is written to see that an alarm could be (centre/work/store_check.py).
CREATE TABLE write_checks (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    at_ms           INTEGER NOT NULL,
    filler          BLOB NOT NULL
) STRICT;

-- Alarms that nobody took: told further, once each.
CREATE TABLE escalations (
    incident_id     TEXT PRIMARY KEY REFERENCES incidents,
    at_ms           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a dispatch system is told, until it has said that it knows.
CREATE TABLE webhook_events (
    event_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id     TEXT NOT NULL REFERENCES incidents,
    kind            TEXT NOT NULL,
    body            TEXT NOT NULL,              -- JSON, the same at every try
    made_at_ms      INTEGER NOT NULL,
    tries           INTEGER NOT NULL DEFAULT 0,
    next_at_ms      INTEGER NOT NULL,
    done_at_ms      INTEGER,
    given_up        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX webhook_events_to_send ON webhook_events (next_at_ms) WHERE done_at_ms IS NULL;
CREATE INDEX webhook_events_of_incident ON webhook_events (incident_id, event_id) WHERE done_at_ms IS NULL;

-- What retention erases of supervision (centre/work/retention.py).
CREATE INDEX losses_ended ON losses (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX log_of_losses ON log (at_ms) WHERE kind IN ('lost', 'found_again') AND sealed IS NOT NULL;

-- The Institute's figures, as they may be shown; what is kept back is not here either.

CREATE TABLE figures (
    month           TEXT NOT NULL,              -- YYYY-MM, UTC
    zone            TEXT NOT NULL,              -- a police zone; all, other, none
    figure          TEXT NOT NULL,
    class           TEXT NOT NULL,              -- centre/rules/figures.py
    value           INTEGER,                    -- NULL: some, fewer than five
    PRIMARY KEY (month, figure, class, zone)
) STRICT, WITHOUT ROWID;

CREATE TABLE figure_months (
    month           TEXT PRIMARY KEY,
    made_at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Exercises: whose presses are no alarms of anybody (centre/rules/exercises.py).

-- A check button is for nothing else, for ever: a program of ours holds it (centre/commands/check.py).
CREATE TABLE check_buttons (
    device_id       TEXT PRIMARY KEY REFERENCES devices,
    zone            TEXT NOT NULL,
    added_at_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Any other button that nobody holds: for some hours, and the last time it was.
CREATE TABLE exercises (
    device_id       TEXT PRIMARY KEY REFERENCES devices,
    zone            TEXT NOT NULL,
    begins_at_ms    INTEGER NOT NULL,
    ends_at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an operator said of a test alarm of a check button.
CREATE TABLE desk_checks (
    incident_id     TEXT PRIMARY KEY REFERENCES incidents,
    zone            TEXT NOT NULL,
    opened_at_ms    INTEGER NOT NULL,
    confirmed_at_ms INTEGER NOT NULL,
    user_id         TEXT NOT NULL REFERENCES users,
    sound_heard     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX desk_checks_by_desk ON desk_checks (zone, user_id, confirmed_at_ms);

-- Dispatch systems: programs in which operators of elsewhere work, and act on alarms by (centre/api/dispatch.py).

-- The token itself is only there.
CREATE TABLE dispatch_systems (
    system_id       TEXT PRIMARY KEY,           -- 8 base32 characters
    name            TEXT NOT NULL,              -- as operators read it beside an act
    token_sha256    TEXT NOT NULL UNIQUE,
    every_zone      INTEGER NOT NULL,           -- also alarms of buttons that serve no case
    may_close       INTEGER NOT NULL,
    added_at_ms     INTEGER NOT NULL,
    revoked_at_ms   INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_dispatch_system_per_name ON dispatch_systems (name) WHERE revoked_at_ms IS NULL;

CREATE TABLE dispatch_zones (
    system_id       TEXT NOT NULL REFERENCES dispatch_systems,
    zone            TEXT NOT NULL,
    PRIMARY KEY (system_id, zone)
) STRICT, WITHOUT ROWID;

-- What was done, by the key that the system has given it: the same request again is answered, and not done again.
CREATE TABLE dispatch_requests (
    system_id       TEXT NOT NULL REFERENCES dispatch_systems,
    key             TEXT NOT NULL,
    request_sha256  BLOB NOT NULL,              -- of incident, act and body
    answer          TEXT NOT NULL,              -- JSON
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (system_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dispatch_requests_by_time ON dispatch_requests (at_ms);
