"""What the operator sees, as HTML."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from markupsafe import Markup

from centre.console.board_cache import BoardCache, Snapshot
from centre.console.board_html import levels, render, render_sheet
from centre.platform.change_signals import ChangeSignals
from centre.rules import escalation, newest_position
from centre.rules.access import LANGUAGES
from centre.rules.cases import DANGERS, Address, CaseFile, Child, Person, SafeContact, Stalker
from centre.rules.incidents import CLOSE_REASONS, CallOffState, CloseReason, Fix
from centre.rules.newest_position import Newest, Position
from centre.rules.places import Near, Nearness, Place
from centre.rules.supervision import LossKind
from centre.work.board import Board, CallOffSeen, Card, SilentTest
from centre.work.incident_sheet import Act, Arrival, ButtonHealth, Incident, Running, Sheet
from centre.work.supervision import Loss
from tests.unit.centre.parts import Hand
from wire import receipts

HAND = Hand()
FIX = Fix(50.8466, 4.3528, 18.0, 68.0, "GNSS", 900_000)
CALLED_OFF = CallOffSeen(1_030_000, None, CallOffState.FREE)
DURESS = CallOffSeen(1_030_000, 1_030_000, CallOffState.DURESS)
FILE = CaseFile(
    "XX.1/26",
    "very_high",
    Person("Lies Voorbeeld", "1991-04-17", "+32 470 00 00 00", "", "Nederlands"),
    Stalker("Jan Verzonnen", "1986-09-02", "former partner", "tall", "grey Golf", "rifle"),
    "Two patrols",
    "On sight",
    (Address("home", "Voorbeeldstraat 12"),),
    (Child("Noor", "2018-02-11", "school"),),
)


def card(stage: int = receipts.RECEIVED, *, age_s: float | None = 0, **more: object) -> Card:
    fields: dict[str, object] = {
        "incident_id": "abc",
        "device_id": HAND.device_id,
        "device_revoked": False,
        "opened_at_ms": 1_000_000,
        "pressed_at_ms": 998_000,
        "age_s": age_s,
        "stage": stage,
        "stage_at_ms": 1_000_000,
    }
    return Card(**(fields | more))  # type: ignore[arg-type]


def shown(*untaken: Card, now_ms: int = 1_000_000, language: str = "en", **more: list[Card]) -> str:
    """The board's HTML."""
    raised, taken, closed = (more.get(name, []) for name in ("raised", "taken", "closed"))
    board = Board(list(untaken), raised, taken, closed, [])
    return render(board, language, levels(board, now_ms, 30))


def incident(stage: int = receipts.RECEIVED, **more: object) -> Incident:
    arrival = Arrival("BRIDGE22", "ble", 999_000, 0, 998_000, 1_000_000, 64, "<b>Pixel")
    fields: dict[str, object] = {
        "incident_id": "abc",
        "device_id": HAND.device_id,
        "kind": "button",
        "board": "esp32",
        "counter": 1,
        "opened_at_ms": 1_000_000,
        "device_revoked": False,
        "stage": stage,
        "stages": [(reached, 1_000_000) for reached in range(1, stage + 1)],
        "arrivals": [arrival],
        "latest": [],
    }
    return Incident(**(fields | more))  # type: ignore[arg-type]


def sheet(stage: int = receipts.ACKNOWLEDGED, *, language: str = "en", **more: object) -> str:
    """The HTML of a sheet; `more` is of the sheet where it has such a field, else of the incident."""
    if "positions" in more:
        told: Any = more.pop("positions")
        latest = [replace(position, number=len(told) - n) for n, position in enumerate(told)]
        more |= {"positions_in_all": len(told)} | more
        more |= {"latest": latest, "newest": newest_position.newest(latest)}
    own = {name: more.pop(name) for name in list(more) if name in Sheet.__slots__}
    return render_sheet(Sheet(incident(stage, **more), **own), language, 1_795_000_000_000)  # type: ignore[arg-type]


