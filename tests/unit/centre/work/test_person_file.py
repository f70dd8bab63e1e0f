"""What is given to the protected person: all that is about that person, and nothing that is about others."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from centre.commands import main
from centre.console import person_files
from centre.platform.pin_hashing import Verdict
from centre.rules import access
from centre.rules.access import LANGUAGES
from centre.rules.incidents import CallOff, read
from centre.rules.refusals import Refused
from centre.work import board, buttons, cases, event_log, person_file, presses
from sim.realtime.people import EXAMPLE, placeholder
from tests.unit.centre.parts import FIX, core_at, granted, signed_in
from tests.unit.centre.work.parts import HAND, PINS, World
from wire import receipts


class Zone(World):
    """The invented case, with a photo, a button, an alarm that was called off under duress, and closed."""

    def __init__(self) -> None:
        super().__init__()
        buttons.enrol(self.core, HAND.enrolment_code, *PINS)
        self.clock.ms = 1_790_000_000_000.0
        self.manager = signed_in(self.core, access.CASE_MANAGER, name="Cas Manager", zone="5340")
        self.case_id = cases.open_case(self.core, self.manager, EXAMPLE)
        for shows in ("person", "stalker"):
            cases.set_photo(self.core, self.manager, self.case_id, shows, placeholder())
        granted(self.core, self.manager, self.case_id, HAND)
        phone = self.bridge()
        self.incident = presses.take_alarm(self.core, phone, read(HAND.alarm(1, fix=FIX))).incident_id
        presses.try_pin(self.core, phone, CallOff(HAND.device_id, 1, ""))
        presses.call_off(self.core, phone, self.incident, Verdict.DURESS)
        board.advance(self.core, self.operator, self.incident, receipts.ACKNOWLEDGED, note="Nota Bene")

    def unpacked(self, language: str = "en") -> tuple[dict[str, Any], str, list[str]]:
        content = person_files.made(self.core, self.case_id, language)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            facts = json.loads(archive.read("data.json"))
            return facts, archive.read("data.html").decode(), archive.namelist()


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_is_about_the_person_is_in_it(language: str) -> None:
    """For a program and for reading, in the person's language; with the own photo alone."""
    facts, page, names = Zone().unpacked(language)
    both = json.dumps(facts, ensure_ascii=False), page.replace("&#39;", "'")
    for text in both:
        for told in (
            "Ann Example",
            "+32 400 00 00 42",
            "Eve Example",
            "Rue de l'Exemple 1",
            "Lou Example",
            "PR 1",
        ):
            assert told in text, told
        for told in (HAND.device_id, "50.8466", "Max Sample", "former partner"):
            assert told in text, told
    assert names == ["data.json", "data.html", "photo.png"]
    assert "{" not in page.partition("</style>")[2]


def test_what_is_about_others_or_betrays_is_not_in_it() -> None:
    """Not the stalker's looks and car, no name of staff, no tactics, no note; not which PIN it was."""
    facts, page, _ = Zone().unpacked()
    for text in (json.dumps(facts), page):
        for kept in (
            "hunting knife",
            "1-EXA-001",
            "grey beard",
            "1986-09-30",
            "Cas Manager",
            "Operator",
            "Nota Bene",
        ):
            assert kept not in text, kept
        for kept in ("Two patrols", "duty magistrate", "back entrance by the car park of", "duress"):
            assert kept not in text.replace("Taken by an operator", ""), kept
    (press,) = facts["presses"]
    assert press["called_off_at"]
    assert press["reason"] is None
    assert facts["left_out"] == list(person_file.LEFT_OUT)
    assert "The names of those who work here" in page
    assert {one["by"] for one in facts["changes"]} == {access.CASE_MANAGER}


def test_two_endings_cannot_be_told_apart_by_the_file() -> None:
    """Called off freely or under duress: the same file but for the times."""
    forced = Zone().unpacked()[0]["presses"]
    world = Zone()
    world.core.store.db.execute("UPDATE call_offs SET duress = 0, duress_at_ms = NULL")
    free = world.unpacked()[0]["presses"]
    for press in (*forced, *free):
        press.pop("incident_id")
    assert forced == free


def test_of_another_zone_nothing_is_given_nor_noted() -> None:
    """As if there were no such case."""
    world = Zone()
    neighbour = signed_in(world.core, access.CASE_MANAGER, login="neighbour", zone="5415")
    with pytest.raises(Refused, match="unknown_case"):
        person_file.give_by(world.core, neighbour, world.case_id)
    assert world.core.store.all("log_of_kind", kind="file_given") == []
    person_file.give_by(world.core, world.manager, world.case_id)
    (entry,) = world.core.store.all("log_of_kind", kind="file_given")
    assert (entry["actor"], entry["case_id"]) == (world.manager.actor, world.case_id)
    with pytest.raises(Refused, match="unknown_case"):
        person_file.held(world.core, "NOSUCH22")


def test_the_command_writes_a_new_file_for_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An existing one is not touched; no such case is a sentence; it is noted once."""
    core = core_at(tmp_path)
    case_id = cases.open_case(core, signed_in(core, access.CASE_MANAGER, zone="5340"), EXAMPLE)
    to = tmp_path / "given.zip"
    command = ["person-file", "--home", str(tmp_path), "--language", "fr", "--to", str(to)]
    assert main([*command, "NOSUCH22"]) == 1
    assert not to.exists()
    assert main([*command, case_id]) == 0
    assert to.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(to) as archive:
        assert "Ce que nous gardons" in archive.read("data.html").decode()
    assert main([*command, case_id]) == 2
    assert "exists already" in capsys.readouterr().err
    (entry,) = core.store.all("log_of_kind", kind="file_given")
    assert entry["actor"] == event_log.COMMAND
