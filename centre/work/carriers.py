"""The ways on which a button reaches us, for its case's page."""

from dataclasses import dataclass

from centre.rules import carriers
from centre.rules.carriers import Carrier, LastTest, Notice
from centre.store import Row
from centre.work.core import Core, typed
from wire import codes


@dataclass(frozen=True, slots=True)
class Ways:
    """Each carrier as it was last, and what is to be said of them."""

    carriers: list[Carrier]
    notices: list[Notice]


def of_button(core: Core, device_id: str, case_id: str, since_ms: int) -> Ways:
    """Return a button's carriers since it was handed out for this case; none where it has none."""
    rows = core.store.all("carriers_of_button", device_id=device_id, since_ms=since_ms)
    known = [typed(Carrier, row) for row in rows]
    if not known:
        return Ways([], [])
    phones = core.store.one("heard_by_phones", device_id=device_id)
    heard_ms = phones["at_ms"] if phones else None
    test = _test(core.store.one("last_test_of_button", device_id=device_id, case_id=case_id, test=codes.TEST))
    return Ways(known, carriers.notices(known, heard_ms, test, core.now_ms()))


def faults_of_case(core: Core, case_id: str) -> list[Notice]:
    """Return what somebody must see to, of all buttons of a case; each kind once for each carrier."""
    found: dict[tuple[str, str], Notice] = {}
    for row in core.store.all("buttons_with_carriers", case_id=case_id):
        ways = of_button(core, row["device_id"], case_id, row["given_at_ms"])
        found |= {(one.kind, one.carrier): one for one in ways.notices if not one.is_hint}
    return list(found.values())


def _test(row: Row | None) -> LastTest | None:
    return None if row is None else LastTest(row["opened_at_ms"], frozenset((row["ways"] or "").split(",")))
