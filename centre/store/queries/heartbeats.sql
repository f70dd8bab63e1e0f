-- It listens from this sign on, unless it did already, or says that it cannot. One that was silent for so
-- long that it counts as lost has not listened meanwhile, for all we know.
-- name: set_bridge_state
INSERT INTO bridge_states (bridge_id, alive_at_ms, battery_percent, model, troubles, running_since_ms, leaving,
                           listening_since_ms, look_at_ms)
VALUES (:bridge_id, :now_ms, :battery_percent, :model, :troubles, :running_since_ms, :leaving,
        iif(:deaf, NULL, :now_ms), :look_at_ms)
ON CONFLICT DO UPDATE SET
    alive_at_ms = :now_ms, battery_percent = :battery_percent, model = :model, troubles = :troubles,
    running_since_ms = coalesce(:running_since_ms, running_since_ms), leaving = :leaving,
    listening_since_ms = iif(:deaf, NULL, iif(leaving OR :now_ms - alive_at_ms > :silence_ms, :now_ms,
                                              coalesce(listening_since_ms, :now_ms))),
    look_at_ms = iif(EXISTS (SELECT 1 FROM losses l
                             WHERE l.bridge_id = :bridge_id AND l.ended_at_ms IS NULL), :now_ms, :look_at_ms);

-- A bridge that was started anew does not know what it knew before.
-- name: set_button_state
INSERT INTO button_states (bridge_id, device_id, told_at_ms, heard_at_ms, battery_mv, low, in_reach,
                           lost_after_s, press_counter, alive_counter, faults, news_at_ms)
VALUES (:bridge_id, :device_id, :now_ms, :heard_at_ms, :battery_mv, :low, :in_reach, :lost_after_s,
        :press_counter, :alive_counter, :faults, iif(:heard_at_ms IS NULL, NULL, :now_ms))
ON CONFLICT DO UPDATE SET
    told_at_ms = :now_ms,
    news_at_ms = iif(:heard_at_ms > coalesce(heard_at_ms, 0), :now_ms, news_at_ms),
    heard_at_ms = max(coalesce(:heard_at_ms, heard_at_ms), coalesce(heard_at_ms, :heard_at_ms)),
    battery_mv = coalesce(:battery_mv, battery_mv), low = :low, in_reach = :in_reach,
    lost_after_s = :lost_after_s,
    press_counter = max(coalesce(:press_counter, press_counter), coalesce(press_counter, :press_counter)),
    alive_counter = max(coalesce(:alive_counter, alive_counter), coalesce(alive_counter, :alive_counter)),
    faults = :faults;

-- Heard by something else than a heartbeat. Of a phone that has never given one nothing is expected.
-- name: hear_bridge
UPDATE bridge_states SET alive_at_ms = max(alive_at_ms, :now_ms), leaving = 0,
    look_at_ms = iif(EXISTS (SELECT 1 FROM losses l
                             WHERE l.bridge_id = :bridge_id AND l.ended_at_ms IS NULL), :now_ms, look_at_ms)
WHERE bridge_id = :bridge_id;

-- What is known of its battery stays known, whichever phone has told it.
-- name: hear_button
INSERT INTO button_states (bridge_id, device_id, told_at_ms, heard_at_ms, battery_mv, low, faults, news_at_ms)
SELECT :bridge_id, :device_id, :now_ms, :heard_at_ms, max(battery_mv), coalesce(max(low), 0), '', :now_ms
FROM (SELECT battery_mv, low FROM button_states WHERE device_id = :device_id
      ORDER BY heard_at_ms DESC, told_at_ms DESC LIMIT 1)
WHERE true
ON CONFLICT DO UPDATE SET
    news_at_ms = iif(:heard_at_ms > coalesce(heard_at_ms, 0), :now_ms, news_at_ms),
    in_reach = iif(:heard_at_ms > coalesce(heard_at_ms, 0), NULL, in_reach),
    heard_at_ms = max(:heard_at_ms, coalesce(heard_at_ms, 0));

-- name: look_at_heard_button
UPDATE watched_buttons SET look_at_ms = :now_ms
WHERE device_id = :device_id
  AND EXISTS (SELECT 1 FROM losses l WHERE l.device_id = :device_id AND l.ended_at_ms IS NULL);

-- name: watch_button
INSERT INTO watched_buttons (device_id, look_at_ms) VALUES (:device_id, :look_at_ms)
ON CONFLICT DO UPDATE SET look_at_ms =
    iif(EXISTS (SELECT 1 FROM losses l WHERE l.device_id = :device_id AND l.ended_at_ms IS NULL), :now_ms,
        min(coalesce(look_at_ms, :now_ms), :look_at_ms));
