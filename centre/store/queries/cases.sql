-- name: case
SELECT * FROM cases WHERE case_id = :case_id;

-- name: open_case
INSERT INTO cases (case_id, zone, file_sealed, opened_at_ms, changed_at_ms)
VALUES (:case_id, :zone, :file_sealed, :now_ms, :now_ms);

-- name: hand_out
INSERT INTO handouts (device_id, case_id, given_at_ms) VALUES (:device_id, :case_id, :now_ms);

-- Of a press: the first handout that had not ended by then. A phone's clock that is behind makes it no
-- stranger's, and a late press of a former handout is about the case of then.
-- name: case_of_press
SELECT case_id FROM handouts
WHERE device_id = :device_id AND (taken_back_at_ms IS NULL OR taken_back_at_ms > :pressed_at_ms)
ORDER BY given_at_ms LIMIT 1;
