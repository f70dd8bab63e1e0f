"""Registered places that a button knows by their access points, through all of the centre, on SQLite."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.rules import access
from centre.rules.access import Caller
from centre.rules.cases import Address, CaseFile
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.work import board, cases, closings, export, incident_sheet, person_file, retention, sightings
from tests.unit.centre.api.parts import Button, Reception
from tests.unit.centre.parts import Hand, granted, signed_in
from tests.unit.centre.work.parts import DAY_MS, FILE
from wire import codes, direct, receipts

HAND = Hand(1)
HOME = [(bytes((0x10, 0xAB, 0xCD, 0x37, 0x91, n)), -50 - n) for n in range(4)]
AT_HOME = direct.access_points(HOME)


class Household(Reception):
    """A case whose person has a button, and a home that is on the map."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, [HAND])
        self.manager: Caller = signed_in(self.core, access.CASE_MANAGER, zone="5340")
        addresses = (
            Address("home", "1 Example Street", "", "50.8466, 4.3528"),
            Address("work", "2 Elsewhere"),
        )
        file = CaseFile(FILE.number, FILE.danger, FILE.person, FILE.stalker, FILE.do_first, "", addresses)
        self.case_id = cases.open_case(self.core, self.manager, file)
        granted(self.core, self.manager, self.case_id, HAND)
        self.button = Button(HAND)

    async def test(self, facts: bytes = AT_HOME) -> None:
        """Make a silent test."""
        self.button.event, self.button.counter = codes.TEST, self.button.counter + 1
        await self.say(self.button, facts=facts)
        self.button.event, self.button.counter = codes.ALARM, self.button.counter + 1

    def register(self, place: str = "home") -> None:
        sightings.register(self.core, self.manager, self.case_id, HAND.device_id, place)


@pytest.fixture
def household(tmp_path: Path) -> Household:
    return Household(tmp_path / "centre.db")


async def test_an_alarm_from_a_registered_place_says_where_it_is(household: Household) -> None:
    """Without a phone and without satellites: the place's own position, with source and radius."""
    await household.test()
    household.register()
    await household.say(household.button, facts=direct.access_points(HOME[1:3]))
    (card,) = board.board(household.core).untaken
    assert card.newest is not None
    fix = card.newest.position.fix
    assert (fix.method, fix.source, fix.lat, fix.lon, fix.radius_m) == (
        "WIFI",
        "place",
        50.8466,
        4.3528,
        150.0,
    )
    assert card.near is not None
    assert card.near.place.name == "home"


async def test_elsewhere_the_list_is_kept_as_it_is(household: Household) -> None:
    """No position is made up; what was seen, and the cell, are on the alarm's sheet."""
    await household.test()
    household.register()
    facts = direct.access_points([(bytes((0x30, 0, 0, 0, 0, 1)), -60)], 9) + direct.cell(1, 206, 1, 7, 8, -95)
    await household.say(household.button, carrier=direct.LTE, facts=facts)
    (card,) = board.board(household.core).untaken
    assert card.newest is None
    shown = incident_sheet.incident(household.core, card.incident_id)
    assert shown is not None
    assert shown.seen is not None
    assert shown.seen.sighting.cell == (1, 206, 1, 7, 8, -95)
    assert shown.seen.sighting.access_points == (("300000000001", -60),)


async def test_a_newer_scan_moves_the_position(household: Household) -> None:
    """A FIX without satellites says that the button has come home since."""
    await household.test()
    household.register()
    await household.say(household.button)
    await household.say(household.button, direct.FIX, facts=AT_HOME)
    assert [fix["source"] for fix in household.rows("fixes")] == ["place"]


async def test_what_cannot_be_registered_is_refused(household: Household) -> None:
    """A place without a position, a test that saw nothing, a case of another zone, a button of nobody."""
    with pytest.raises(Refused, match="nothing_seen"):
        household.register()
    await household.test(direct.access_points([(bytes((0x02, 0, 0, 0, 0, 1)), -40)]))  # a phone's hotspot
    with pytest.raises(Refused, match="nothing_seen"):
        household.register()
    await household.test()
    for place in ("work", "", "nowhere"):
        with pytest.raises(Refused, match="unknown_place"):
            household.register(place)
    stranger = signed_in(household.core, access.CASE_MANAGER, zone="9999", login="other")
    which = (household.case_id, HAND.device_id, "home")
    with pytest.raises(Refused, match="unknown_case"):
        sightings.register(household.core, stranger, *which)
    with pytest.raises(Refused, match="unknown_place"):
        sightings.forget(household.core, household.manager, *which)


async def test_a_place_that_is_forgotten_is_no_position(household: Household) -> None:
    """Nor is one whose address has left the file."""
    await household.test()
    household.register()
    sightings.forget(household.core, household.manager, household.case_id, HAND.device_id, "home")
    await household.say(household.button, facts=AT_HOME)
    assert household.rows("fixes") == []


async def test_nothing_of_it_can_be_read_in_the_file(household: Household) -> None:
    """Neither an access point nor the name of a place: both lie sealed."""
    await household.test()
    household.register()
    for suffix in ("", "-wal"):
        content = household.path.with_name(household.path.name + suffix).read_bytes()
        assert HOME[0][0] not in content
        assert HOME[0][0].hex().encode() not in content
        assert b"1 Example Street" not in content


async def test_what_was_seen_goes_with_the_positions(household: Household) -> None:
    """30 days after the alarm was closed; the list of a closed alarm is not begun again."""
    await household.say(household.button, facts=AT_HOME)
    await household.advance(receipts.CLOSED, CloseReason.REAL)
    await household.say(household.button, facts=AT_HOME)
    assert len(household.rows("sightings")) == 1
    for day in range(40):
        household.core.store.db.execute(
            "INSERT INTO log_signatures VALUES (?, 1, x'00', x'00', ?)",
            (f"d{day}", household.now_ms + day * DAY_MS),
        )
    household.now_ms += 41 * DAY_MS
    while retention.erase_due(household.core, 30, 365):
        pass
    assert household.rows("sightings") == []


async def test_an_alarm_that_is_opened_again_takes_it_along(household: Household) -> None:
    """Closed too early: what the button saw is on the sheet that follows, and in what is exported."""
    await household.say(household.button, facts=AT_HOME)
    (card,) = board.board(household.core).untaken
    await household.advance(receipts.CLOSED, CloseReason.MIS_PRESS)
    again = closings.reopen(household.core, household.operator, card.incident_id)
    seen = sightings.of_incident(household.core, again.incident_id)
    assert seen is not None
    assert len(seen.sighting.access_points) == len(HOME)
    exported = export.read(household.core, again.incident_id, Ed25519PrivateKey.generate())
    assert exported["seen_around"]["sighting"]["access_points"][0] == (HOME[0][0].hex(), HOME[0][1])


async def test_the_person_is_given_it_and_an_erased_case_has_it_no_more(household: Household) -> None:
    """The right of access, and the end."""
    await household.test()
    household.register()
    held = person_file.held(household.core, household.case_id)
    assert held["places_known_by"] == {"home": [bssid.hex() for bssid, _ in HOME]}
    assert held["presses"][0]["seen_around"]["access_points"][0] == (HOME[0][0].hex(), HOME[0][1])
    household.core.store.run("erase_place_networks", case_id=household.case_id)
    assert sightings.networks_of(household.core, household.case_id) == {}
