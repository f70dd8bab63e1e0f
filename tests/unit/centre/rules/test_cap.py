"""An incident as a CAP 1.2 message: the standard's own rules, what each state says, what none may say."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from centre.console import words
from centre.platform.pin_hashing import Verdict
from centre.rules import access, cap
from centre.rules.incidents import CloseReason, read, read_fixes
from centre.rules.refusals import Refused
from centre.work import board, exercises, presses
from centre.work import cap as work
from sim.realtime.people import EXAMPLE
from tests.browser.desk import hand_out
from tests.unit.centre.parts import FIX, Hand, centre
from tests.unit.centre.work.parts import Called
from wire import codes, receipts

HAND = Hand()
SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "cap-1.2.xsd")
LANGUAGES = {language: words.of_page(language, "cap") for language in access.LANGUAGES}
IN = {"": cap.NAMESPACE}


class Told(Called):
    """A press, followed; `message` is what another system gets of it now."""

    def message(self, incident_id: str = "") -> ElementTree.Element:
        """Held against the schema."""
        now = work.standing(self.core, incident_id or self.incident)
        xml = cap.document(now, "centre.example", LANGUAGES)
        SCHEMA.validate(xml)
        return ElementTree.fromstring(xml)  # noqa: S314  our own

    def advance(self, stage: int, reason: str | None = None) -> None:
        self.clock.ms += 5000
        board.advance(
            self.core, self.operator, self.incident, stage, reason=CloseReason(reason) if reason else None
        )

    def follow(self, **more: object) -> None:
        self.clock.ms += 5000
        presses.add_fixes(self.core, self.phone, self.incident, read_fixes({"fixes": [FIX | more]}))


@pytest.fixture
def world() -> Told:
    return Told()


def of(message: ElementTree.Element, name: str) -> str:
    return message.findtext(name, "", IN)


def parameters(message: ElementTree.Element) -> dict[str, str]:
    info = message.find("info", IN)
    assert info is not None
    return {of(one, "valueName"): of(one, "value") for one in info.findall("parameter", IN)}


def test_each_state_is_a_message_that_names_all_before_it(world: Told) -> None:
    """Alert, then updates, each in place of all before it; the same until something changes."""
    acts: list[Callable[[], None]] = [
        lambda: None,
        world.follow,
        lambda: world.advance(receipts.ACKNOWLEDGED),
        world.call_off,
        lambda: world.advance(receipts.DISPATCHED),
    ]
    told: list[str] = []
    for act in acts:
        act()
        message = world.message()
        told.append(",".join(of(message, name) for name in ("sender", "identifier", "sent")))
        assert of(message, "references").split() == told[:-1]
        assert of(message, "msgType") == ("Update" if told[1:] else "Alert")
        assert of(world.message(), "identifier") == of(message, "identifier")
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("real", "Update"),
        ("duress", "Update"),
        ("mis-press", "Cancel"),
        ("called-off", "Cancel"),
        ("technical", "Cancel"),
    ],
)
def test_what_was_nothing_is_cancelled(world: Told, reason: str, kind: str) -> None:
    """What was something is over; nothing more of the reason is told."""
    world.advance(receipts.CLOSED, reason)
    message = world.message()
    assert of(message, "msgType") == kind
    assert of(message, "info/urgency") == "Past"
    assert reason not in ElementTree.tostring(message, "unicode")


def test_duress_is_told_by_nothing(world: Told) -> None:
    """Whichever PIN it was, and whatever the operator found: the same bytes, open and over."""

    def story(verdict: Verdict, reason: str) -> list[str]:
        world = Told()
        told: list[str] = []
        for closes in (False, True, False):
            if closes:
                world.advance(receipts.CLOSED, reason)
            else:
                world.call_off(verdict)
            told.append(ElementTree.tostring(world.message(), "unicode").replace(world.incident, "ID"))
        return told

    assert story(Verdict.RIGHT, "called-off") == story(Verdict.DURESS, "duress")


def test_a_silent_test_is_a_test(world: Told) -> None:
    """`Test`, never `Exercise` or `Actual`; nobody is asked to do anything."""
    message = world.message(world.press(2, codes.TEST))
    assert (of(message, "status"), of(message, "msgType")) == ("Test", "Alert")
    assert of(message, "info/responseType") == "None"
    assert of(world.message(), "status") == "Actual"


def test_the_circle_is_never_smaller_than_the_truth(world: Told) -> None:
    """Rounded up; with its age, source and doubts beside it. Without a position there is no area."""
    assert world.message().find("info/area", IN) is None
    world.follow(source="gpsd", marks=["stale"])
    message = world.message()
    assert of(message, "info/area/circle") == "50.846600,4.352800 0.019"
    told = parameters(message)
    assert (told["fix_method"], told["fix_source"], told["fix_marks"]) == ("GNSS", "gpsd", "stale")
    assert int(told["fix_age_s"]) >= 0


def test_an_exercise_says_so_in_every_language_and_is_no_actual_alarm(world: Told) -> None:
    """In what programs read, and in what people read; by the standard's schema."""
    exercises.begin(world.core, HAND.device_id, "5340", 5)
    drill = presses.take_alarm(world.core, world.phone, read(HAND.alarm(2))).incident_id
    message = world.message(drill)
    assert of(message, "status") == "Exercise"
    assert of(message, "note") == f"Exercise {drill}"
    assert of(world.message(), "status") == "Actual"
    for info in message.findall("info", IN):
        said = LANGUAGES[of(info, "language")]["exercise"]
        assert of(info, "event") == said
        assert of(info, "headline").startswith(said)


