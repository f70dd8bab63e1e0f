"""Who works at the demo's centre, and the case behind its button: what commands and pages do, in one go."""

from datetime import date, timedelta
from pathlib import Path

from centre.rules import access
from centre.work import accounts, assignments, cases, grants
from sim.realtime.people import EXAMPLE, placeholder
from sim.realtime.setup import core_of, entrance

NAMES = {
    access.OPERATOR: "An operator",  # whom every world has (sim/realtime/world.py)
    access.CASE_MANAGER: "A case manager",
    access.INSTITUTE: "The Institute",
    access.ADMINISTRATOR: "An administrator",
}
ZONE = "9999"  # no police zone has this number
_REVIEW_DAYS, _GRANT_DAYS = 90, 180


def hand_out(home: Path, device_id: str) -> None:
    """One of each role works at the centre in `home`; its case manager gives somebody invented the button."""
    with core_of(home) as core:
        for role, name in NAMES.items():
            accounts.add_user(core, role, name, role, ZONE if role == access.CASE_MANAGER else None, "en")
        token = accounts.invite(core, access.CASE_MANAGER, "enter", access.ENTER_MS)
        assert token is not None
        _, manager = accounts.enter(core, token)
        case_id = cases.open_case(core, manager, EXAMPLE)
        cases.set_photo(core, manager, case_id, "stalker", placeholder())
        days = [date.today() + timedelta(n) for n in (0, _REVIEW_DAYS, _GRANT_DAYS)]
        grants.record(core, manager, case_id, "EX-PR 2026/7", *(day.isoformat() for day in days))
        assignments.hand_out(core, manager, case_id, device_id)
        accounts.close_session(core, manager)


def entrances(home: Path, url: str) -> dict[str, str]:
    """Return for each role an address that lets a user in, once, as `amr-centre console LOGIN` does."""
    return {role: entrance(home, url, role) for role in NAMES}
