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
INSERT INTO sessions (token_sha256, user_id, opened_at_ms, seen_at_ms)
VALUES (:token_sha256, :user_id, :now_ms, :now_ms);

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
SELECT * FROM sign_in_tries WHERE who = :who;

-- name: set_sign_in_tries
INSERT INTO sign_in_tries (who, tries, since_ms, locked_until_ms)
VALUES (:who, :tries, :since_ms, :locked_until_ms)
ON CONFLICT (who) DO UPDATE SET
    tries = excluded.tries, since_ms = excluded.since_ms, locked_until_ms = excluded.locked_until_ms;

-- name: forget_sign_in_tries
DELETE FROM sign_in_tries WHERE who = :who OR (locked_until_ms < :before_ms AND since_ms < :before_ms);

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