def test_it_is_said_in_every_language(world: Told) -> None:
    """One `info` each; what is not words is the same in all."""
    infos = world.message().findall("info", IN)
    assert tuple(of(info, "language") for info in infos) == access.LANGUAGES
    assert len({of(info, "event") for info in infos}) == len(infos)
    assert len({of(info, "urgency") for info in infos}) == 1


def test_thousands_of_positions_make_no_endless_message(world: Told) -> None:
    """The newest hundred are named."""
    for second in range(cap.REFERENCES_MAX + 20):
        world.follow(taken_at=f"2026-11-23T10:{second // 60:02d}:{second % 60:02d}Z")
    assert len(of(world.message(), "references").split()) == cap.REFERENCES_MAX


def test_the_schema_takes_no_other_order_or_word(world: Told) -> None:
    """Else it would prove nothing."""
    now = work.standing(world.core, world.incident)
    xml = cap.document(now, "centre.example", LANGUAGES).decode()
    for wrong in (
        xml.replace("Actual", "Real"),
        xml.replace("-00:00", "Z"),
        re.sub("<scope>.*</restriction>", "", xml),
        re.sub("(<sender>.*</sender>)(<sent>.*?</sent>)", r"\2\1", xml),
        xml.replace("centre.example", "centre, example"),
    ):
        assert wrong != xml
        assert not SCHEMA.is_valid(wrong)


def test_what_is_nowhere_is_refused(world: Told) -> None:
    """No such incident."""
    with pytest.raises(Refused, match="unknown_incident"):
        work.standing(world.core, "0" * 16)


async def test_operators_have_it_from_the_sheet_without_a_name(tmp_path: Path) -> None:
    """Over HTTPS, for that role alone; the case behind it stays behind."""
    async with centre(tmp_path, HAND, public_url="https://amr.example") as (serving, phone):
        case_id = hand_out(tmp_path, HAND.device_id)
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1, fix=FIX))
        path = f"/console/incidents/{answer['incident']}/cap.xml"
        assert (await phone.ask("GET", path))[0] == 401
        await phone.ask("GET", serving.entrance("case_manager", zone="5340").removeprefix(serving.url))
        assert (await phone.ask("GET", path))[1]["reason"] == "wrong_role"
        await phone.ask("GET", serving.console_url.removeprefix(serving.url))
        _, sheet = await phone.ask("GET", f"/console/incidents/{answer['incident']}/sheet")
        assert path in sheet
        _, xml = await phone.ask("GET", path)
    SCHEMA.validate(xml)
    message = ElementTree.fromstring(xml)  # noqa: S314  our own
    assert of(message, "sender") == "amr.example"
    assert (of(message, "msgType"), parameters(message)["case"]) == ("Alert", case_id)
    assert not any(
        name in xml for name in (EXAMPLE.person.name, EXAMPLE.stalker.name, EXAMPLE.number, HAND.device_id)
    )