async def test_an_alarm_waits_for_no_long_board() -> None:
    """While a hundred cards are made others have their turns; of the next board only what changed is made."""
    boards, turns = BoardCache(None, ChangeSignals(), 30), 0  # type: ignore[arg-type]

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def made(cards: list[Card]) -> dict[str, Markup]:
        board = Board(cards, [], [], [], [])
        snapshot = Snapshot(board, levels(board, 1_000_000, 30), asyncio.Event(), 0.0)
        assert (await boards.listed(snapshot, "en")).html == render(board, "en", snapshot.levels)
        return {item.card.incident_id: html for item, html in boards._made["en"].items()}

    cards = [card(incident_id=f"i{n}", newest=Newest(Position(FIX, None, 1_000_000))) for n in range(100)]
    other = asyncio.create_task(somebody_else())
    await asyncio.sleep(0)
    first = await made(cards)
    assert turns > 2
    other.cancel()
    second = await made([replace(cards[0], danger="extreme"), *cards[2:]])
    assert [name for name, html in second.items() if html is not first[name]] == ["i0"]
    assert "i1" not in second


def test_an_alarm_that_waits_can_be_acknowledged() -> None:
    """A form with one button, so that it works by keyboard and without a script."""
    html = shown(card())
    assert "ALARM" in html
    assert '<form method="post" action="/console/incidents/abc/acknowledge"' in html
    assert html.count("<button") == 1


def test_the_board_says_only_what_is_needed_to_choose() -> None:
    """How dangerous, how old, where from in general: no name, no address, no coordinates."""
    html = shown(card(danger="extreme", newest=Newest(Position(FIX, None, 1_000_000))))
    assert "◆◆◆" in html
    assert "<b>extreme</b>" in html
    assert "within 18\N{NO-BREAK SPACE}m" in html
    assert "50.84" not in html


def test_what_can_be_done_depends_on_how_far_it_is() -> None:
    """Untaken: take; taken: send help, close, pass on; closed: open again; a remark always."""

    def acts(stage: int) -> list[str]:
        running = Running(owner="user:ANN", owner_name="Ann", finding_by="user:ANN" if stage == 4 else "")
        return re.findall(r'action="/console/incidents/abc/([\w-]+)"', sheet(stage, running=running))

    has_it = ["dispatch", "close", "hand-over", "remark"]
    closed = ["reopen", "correct", "remark"]
    assert [acts(stage) for stage in (1, 2, 3, 4)] == [["acknowledge", "remark"], has_it, has_it, closed]
    html = sheet()
    assert 'required><option value="">' in html
    for reason in CLOSE_REASONS:
        assert f'<option value="{reason}">' in html


def test_no_position_is_said_honestly() -> None:
    """Never an empty place where a position is expected; an old one is marked as old in words."""
    assert "No position yet" in shown(card())
    html = sheet(last_known=Position(FIX, "BRIDGE22", 1_000_000))
    assert "No position yet" in html
    assert "OLD position, from an earlier alarm" in html
    assert "OLD" not in sheet(positions=[Position(FIX, "BRIDGE22", 1_000_000)])


def test_a_position_has_radius_source_and_age() -> None:
    """A point without them would mislead."""
    html = sheet(positions=[Position(FIX, "BRIDGE22", 1_000_000)])
    for word in ("50.84660, 4.35280", "within 18", "satellite", 'data-since="900000"', "phone 1", "68"):
        assert word in html


def test_a_position_from_the_future_says_so() -> None:
    """The phone's clock is ahead: the age is counted from when we had it."""
    html = sheet(positions=[Position(Fix(1, 2, 3, None, "CELL", 9_000_000), None, 1_000_000)])
    assert "clock is ahead" in html
    assert 'data-since="1000000"' in html


def test_an_unknown_age_is_not_called_the_press() -> None:
    """Heard is not pressed, though as a rule it is the same moment: an ordinary press frightens nobody."""
    assert "pressed <time" in shown(card())
    html = shown(card(age_s=None))
    assert "heard <time" in html
    assert "as a rule pressed just before" in html


def test_a_button_that_lost_its_power_says_how_old_the_press_is_at_least() -> None:
    """Pressed then, or earlier: more it does not know."""
    html = shown(card(age_s=600, age_is_lower_bound=True))
    assert re.search("pressed <time[^>]*>[^<]*</time> or earlier", html)


