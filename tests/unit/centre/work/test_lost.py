"""What was lost or stolen: refused at once, and what is said of it is true."""

from pathlib import Path

import pytest

from centre.commands import main
from centre.console import words
from centre.rules import access
from centre.rules.incidents import read
from centre.rules.refusals import Refused
from centre.work import assignments, board, buttons, cases, lost, presses
from centre.work.lost import Thing
from tests.unit.centre.parts import Hand, core_at, granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, World
from wire import receipts


class Zone(World):
    """A case with a button and two phones."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = signed_in(self.core, access.CASE_MANAGER, zone="5340")
        self.case_id = cases.open_case(self.core, self.manager, FILE)
        granted(self.core, self.manager, self.case_id, HAND)
        self.stolen, self.own = self.bridge(), self.bridge()

    def lose_phone(self, bridge_id: str) -> lost.Lost:
        return lost.lose_phone(self.core, self.manager, self.case_id, HAND.device_id, bridge_id)

    def lose_button(self) -> lost.Lost:
        return lost.lose_button(self.core, self.manager, self.case_id, HAND.device_id)

    def press(self, bridge_id: str, counter: int) -> str:
        return presses.take_alarm(self.core, bridge_id, read(HAND.alarm(counter))).incident_id

    def kinds(self) -> list[str]:
        return [row["kind"] for row in self.core.store.db.execute("SELECT kind FROM log ORDER BY seq")]


def test_a_lost_phone_is_cut_off_and_labels_that_lie_about_are_void() -> None:
    """The code that it prints is good, once; those before are not; the other phone goes on."""
    world = Zone()
    old = buttons.issue_enrolment(world.core, HAND.device_id)
    token = buttons.enrol(world.core, buttons.issue_enrolment(world.core, HAND.device_id) or "", None, None)[
        "token"
    ]
    stolen = buttons.bridge_of(world.core, str(token))
    told = world.lose_phone(stolen)
    with pytest.raises(Refused, match="revoked"):
        buttons.bridge_of(world.core, str(token))
    assert old is not None
    with pytest.raises(Refused, match="enrolment_expired"):
        buttons.check_enrolment(world.core, old)
    assert told.code is not None
    assert buttons.check_enrolment(world.core, told.code) == HAND.device_id
    assert (told.thing, told.phones_left) == (Thing.PHONE, 2)
    assert "phone_left" in told.sentences
    assert world.press(world.own, 1)
    assert world.kinds().count("phone_lost") == 1


def test_a_lost_phone_that_was_the_last_one_says_that_no_alarm_comes() -> None:
    """Until the next is enrolled nobody is protected: it must not sound settled."""
    world = Zone()
    world.lose_phone(world.own)
    told = world.lose_phone(world.stolen)
    assert "phone_none_left" in told.sentences
    assert "phone_left" not in told.sentences


def test_a_lost_phone_is_cut_off_while_an_alarm_is_open_too() -> None:
    """A thief could keep one open for ever; the alarm itself stays, and it is said that positions stop."""
    world = Zone()
    world.press(world.stolen, 1)
    assert "phone_alarm_open" in world.lose_phone(world.stolen).sentences
    assert len(board.board(world.core).untaken) == 1


def test_what_a_lost_phone_has_told_does_not_make_the_next_one_deaf() -> None:
    """It posts a wild counter; the next phone starts where presses have really come."""
    world = Zone()
    world.press(world.own, 1)
    world.press(world.stolen, 100_000)
    told = world.lose_phone(world.stolen)
    assert told.code is not None
    assert buttons.counters(world.core, HAND.device_id)["press"] <= 264  # as the next phone is told


def test_a_lost_button_waits_for_an_administrator_and_is_taken_back() -> None:
    """What it presses is on no board; another can be handed out at once."""
    world = Zone()
    told = world.lose_button()
    assert told.sentences[-2:] == ["button_taken_back", "button_next"]
    assert assignments.of_case(world.core, world.case_id)[0] == []
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    assignments.hand_out(world.core, world.manager, world.case_id, other.device_id)
    with pytest.raises(Refused, match="unknown_device"):
        world.lose_button()


def test_a_button_that_nobody_holds_is_lost_with_its_phones() -> None:
    """A spare one that was stolen from a drawer, enrolled for a trial: the phone is cut off, too."""
    world = World()
    phone = world.bridge()
    told = lost.lose_any_button(world.core, HAND.device_id)
    assert told is not None
    assert "button_taken_back" in told.sentences
    (cut,) = [one for one in buttons.all_bridges(world.core) if one.bridge_id == phone]
    assert cut.revoked_at_ms is not None


def test_a_phone_of_a_lost_button_gets_no_label() -> None:
    """Another button comes next; done again, it is refused since the first time."""
    world = Zone()
    world.press(world.own, 1)
    world.lose_button()
    first = world.lose_phone(world.own)
    world.clock.ms += 60_000
    again = world.lose_phone(world.own)
    assert (again.code, again.sentences[-1]) == (None, "button_next")
    assert again.at_ms == first.at_ms


def test_a_button_that_is_lost_in_an_alarm_costs_nothing_of_that_alarm() -> None:
    """It goes on, its phone too; after it is closed the button can be taken back. A new press is held."""
    world = Zone()
    incident_id = world.press(world.own, 1)
    told = world.lose_button()
    assert "button_alarm_open" in told.sentences
    assert [card.incident_id for card in board.board(world.core).untaken] == [incident_id]
    world.press(world.own, 2)
    assert [card.incident_id for card in board.board(world.core).untaken] == [incident_id]
    operator = world.operator
    board.advance(world.core, operator, incident_id, receipts.ACKNOWLEDGED)
    with pytest.raises(Refused, match="alarm_open"):
        assignments.take_back(world.core, world.manager, world.case_id, HAND.device_id)


@pytest.mark.parametrize("which", ["phone of another button", "case of another zone", "no such phone"])
def test_of_others_nothing_can_be_lost(which: str) -> None:
    """The same answer as for what is not there, and nothing is cut off."""
    world = Zone()
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    foreign = world.bridge(other)
    neighbour = signed_in(world.core, access.CASE_MANAGER, login="neighbour", zone="5415")
    by = neighbour if which == "case of another zone" else world.manager
    bridge_id = {"phone of another button": foreign, "no such phone": "NOSUCH22"}.get(which, world.own)
    with pytest.raises(Refused, match="unknown_"):
        lost.lose_phone(world.core, by, world.case_id, HAND.device_id, bridge_id)
    assert "phone_lost" not in world.kinds()
    assert world.press(world.own, 1)
    if by is neighbour:
        with pytest.raises(Refused, match="unknown_case"):
            lost.lose_button(world.core, by, world.case_id, HAND.device_id)


def test_every_sentence_has_its_words() -> None:
    """Of each thing, in each state."""
    for thing in Thing:
        for is_open in (True, False):
            for left in (0, 1):
                for key in lost.Lost(thing, "D", 0, is_open, left).sentences:
                    assert words.say("nl", f"lost.{key}")


def test_the_command_says_the_same_and_ends_with_1_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A phone, then its button; what is not there is one sentence."""
    core = core_at(tmp_path)
    buttons.import_buttons(core, [HAND.registered])
    buttons.enrol(core, HAND.enrolment_code, None, None)
    bridge_id = buttons.all_bridges(core)[0].bridge_id
    home = ["--home", str(tmp_path)]
    assert main(["lost", "phone", *home, "--url", "https://centre.example", bridge_id]) == 0
    printed = capsys.readouterr().out
    assert "cut off" in printed
    assert "NO phone carries this button" in printed
    assert "QR text: https://centre.example/e#" in printed
    assert main(["lost", "button", *home, HAND.device_id.lower()]) == 0
    assert "revoked since" in capsys.readouterr().out
    for thing in ("phone", "button"):
        assert main(["lost", thing, *home, "NOSUCH22"]) == 1
        assert "there is no" in capsys.readouterr().err
