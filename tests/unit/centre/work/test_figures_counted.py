"""What is counted in a month: each incident once, erased or not; grants, buttons, time out of reach."""

from dataclasses import astuple

from centre.rules import access, figures
from centre.rules.figures import ALL, Figure
from centre.work import cases, retention
from centre.work import figures as work
from tests.unit.centre.parts import signed_in
from tests.unit.centre.work.parts import FILE, World, month_of_alarms

DAY_MS = 86_400_000
MINUTE_MS = 60_000


def counted(world: World, month: str) -> list[tuple[object, ...]]:
    work.make_all(world.core)
    return sorted(map(astuple, work.shown(world.core, month, month)[month]), key=str)


def test_an_incident_counts_once_erased_or_not() -> None:
    """In a month that is counted late, some are erased already; the figures are the same."""
    shown = []
    for erased in (0, 4, 6):
        world = World()
        month = month_of_alarms(world)
        with world.core.store.transaction():
            rows = world.core.store.db.execute(
                "SELECT * FROM incidents ORDER BY counter LIMIT ?", (2 * erased,)
            )
            for incident in rows.fetchall():
                retention._erase_incident(world.core, incident, 100)
        world.clock.ms += 32 * DAY_MS
        shown.append(counted(world, month))
    assert shown[0] == shown[1] == shown[2]
    assert (ALL, "alarms", ALL, 6) in shown[0]


def test_grants_buttons_and_time_out_of_reach() -> None:
    """Six of each in one zone; a loss counts within the month, from when it was found."""
    world, month = World(), "2026-02"
    begins, ends = figures.bounds_ms(month)
    world.clock.ms = begins - 40 * DAY_MS
    manager = signed_in(world.core, access.CASE_MANAGER, zone="5340")
    db, bridge = world.core.store.db, world.bridge()
    for number in range(6):
        device_id, case_id = f"DEVICE{number}", cases.open_case(world.core, manager, FILE)
        db.execute(
            "INSERT INTO devices (device_id, kind, board, root_sealed, alive_period_s, imported_at_ms)"
            " VALUES (?, 'button', 'esp32', x'00', 60, ?)",
            (device_id, begins),
        )
        db.execute(
            "INSERT INTO assignments (device_id, case_id, given_at_ms) VALUES (?, ?, ?)",
            (device_id, case_id, begins - 10 * DAY_MS),
        )
        db.execute(
            "INSERT INTO button_states (bridge_id, device_id, told_at_ms, battery_mv, low, faults)"
            " VALUES (?, ?, ?, 2904, 0, '')",
            (bridge, device_id, ends),
        )
        for found_at_ms, ended_at_ms in (
            (begins - DAY_MS, begins + 3 * MINUTE_MS),
            (ends - 2 * MINUTE_MS, None),
        ):
            db.execute(
                "INSERT INTO losses (kind, device_id, began_at_ms, found_at_ms, ended_at_ms)"
                " VALUES ('button_out_of_reach', ?, 0, ?, ?)",
                (device_id, found_at_ms, ended_at_ms),
            )
        for starts_on, ends_on in (("2025-11-01", "2026-02-27"), ("2026-02-28", "2026-08-01")):
            db.execute(
                "INSERT INTO grants"
                " (grant_id, case_id, reference, starts_on, review_on, ends_on, recorded_at_ms)"
                " VALUES (?, ?, 'R', ?, ?, ?, 0)",
                (f"{case_id}{starts_on}", case_id, starts_on, ends_on, ends_on),
            )
    world.clock.ms = ends + 1
    work.make_all(world.core)
    shown = work.shown(world.core, month, month)[month]
    for figure, count in (("grants_started", 6), ("grants_ended", 6), ("out_of_reach", 6)):
        assert Figure(ALL, figure, ALL, count) in shown
    assert Figure(ALL, "grants_ended", "3-5", 6) in shown
    for figure in ("grants_running", "buttons"):
        assert Figure("5340", figure, ALL, 5) in shown, "about"
    assert Figure(ALL, "buttons", "well", 5) in shown
    assert Figure(ALL, "battery_mv", "median", 2900) in shown
    assert Figure(ALL, "out_of_reach_min", "median", 5) in shown