def test_a_late_press_carries_its_age() -> None:
    """Pressed ten minutes before anybody could hear of it."""
    assert "pressed 10\N{NO-BREAK SPACE}min before it reached us" in shown(card(pressed_at_ms=400_000))
    assert "before it reached us" not in shown(card())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_shows_everything(language: str) -> None:
    """All that the board and a sheet can say, rendered: no word is missing, none is left in braces."""
    marked = FIX._replace(source="gpsd", marks=("stale", "jump", "implausible"))
    cards = [card(danger=danger, call_off=DURESS, device_revoked=True) for danger in DANGERS]
    late = card(pressed_at_ms=0, newest=Newest(Position(marked, None, 1_000_000)), age_s=3)
    html = shown(
        *cards,
        late,
        card(call_off=CALLED_OFF, age_s=None),
        card(age_is_lower_bound=True),
        raised=[card(4, call_off=DURESS)],
        taken=[card(2, taken_by="Ann"), card(3, call_off=CALLED_OFF)],
        closed=[card(4, reason=reason) for reason in CLOSE_REASONS],
        language=language,
        now_ms=2_000_000,
    )
    acts = [Act(3, None, "two", "Ann", 1), Act(4, CloseReason.REAL, "", "Bo", 2)]
    position = Position(marked, "BRIDGE22", 1_000_000)
    photos = ("person", "stalker", "vehicle")
    for more in (
        {"case": FILE, "case_id": "C", "photos": photos, "button": ButtonHealth(900_000, 2910, True)},
        {"case_id": "C", "acts": acts, "lacks": ("fresh_address",)},
        {"positions": [position, position], "positions_in_all": 30, "call_off": DURESS},
    ):
        for stage in (1, 2, 3, 4):
            html += sheet(stage, language=language, **more)
    assert not re.search(r"\{(?!name|when)\w*\}", html)
    assert ("ALARM " in html) == (language != "fr")


def test_what_anybody_writes_is_text_and_never_markup() -> None:
    """A model, a note, a name or any field of a case cannot become a script in the operator's page."""
    evil = "<script>alert(1)</script>\"'{{7*7}}"
    file = CaseFile(
        evil,
        "high",
        Person(evil, evil, evil, evil, evil, evil),
        Stalker(evil, evil, evil, evil, evil, evil, evil),
        evil,
        evil,
        (Address(evil, evil, evil, evil),),
        (Child(evil, evil, evil),),
        SafeContact(evil, evil, evil),
    )
    acts = [Act(receipts.DISPATCHED, None, evil, evil)]
    html = sheet(case=file, case_id="C", acts=acts, stages=[(1, 1), (2, 2), (3, 3)])
    html += shown(taken=[card(2, taken_by=evil)])
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "&lt;b&gt;Pixel" in html
    assert "49" not in re.sub(r"data-\w+=\"[^\"]*\"", "", html)


def test_the_persons_own_number_never_stands_without_its_warning() -> None:
    """Neither beside the name nor to click: a ring can betray; nothing softens it under duress."""
    never = sheet(case=FILE)
    header, _, after = never.partition("</header>")
    assert "+32 470" not in header
    warning = after.index("DO NOT RING the protected person")
    assert warning < after.index("+32 470 00 00 00")
    assert "tel:" not in never
    said = replace(FILE, person=replace(FILE.person, ringing="between 9 and 11"))
    html = sheet(case=said)
    assert (
        html.index("ONLY as the file says") < html.index("between 9 and 11") < html.index("+32 470 00 00 00")
    )
    forced = sheet(case=said, call_off=DURESS)
    assert forced.index("in any case") < forced.index("+32 470 00 00 00")
    assert "ONLY as the file says" not in forced


def test_the_safe_contact_can_be_rung_by_a_click() -> None:
    """With when it is safe; what is no number is shown, and cannot be clicked."""
    html = sheet(case=replace(FILE, contact=SafeContact("Eve", "+32 (0)400-00 00 43", "after six")))
    assert 'href="tel:+32400000043"' in html
    assert html.index("after six") < html.index("☎")
    html = sheet(case=replace(FILE, contact=SafeContact("Eve", "ask the desk")))
    assert "tel:" not in html
    assert "ask the desk" in html
    assert "The file names no safe contact." in sheet(case=FILE)


