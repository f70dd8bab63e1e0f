-- Version 8: how old a press was is often told a moment after it, and by more than one bridge.

ALTER TABLE alarms ADD COLUMN age_is_lower_bound INTEGER NOT NULL DEFAULT 0;  -- the button's power was lost since
ALTER TABLE alarms ADD COLUMN redated_at_ms INTEGER;  -- when an age that came later moved pressed_at_ms

-- Of several bridges, the one that makes the press the freshest is believed: none can make an alarm look old that
-- another has just heard. A press's own code is on the air for 5.5 min: one without an age is that old at most,
-- and gives way to an age that says so.
ALTER TABLE alarms ADD COLUMN weight_ms INTEGER
    GENERATED ALWAYS AS (pressed_at_ms - iif(age_s IS NULL, 360000, 0)) VIRTUAL;
