-- name: user
SELECT * FROM users WHERE user_id = :user_id;

-- name: user_of_login
SELECT * FROM users WHERE login = :login;

-- name: users
SELECT u.*, (SELECT max(seen_at_ms) FROM sessions s WHERE s.user_id = u.user_id) AS seen_at_ms
FROM users u ORDER BY login;

-- name: add_user
INSERT INTO users (user_id, login, name, role, zone, language, added_at_ms)
VALUES (:user_id, :login, :name, :role, :zone, :language, :now_ms)
ON CONFLICT DO NOTHING;

-- name: add_session
INSERT INTO sessions (token_sha256, user_id, opened_at_ms, seen_at_ms, where_sealed)
VALUES (:token_sha256, :user_id, :now_ms, :now_ms, :where_sealed);

-- name: open_sessions
SELECT s.token_sha256, u.login, u.name, u.role, s.opened_at_ms, s.seen_at_ms, s.where_sealed
FROM sessions s JOIN users u USING (user_id)
WHERE closed_at_ms IS NULL AND disabled_at_ms IS NULL ORDER BY login, opened_at_ms;

-- By the first characters of its hash, which lets nobody in.
-- name: session_of_id
SELECT token_sha256, user_id FROM sessions WHERE substr(token_sha256, 1, 16) = :session_id AND closed_at_ms IS NULL;

-- name: open_invitations
SELECT substr(token_sha256, 1, 16) AS invitation_id, u.login, u.name, i.purpose, i.expires_at_ms
FROM invitations i JOIN users u USING (user_id)
WHERE used_at_ms IS NULL AND expires_at_ms > :now_ms ORDER BY expires_at_ms;

-- name: revoke_invitation
UPDATE invitations SET used_at_ms = :now_ms
WHERE substr(token_sha256, 1, 16) = :invitation_id AND used_at_ms IS NULL;

-- name: forget_credentials
UPDATE users SET password_sealed = NULL, totp_sealed = NULL WHERE user_id = :user_id;

-- name: session
SELECT s.*, u.login, u.name, u.role, u.zone, u.language
FROM sessions s JOIN users u USING (user_id)
WHERE token_sha256 = :token_sha256 AND closed_at_ms IS NULL AND disabled_at_ms IS NULL;

-- name: see_session
UPDATE sessions SET opened_at_ms = :opened_at_ms, seen_at_ms = :now_ms WHERE token_sha256 = :token_sha256;

-- name: close_session
UPDATE sessions SET closed_at_ms = :now_ms WHERE token_sha256 = :token_sha256 AND closed_at_ms IS NULL;

-- name: add_invitation
INSERT INTO invitations (token_sha256, user_id, purpose, expires_at_ms)
VALUES (:token_sha256, :user_id, :purpose, :expires_at_ms);

-- name: invitation
SELECT i.* FROM invitations i JOIN users u USING (user_id)
WHERE token_sha256 = :token_sha256 AND purpose = :purpose AND disabled_at_ms IS NULL;

-- name: use_invitation
UPDATE invitations SET used_at_ms = :now_ms WHERE token_sha256 = :token_sha256 AND used_at_ms IS NULL;

-- name: set_language
UPDATE users SET language = :language WHERE user_id = :user_id;

-- name: set_away
UPDATE sessions SET is_away = :is_away WHERE token_sha256 = :token_sha256;

-- name: close_sessions_of_user
UPDATE sessions SET closed_at_ms = :now_ms WHERE user_id = :user_id AND closed_at_ms IS NULL;

-- name: use_invitations_of_user
UPDATE invitations SET used_at_ms = :now_ms WHERE user_id = :user_id AND used_at_ms IS NULL;

-- name: set_password
UPDATE users SET password_sealed = :password_sealed, totp_sealed = :totp_sealed, totp_step = :totp_step
WHERE user_id = :user_id AND disabled_at_ms IS NULL;

-- name: use_totp_step
UPDATE users SET totp_step = :step
WHERE user_id = :user_id AND totp_step < :step AND totp_sealed = :totp_sealed AND disabled_at_ms IS NULL;

-- name: sign_in_tries
SELECT * FROM sign_in_tries WHERE login = :login AND place = :place;

-- name: set_sign_in_tries
INSERT INTO sign_in_tries (login, place, tries, tried_at_ms, locked_until_ms)
VALUES (:login, :place, :tries, :now_ms, :locked_until_ms)
ON CONFLICT (login, place) DO UPDATE SET
    tries = excluded.tries, tried_at_ms = excluded.tried_at_ms, locked_until_ms = excluded.locked_until_ms;

-- name: forgive_tries
DELETE FROM sign_in_tries WHERE login = :login AND place = :place;

-- name: forgive_login
DELETE FROM sign_in_tries WHERE login = :login;

-- name: forget_tries
DELETE FROM sign_in_tries WHERE (login, place) IN (
    SELECT login, place FROM sign_in_tries
    WHERE tried_at_ms < :before_ms OR tried_at_ms <= (
        SELECT tried_at_ms FROM sign_in_tries ORDER BY tried_at_ms DESC LIMIT 1 OFFSET :kept
    )
    ORDER BY tried_at_ms LIMIT :at_most
);

-- name: known_place
SELECT seen_at_ms FROM known_places WHERE place = :place AND seen_at_ms >= :since_ms;

-- name: know_place
INSERT INTO known_places (place, seen_at_ms) VALUES (:place, :now_ms)
ON CONFLICT (place) DO UPDATE SET seen_at_ms = excluded.seen_at_ms;

-- name: forget_places
DELETE FROM known_places WHERE seen_at_ms < :before_ms OR seen_at_ms <= (
    SELECT seen_at_ms FROM known_places ORDER BY seen_at_ms DESC LIMIT 1 OFFSET :kept
);

-- name: tally
SELECT waiting, noted_at_ms FROM tallies WHERE kind = :kind AND why = :why;

-- name: set_tally
INSERT INTO tallies (kind, why, waiting, noted_at_ms) VALUES (:kind, :why, :waiting, :noted_at_ms)
ON CONFLICT (kind, why) DO UPDATE SET waiting = excluded.waiting, noted_at_ms = excluded.noted_at_ms;

-- name: tallies_waiting
SELECT kind, why FROM tallies WHERE waiting > 0;

-- name: disable_user
UPDATE users SET disabled_at_ms = :now_ms WHERE user_id = :user_id AND disabled_at_ms IS NULL;

-- name: set_user
UPDATE users SET name = :name, role = :role, zone = :zone, language = :language WHERE user_id = :user_id;

-- name: enable_user
UPDATE users SET disabled_at_ms = NULL WHERE user_id = :user_id AND disabled_at_ms IS NOT NULL;

-- name: change_password
UPDATE users SET password_sealed = :password_sealed WHERE user_id = :user_id AND disabled_at_ms IS NULL;

-- name: close_other_sessions
UPDATE sessions SET closed_at_ms = :now_ms
WHERE user_id = :user_id AND token_sha256 <> :token_sha256 AND closed_at_ms IS NULL;
