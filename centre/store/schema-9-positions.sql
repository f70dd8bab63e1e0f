-- Version 9: when a position was measured, by our own clock; presses beyond what a hand can do.

ALTER TABLE fixes ADD COLUMN age_s REAL;  -- when it was posted, as the bridge says; NULL = it does not
ALTER TABLE fixes ADD COLUMN at_ms INTEGER GENERATED ALWAYS AS  -- centre/rules/newest_position.py
    (iif(age_s IS NULL, min(taken_at_ms, received_at_ms), received_at_ms - CAST(round(age_s * 1000) AS INTEGER))) VIRTUAL;
DROP INDEX fixes_of_incident;
CREATE INDEX fixes_of_incident ON fixes (incident_id, at_ms);
-- The newest of each phone and each set of marks, of however many.
CREATE INDEX newest_fixes ON fixes (incident_id, bridge_id, marks, at_ms);

-- Presses of the same button by the same bridge that are counted here, and not kept each.
ALTER TABLE incidents ADD COLUMN more_presses INTEGER NOT NULL DEFAULT 0;