def test_a_registered_place_is_named_with_its_distance() -> None:
    """On the sheet all that are near, on the card the nearest; a wide circle says "could be"."""
    places = (
        Address("home", "Street 1", "", "50.8466, 4.3528"),
        Address("work", "Street 2", "", "50.8553, 4.369"),
    )
    position = Position(FIX, None, 1_000_000)
    html = sheet(case=replace(FILE, addresses=places), positions=[position])
    assert "at: home" in html
    assert "1.5\N{NO-BREAK SPACE}km from: work" in html
    wide = sheet(
        case=replace(FILE, addresses=places), positions=[replace(position, fix=FIX._replace(radius_m=2000.0))]
    )
    assert "could be at: work" in wide
    old = sheet(
        case=replace(FILE, addresses=places),
        positions=[replace(position, received_at_ms=FIX.taken_at_ms + 120_000)],
    )
    assert "then at: home" in old
    assert "then at: home" not in html
    near = Near(Place("home", 50.8466, 4.3528), Nearness.AT, 4.0)
    assert "at: home" in shown(card(near=near, newest=Newest(position)))


def test_silent_tests_are_one_quiet_line() -> None:
    """Which button and when, and nothing that looks like an alarm."""
    html = render(Board([], [], [], [], [SilentTest(HAND.device_id, 1_000_000)]), "en", {})
    assert "No alarm is waiting" in html
    assert "Last silent tests: TEST" in html
    assert "ALARM" not in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_supervision_has_lost_is_a_calm_list(language: str) -> None:
    """Each kind in words, with the button and since when; below what waits for somebody."""
    lost = [Loss(kind, (HAND.device_id,), None, 900_000, None, None, 1) for kind in LossKind]
    lost.append(Loss(LossKind.PHONE_SILENT, (), None, 0, None, None, 12))
    lost[0] = replace(lost[0], case_id="CASENO", back_at_ms=950_000)
    had = card(stage=2)
    html = render(Board([card()], [], [had], [], [], lost, losses_hidden=34), language, {"abc": 0})
    assert html.index("take-abc") < html.index('class="taken"') < html.index('class="losses"')
    assert (html.count("◌"), html.count("◐")) == (len(lost) - 1, 1)
    assert all(text in html for text in ("12", "34", "CASENO"))
    assert html.count("TEST BUTT") == len(LossKind) + 2


def test_a_revoked_button_is_flagged() -> None:
    """For an administrator."""
    assert "Revoked button" in shown(card(device_revoked=True))


def test_a_call_off_is_shown_and_changes_nothing_else() -> None:
    """The operator reads who called it off; the alarm still waits to be taken."""
    html = shown(card(call_off=CALLED_OFF))
    assert "Called off by the protected person" in html
    assert "nobody has taken it" in html
    assert "DURESS" not in html
    assert not Board([card(call_off=CALLED_OFF)], [], [], [], []).duress_waits


def test_duress_is_said_in_words_at_every_stage() -> None:
    """In danger, and what not to do; also after somebody had taken or even closed it."""
    for stage in (receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.CLOSED):
        html = shown(raised=[card(stage, call_off=DURESS)])
        assert "DURESS: the protected person is in danger" in html
        assert "Do not ring it" in html
        assert 'name="seen_duress" value="1"' in html
        assert html.count("<button") == 1
    assert "closed before: send help all the same" in html


def test_duress_that_was_seen_stays_marked() -> None:
    """Taken, it is shown as such until it is closed, and there too."""
    seen = replace(DURESS, state=CallOffState.DURESS_SEEN)
    taken = shown(taken=[card(receipts.DISPATCHED, call_off=seen)])
    assert "DURESS: the protected person is in danger" in taken
    assert "DURESS" in shown(closed=[card(receipts.CLOSED, call_off=seen)])
    assert "DURESS" in sheet(receipts.CLOSED, call_off=seen)


