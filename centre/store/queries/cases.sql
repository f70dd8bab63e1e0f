-- name: case
SELECT * FROM cases WHERE case_id = :case_id;

-- name: open_case
INSERT INTO cases (case_id, zone, file_sealed, opened_at_ms, changed_at_ms)
VALUES (:case_id, :zone, :file_sealed, :now_ms, :now_ms);

-- name: hand_out
INSERT INTO handouts (device_id, case_id, given_at_ms) VALUES (:device_id, :case_id, :now_ms);

-- name: case_of_device
SELECT case_id FROM handouts WHERE device_id = :device_id AND taken_back_at_ms IS NULL;
