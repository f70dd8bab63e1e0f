"""What an administrator looks at, beside few buttons and beside very many."""

import pytest

from centre.platform.sealing import Sealer, new_key
from centre.work import administration
from centre.work.core import Core
from tests.unit.centre.parts import store_at
from wire import codes


def centre_of(buttons: int, *, presses: int = 5) -> Core:
    """Each with a phone and some closed alarms; the last button is revoked, the last but one trackable."""
    core = Core(store_at(":memory:"), Sealer(new_key()))
    many = core.store.db.executemany
    ids = [f"BUTTON{n:010d}" for n in range(buttons)]
    many("INSERT INTO devices VALUES (?, 'button', 'esp32', x'00', 0, 900, NULL, NULL, 0, ?, NULL)",
         [(name, 1 if name == ids[-1] else None) for name in ids])  # fmt: skip
    many("INSERT INTO bridges VALUES (?, ?, 0, ?)",
         [(f"B{n}", f"T{n}", 1 if n == buttons - 2 else None) for n in range(buttons)])  # fmt: skip
    many("INSERT INTO bridge_devices VALUES (?, ?)", [(f"B{n}", name) for n, name in enumerate(ids)])
    many(
        "INSERT INTO incidents (incident_id, device_id, event, counter, opened_at_ms, device_revoked, stage,"
        " held) VALUES (?, ?, ?, ?, ?, 0, 4, ?)",
        [
            (f"{n}-{press}", name, codes.ALARM, press, n, int((n, press) == (0, 1)))
            for n, name in enumerate(ids)
            for press in range(1, 1 + presses)
        ],
    )
    return core


def steps(core: Core) -> int:
    """Count SQLite's work for the administrator's page and what it asks every few seconds, in 100 steps."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    core.store.db.set_progress_handler(count, 100)
    administration.overview(core)
    administration.waiting(core)
    core.store.db.set_progress_handler(None, 0)
    return counted


def test_the_page_takes_no_longer_beside_ten_times_as_many_buttons() -> None:
    """What the administrator sees is bounded, and found by indexes: alarms and pages do not wait for it."""
    assert steps(centre_of(5_000)) <= 1.1 * steps(centre_of(500))


@pytest.mark.parametrize("buttons", [administration.BUTTONS_SHOWN_MAX, 450])
def test_all_buttons_can_be_paged_through_and_what_needs_a_look_is_on_top(buttons: int) -> None:
    """Each once, as they were imported; revoked before trackable."""
    core, after, seen = centre_of(buttons), 0, []
    while True:
        overview = administration.overview(core, after)
        assert [row.device_id[-10:] for row in overview.in_need] == [f"{buttons - n:010d}" for n in (1, 2)]
        assert (overview.buttons_in_all, overview.waiting) == (buttons, 1)
        seen += [row.device_id for row in overview.buttons]
        if overview.next is None:
            break
        after = overview.next
    assert seen == [f"BUTTON{n:010d}" for n in range(buttons)]