@pytest.mark.parametrize(
    ("waited_ms", "after_s", "level"),
    [
        (-5_000, 30, 0),
        (-31_000, 30, 3),
        (29_999, 30, 0),
        (30_000, 30, 1),
        (90_000, 30, 3),
        (9**15, 30, 3),
        (0, 0, 0),
        (9, 0, 3),
    ],
)
def test_how_far_an_alarm_has_escalated(waited_ms: int, after_s: int, level: int) -> None:
    """By whole steps, never beyond the last; a clock set back by more than one makes it as loud as can be."""
    assert escalation.level(1_000_000, 1_000_000 + waited_ms, after_s) == level


def test_an_alarm_that_nobody_takes_says_how_far_it_has_escalated() -> None:
    """In words and in bars; what somebody has taken does not escalate, a duress raise does anew."""
    assert "Nobody has taken it" not in shown(card(), now_ms=1_029_999)
    for level, words in enumerate(("louder", "all operators are called", "last step"), 1):
        html = shown(card(), now_ms=1_000_000 + level * 30_000)
        assert words in html
        assert "▮" * level + "▯" * (3 - level) in html
    raised = card(2, call_off=CallOffSeen(1_500_000, 1_500_000, CallOffState.DURESS))
    assert "▮" not in shown(raised=[raised], now_ms=1_500_000)


def test_a_marked_position_is_never_shown_as_fresh() -> None:
    """Why it must not be taken for where the person is stands next to it, in words, with its source."""
    stale = FIX._replace(taken_at_ms=280_000, source="gpsd", marks=("stale", "jump", "implausible"))
    html = sheet(positions=[Position(stale, "BRIDGE22", 1_000_000)])
    assert "stale: taken 12\N{NO-BREAK SPACE}min before it was sent" in html
    assert "further from the one before than anybody travels" in html
    assert "perhaps no real position" in html
    assert "satellite (gpsd)" in html
    assert "stale: taken 12" in shown(card(newest=Newest(Position(stale, None, 1_000_000))))


def test_older_positions_are_counted_where_they_are_not_listed() -> None:
    """Two hours of following are 720; the page says that there are more."""
    fixes = [Position(FIX._replace(taken_at_ms=900_000 - n), "B", 1_000_000) for n in range(3)]
    html = sheet(positions=fixes, positions_in_all=720)
    assert "719 more" in html
    assert "and 717 older" in html


def test_who_did_what_is_shown() -> None:
    """The note of who was sent, and what it was in the end, with the operators' names."""
    acts = [
        Act(receipts.DISPATCHED, None, "two on foot", "Ann"),
        Act(receipts.CLOSED, CloseReason.MIS_PRESS, "", "Bo"),
    ]
    html = " ".join(sheet(receipts.CLOSED, acts=acts).split())
    assert "by Ann: two on foot" in html
    assert "by Bo: pressed by mistake" in html


def test_a_board_that_can_be_followed_is_named_as_such() -> None:
    """Only where its kind is known to lack a fresh address."""
    words = "This board can be followed by its address"
    assert words in sheet(lacks=("deep_sleep", "fresh_address"))
    assert words not in sheet(lacks=("deep_sleep",))


def test_without_a_case_it_says_so_and_all_else_works() -> None:
    """A button that was handed to nobody still makes an alarm that is answered."""
    html = sheet()
    assert "this button has not been handed out" in html
    assert "incidents/abc/dispatch" in html
    over = sheet(receipts.CLOSED, case_id="C")
    assert "shown only while the alarm is open" in over
    assert "not been handed out" not in over


def test_a_case_says_what_to_do_first_before_all_else() -> None:
    """Then come the protected person, the stalker, the stalker's weapons, the home and the children."""
    html = sheet(case=FILE, case_id="C")
    for word in ("Lies Voorbeeld", "35 years", "+32 470", "Nederlands", "◆◆◇", "WEAPONS: rifle", "grey Golf"):
        assert word in html
    for word in ("former partner", "tall", "On sight", "Voorbeeldstraat 12", "Noor", "school", "No photo"):
        assert word in html
    assert html.index("Two patrols") < html.index("Jan Verzonnen")
