-- Version 3: who works here, and who is signed in.

CREATE TABLE users (
    user_id         TEXT PRIMARY KEY,           -- 8 base32 characters
    login           TEXT NOT NULL UNIQUE,       -- lower case
    name            TEXT NOT NULL,              -- as colleagues know her
    role            TEXT NOT NULL,              -- operator case_manager institute administrator
    zone            TEXT,                       -- of a case manager: her police zone
    language        TEXT NOT NULL,              -- fr nl de en
    password_sealed BLOB,                       -- its argon2id hash; NULL = none yet: nobody can sign in with it
    totp_sealed     BLOB,                       -- the secret of her second factor (RFC 6238)
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
    is_away         INTEGER NOT NULL DEFAULT 0  -- of an operator: others shall take what comes
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

-- Who took an alarm, sent help, closed it. NULL: before there were users.
ALTER TABLE acts ADD COLUMN user_id TEXT REFERENCES users;
