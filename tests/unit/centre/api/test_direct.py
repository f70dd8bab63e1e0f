"""Buttons without a phone: what is taken, what counts, what gets no word. On SQLite, in virtual time."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from centre.api import direct as api
from centre.rules import direct as rules
from centre.rules.carriers import NoticeKind
from centre.rules.incidents import CloseReason, read
from centre.work import board, buttons, carriers, event_log, presses
from tests.unit.centre.api.parts import Button, Reception
from tests.unit.centre.parts import Hand
from wire import codes, direct, receipts

HAND, OTHER = Hand(1), Hand(2)


@pytest.fixture
def reception(tmp_path: Path) -> Reception:
    return Reception(tmp_path / "centre.db", [HAND, OTHER])


def phone_of(reception: Reception, hand: Hand = HAND) -> str:
    code = buttons.issue_enrolment(reception.core, hand.device_id)
    assert code is not None
    return buttons.bridge_of(reception.core, str(buttons.enrol(reception.core, code, None, None)["token"]))


def kinds(reception: Reception, incident_id: str) -> list[tuple[str, str]]:
    return [(one.entry.kind, one.entry.actor) for one in event_log.of_incident(reception.core, incident_id)]


# -- a press --------------------------------------------------------------------------------------


async def test_a_press_is_received_with_a_proof_that_the_button_believes(reception: Reception) -> None:
    """One datagram, one incident on the board, one RECEIVED under K_receipt, and the centre's clock."""
    answer = await reception.say(Button(HAND), age_10s=3)
    assert answer.receipt[0] == receipts.RECEIVED
    assert (answer.time_ms, answer.n) == (reception.now_ms, 1)
    (card,) = board.board(reception.core).untaken
    assert (card.device_id, card.pressed_at_ms) == (HAND.device_id, reception.now_ms - 30_000)
    assert reception.log.of("received")[0]["path"] == "wifi"


@pytest.mark.parametrize("phone_first", [True, False], ids=["phone first", "button first"])
async def test_both_ways_are_one_incident_in_either_order(reception: Reception, phone_first: bool) -> None:
    """A phone's post and a datagram in the same commit: one incident, two arrivals, one proof."""
    bridge, button = phone_of(reception), Button(HAND)
    frame = button.frame(facts=direct.gnss(508_000_000, 43_000_000, 9, 1))
    post = reception.worker(presses.take_alarm, bridge, read(HAND.alarm(1)))
    datagram = reception.answer(frame)
    if phone_first:
        taken, answered = await asyncio.gather(post, datagram)
    else:
        answered, taken = await asyncio.gather(datagram, post)
    assert button.open(frame, answered).receipt == bytes((receipts.RECEIVED,)) + taken.proof
    (incident,) = reception.rows("incidents")
    assert taken.incident_id == incident["incident_id"]
    arrivals = {(row["bridge_id"], row["path"]) for row in reception.rows("alarms")}
    assert arrivals == {(bridge, "ble"), (None, "wifi")}
    assert len(reception.rows("receipts")) == 1
    assert [row["method"] for row in reception.rows("fixes")] == ["GNSS"]  # whoever was second adds its own
    told = [one for one in kinds(reception, incident["incident_id"]) if one[0] == "received"]
    assert sorted(told) == [("received", f"bridge:{bridge}"), ("received", "button")]


async def test_a_press_sent_again_is_the_same_press(reception: Reception) -> None:
    """The same frame, and the next one of the session: one incident, one arrival, always RECEIVED."""
    button = Button(HAND)
    first = button.frame()
    for frame in (first, first, button.frame(), button.frame(again=True), button.frame()):
        assert button.open(frame, await reception.answer(frame)).receipt[0] == receipts.RECEIVED
    assert [len(reception.rows(table)) for table in ("incidents", "alarms", "receipts")] == [1, 1, 1]


async def test_a_press_by_wifi_and_by_lte_is_one(reception: Reception) -> None:
    """Both carriers are named, and neither press is doubled."""
    button = Button(HAND)
    await reception.say(button)
    await reception.say(button, carrier=direct.LTE)
    assert {row["path"] for row in reception.rows("alarms")} == {"wifi", "lte"}
    (card,) = board.board(reception.core).untaken
    assert card.ways == ("lte", "wifi")


async def test_a_test_ends_with_its_receipt(reception: Reception) -> None:
    """A TEST is received, opens no alarm, and nobody is held waiting for more of it."""
    button = Button(HAND)
    button.event = codes.TEST
    assert (await reception.say(button)).receipt[0] == receipts.RECEIVED
    assert (await reception.say(button, direct.POLL, wait_s=20)).receipt[0] == receipts.RECEIVED
    assert board.board(reception.core).untaken == []
    assert [one.device_id for one in board.board(reception.core).tests] == [HAND.device_id]


async def test_a_button_that_was_revoked_is_held_for_an_administrator(reception: Reception) -> None:
    """As over HTTPS: it is answered, and no operator sees it before it is ruled on."""
    reception.core.store.run("revoke_device", device_id=HAND.device_id, now_ms=reception.now_ms)
    assert (await reception.say(Button(HAND))).receipt[0] == receipts.RECEIVED
    (incident,) = reception.rows("incidents")
    assert (incident["device_revoked"], incident["held"]) == (1, 1)
    assert board.board(reception.core).untaken == []


async def test_a_press_is_taken_though_its_session_is_an_old_one(reception: Reception) -> None:
    """A button under a spare name, or with its numbers lost: an alarm is never refused for that."""
    await reception.say(Button(HAND, n=2))
    lost = Button(HAND, n=direct.SPARE_FIRST + 1)
    lost.counter = 2
    answer = await reception.say(lost)
    assert (answer.receipt[0], answer.n) == (receipts.RECEIVED, 3)
    assert len(reception.rows("incidents")) == 2


async def test_presses_beyond_a_share_are_counted(reception: Reception) -> None:
    """A button that presses for ever fills no board: as from a phone, 60 an hour are kept each."""
    button = Button(HAND)
    for counter in range(1, 64):
        button.counter = counter
        assert (await reception.say(button)).receipt[0] == receipts.RECEIVED
    assert len(reception.rows("incidents")) == 60
    assert max(row["more_presses"] for row in reception.rows("incidents")) == 3


async def test_phones_look_from_the_press_on_that_the_button_brought_itself(reception: Reception) -> None:
    """A phone that was off all day is told the counter, as of a press that another phone has heard."""
    phone_of(reception)
    button = Button(HAND)
    for counter in (1, 2, 3):
        button.counter = counter
        await reception.say(button)
    assert buttons.counters(reception.core, HAND.device_id)["press"] == 3


async def test_of_a_press_that_was_erased_nothing_is_kept_again(reception: Reception) -> None:
    """A year later it is answered as what it is, and neither where nor how it came is written down anew."""
    button = Button(HAND)
    scan = direct.access_points([(bytes((0x10, 0, 0, 0, 0, 1)), -50)])
    await reception.say(button, facts=scan)
    (incident,) = reception.rows("incidents")
    for query in ("erase_alarms", "erase_sightings", "set_incident_erased"):
        which = {"incident_id": incident["incident_id"], "now_ms": reception.now_ms}
        reception.core.store.run(query, **which)
    answer = await reception.say(button, facts=scan)
    assert answer.receipt[0] == receipts.RECEIVED
    assert reception.rows("alarms") == reception.rows("sightings") == []
    assert len(reception.rows("incidents")) == 1


# -- what gets no word ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 63, 64, 127, 129, 1472, 65507])
async def test_another_length_gets_no_word(reception: Reception, length: int) -> None:
    """Whatever it begins with."""
    assert await reception.answer(Button(HAND).frame().ljust(length, b"\0")[:length]) is None
    assert reception.rows("incidents") == []


@pytest.mark.parametrize(
    "changes",
    [
        *({"kind": kind} for kind in (0, 5, 255)),
        *({"event": event} for event in (0, 3, 6)),
        *({"carrier": carrier} for carrier in (0, 4)),
        {"counter": 0},
        {"stage": 5},
    ],
    ids=str,
)
async def test_a_wrong_field_gets_no_word_though_it_is_sealed(
    reception: Reception, changes: dict[str, Any]
) -> None:
    """Nothing is stored, nothing answered; the next right one is."""
    button = Button(HAND)
    assert await reception.answer(button.frame(**changes)) is None
    assert reception.rows("incidents") == reception.rows("carrier_states") == []
    assert (await reception.say(button)).receipt[0] == receipts.RECEIVED


async def test_what_is_not_sealed_by_the_button_gets_no_word(reception: Reception) -> None:
    """A name that was overheard, with another tag, another text, another button's seal."""
    frame, other = Button(HAND).frame(), Button(OTHER).frame()
    inside = Button(HAND)
    inside.n = 1
    forged = direct.seal(
        inside.mac,
        1,
        frame[:8],
        b"",
        direct.pack(direct.REQUEST, (1, 1, 1, 1, 1, 1, 0, 0, 0, 255, 0, 0, 0, bytes(80))) + bytes(3),
    )
    for wrong in (
        frame[:8] + bytes(120),
        frame[:8] + other[8:],
        frame[:30] + bytes((frame[30] ^ 1,)) + frame[31:],
        frame[:8] + bytes((frame[8] ^ 128,)) + frame[9:],
        forged,  # the name of session 0, and 1 within
        bytes(128),
    ):
        assert await reception.answer(wrong) is None
    assert reception.rows("incidents") == []
    assert reception.log.of("refused")[0]["reason"] == "bad_frame"


async def test_odd_facts_cost_themselves_and_no_press(reception: Reception) -> None:
    """Facts that run over, are unknown, or lie beyond the pole: the press is taken without them."""
    button = Button(HAND)
    for counter, facts in enumerate(
        (b"\x01\xff", b"\x09\x50", bytes(80), direct.gnss(910_000_000, 0, 1, 1)), 1
    ):
        button.counter = counter
        assert (await reception.say(button, facts=facts)).receipt[0] == receipts.RECEIVED
    assert reception.rows("fixes") == []


async def test_a_button_that_is_imported_while_we_serve_is_known_soon(tmp_path: Path) -> None:
    """Nobody starts the centre anew for a new button."""
    reception = Reception(tmp_path / "centre.db", [HAND])
    assert await reception.answer(Button(OTHER).frame()) is None
    buttons.import_buttons(reception.core, [OTHER.registered])
    await reception.direct.look()
    assert (await reception.say(Button(OTHER))).receipt[0] == receipts.RECEIVED


async def test_a_full_store_is_told_and_not_answered(reception: Reception) -> None:
    """A press that is not on disk gets no RECEIVED: the button comes again, and it is one press then."""
    button = Button(HAND)
    reception.core.store.db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON receipts BEGIN SELECT raise(ABORT, 'full'); END"
    )
    assert await reception.answer(button.frame()) is None
    assert reception.log.of("trouble")[0]["reason"] == "store_unavailable"
    reception.core.store.db.execute("DROP TRIGGER full")
    assert (await reception.say(button, again=True)).receipt[0] == receipts.RECEIVED
    assert len(reception.rows("incidents")) == 1


# -- sessions, and what is played again -----------------------------------------------------------


async def test_a_session_moves_on_and_outlasts_a_restart(reception: Reception) -> None:
    """Each answer names the session that is expected; the centre goes on there after a start."""
    button = Button(HAND)
    for n in range(40):
        assert (await reception.say(button, direct.CHECKIN)).n == n + 1
        button.next_session()
    reception.start()
    assert (await reception.say(button, direct.CHECKIN)).n == 41
    assert await reception.answer(button.next_session(0).frame()) is None  # of long ago


async def test_a_checkin_counts_once(reception: Reception) -> None:
    """Played again, daily, it is answered and is no sign of life: the loss is found on time."""
    button = Button(HAND)
    frame = button.frame(direct.CHECKIN)
    button.open(frame, await reception.answer(frame))
    heard_ms = reception.now_ms
    for _ in range(3):
        reception.now_ms += 86_400_000
        reception.start()  # nor does a restart help
        assert await reception.answer(frame) is not None
    assert [row["heard_at_ms"] for row in reception.rows("carrier_states")] == [heard_ms]
    ways = carriers.of_button(reception.core, HAND.device_id, "", 0)
    assert [notice.kind for notice in ways.notices] == [NoticeKind.SILENT_EVERYWHERE]


async def test_a_checkin_under_a_spare_name_is_no_sign_of_life(reception: Reception) -> None:
    """That name is always good and could be played again for ever; the next session is told, and counts."""
    answer = await reception.say(Button(HAND, n=direct.SPARE_FIRST), direct.CHECKIN)
    assert reception.rows("carrier_states") == []
    await reception.say(Button(HAND, n=answer.n), direct.CHECKIN)
    assert len(reception.rows("carrier_states")) == 1


async def test_frames_that_were_held_back_count_for_one_day_at_most(reception: Reception) -> None:
    """Who stops a session and lets its frames through one a day does not keep a crushed button alive."""
    button = Button(HAND)
    frames = [button.frame(direct.CHECKIN) for _ in range(5)]
    first_ms = reception.now_ms
    for frame in frames:
        assert await reception.answer(frame) is not None
        reception.now_ms += 86_400_000
    assert [row["heard_at_ms"] for row in reception.rows("carrier_states")] == [first_ms]


async def test_a_press_played_again_from_everywhere_is_one_and_holds_nothing(reception: Reception) -> None:
    """A thousand addresses, two frames in turn: one incident, one arrival, nobody waits."""
    button = Button(HAND)
    frames = [button.frame(wait_s=20), button.frame(wait_s=20)]
    for number in range(1000):
        frame = frames[number % 2]
        button.open(frame, await reception.answer(frame, f"192.0.2.1:{number}"))
    assert [len(reception.rows(table)) for table in ("incidents", "alarms")] == [1, 1]


async def test_the_same_number_with_another_text_is_answered_and_not_held(reception: Reception) -> None:
    """A button that lost its memory says another thing under a number that was used."""
    button = Button(HAND)
    await reception.say(button)
    button.counter = 2
    assert (await reception.say(button, again=True)).receipt[0] == receipts.RECEIVED
    answer = await reception.say(button, direct.POLL, again=True, wait_s=20)  # it would wait for ever
    assert answer.receipt[0] == receipts.RECEIVED


async def test_a_poll_of_a_press_that_never_was_is_answered_with_nothing(reception: Reception) -> None:
    """At once, with the centre's clock and no receipt."""
    answer = await reception.say(Button(HAND), direct.POLL, wait_s=20)
    assert answer.receipt == bytes(17)
    assert reception.rows("incidents") == []


async def test_after_a_restore_buttons_that_are_far_ahead_are_known(reception: Reception) -> None:
    """A day's sessions are missing in the backup, of a button that it knows and of one that it does not."""
    await reception.say(Button(HAND, n=3), direct.CHECKIN)
    reception.core.store.run("restore_direct_sessions")
    reception.start()
    for hand, n in ((HAND, 250), (OTHER, 200)):
        assert (await reception.say(Button(hand, n=n))).receipt[0] == receipts.RECEIVED
        assert (await reception.say(Button(hand, n=n + 1), direct.CHECKIN)).n == n + 2
        assert await reception.answer(Button(hand, n=n + 90).frame()) is None  # it was seen: ten names again


class Numbered(Hand):
    """One of very many."""

    def __init__(self, n: int) -> None:
        self.device_id = f"MANY{n:012d}".translate(str.maketrans("0189", "ABCD"))
        self.root = hashlib.sha256(b"many %d" % n).digest()
        self.enrolment_code = f"{n:020d}"


async def test_a_thousand_buttons_are_answered_after_a_restore(tmp_path: Path) -> None:
    """All at once, each some 200 sessions further than the backup knows: as many incidents, each received."""
    reception = Reception(tmp_path / "centre.db", [Numbered(n) for n in range(1000)])
    reception.core.store.run("restore_direct_sessions")
    reception.start()
    await reception.direct.look()
    asked = [
        (button, button.frame()) for button in (Button(Numbered(n), n=200 + n % 50) for n in range(1000))
    ]
    answers = await asyncio.gather(*(reception.answer(frame) for _, frame in asked))
    for (button, frame), answered in zip(asked, answers, strict=True):
        assert button.open(frame, answered).receipt[0] == receipts.RECEIVED
    assert len(reception.rows("incidents")) == 1000


# -- news -----------------------------------------------------------------------------------------


async def waiting(reception: Reception, frame: bytes, source: str = "udp") -> "asyncio.Task[bytes | None]":
    """Ask, until the answer waits for news."""
    held = reception.direct.held
    task = asyncio.create_task(reception.answer(frame, source))
    for _ in range(5000):
        await asyncio.sleep(0.001)
        if reception.direct.held > held:
            return task
    raise AssertionError("it does not wait")


async def test_news_comes_to_who_waits(reception: Reception) -> None:
    """ACKNOWLEDGED is told the moment an operator takes the alarm."""
    button = Button(HAND)
    await reception.say(button)
    frame = button.frame(direct.POLL, wait_s=20)
    asked = await waiting(reception, frame)
    await reception.advance(receipts.ACKNOWLEDGED)
    assert button.open(frame, await asked).receipt[0] == receipts.ACKNOWLEDGED
    assert reception.direct.held == 0


async def test_what_is_news_already_does_not_wait(reception: Reception) -> None:
    """A button that missed a stage hears it at once."""
    button = Button(HAND)
    await reception.say(button)
    await reception.advance(receipts.ACKNOWLEDGED)
    assert (await reception.say(button, direct.POLL, wait_s=20)).receipt[0] == receipts.ACKNOWLEDGED


async def test_without_news_it_is_answered_in_time(reception: Reception) -> None:
    """With what it has already."""
    button = Button(HAND)
    await reception.say(button)
    assert (await reception.say(button, direct.POLL, wait_s=1)).receipt[0] == receipts.RECEIVED
    assert reception.direct.held == 0


async def test_nobody_waits_longer_than_mappings_live() -> None:
    """Whatever a button asks for."""
    asked = direct.Request(direct.POLL, 1, 1, 1, 1, 1, 1, 0, 0, receipts.RECEIVED, 255, 0, 0)
    assert rules.may_wait(asked, receipts.RECEIVED, is_last=False) == 20


async def test_the_answer_goes_to_the_newest_address(reception: Reception) -> None:
    """The router has changed the port: the button asks anew, and the old one is let go."""
    button = Button(HAND)
    await reception.say(button)
    old = await waiting(reception, button.frame(direct.POLL, wait_s=20), "192.0.2.1:1000")
    frame = button.frame(direct.POLL, wait_s=20)
    new = asyncio.create_task(reception.answer(frame, "192.0.2.1:2000"))
    assert await old is None
    await reception.advance(receipts.ACKNOWLEDGED)
    assert button.open(frame, await new).receipt[0] == receipts.ACKNOWLEDGED


async def test_who_plays_a_poll_again_does_not_take_the_answer_away(reception: Reception) -> None:
    """From another address it is answered at once, with nothing new; the button's own wait goes on."""
    button = Button(HAND)
    await reception.say(button)
    frame = button.frame(direct.POLL, wait_s=20)
    asked = await waiting(reception, frame)
    assert button.open(frame, await reception.answer(frame, "elsewhere")).receipt[0] == receipts.RECEIVED
    await reception.advance(receipts.ACKNOWLEDGED)
    assert button.open(frame, await asked).receipt[0] == receipts.ACKNOWLEDGED


async def test_beyond_the_bound_nobody_waits(reception: Reception, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, only so many answers are kept in memory; the others are told to ask less often."""
    monkeypatch.setattr(api, "HELD_MAX", 1)
    first, second = Button(HAND), Button(OTHER)
    await reception.say(first)
    await reception.say(second)
    asked = await waiting(reception, first.frame(direct.POLL, wait_s=20))
    answer = await reception.say(second, direct.POLL, wait_s=20)
    assert answer.flags & direct.SLOW_DOWN
    reception.signals.wake_all()
    assert await asked is not None


async def test_checkins_beyond_what_is_taken_are_shed_and_presses_are_not(tmp_path: Path) -> None:
    """One a second: the second gets no word, and comes again; the press behind it is received."""
    reception = Reception(tmp_path / "centre.db", [HAND, OTHER], signs_per_s=1)
    await reception.say(Button(HAND), direct.CHECKIN)
    other = Button(OTHER)
    assert await reception.answer(other.frame(direct.CHECKIN)) is None
    assert reception.log.of("refused")[0]["reason"] == "shed"
    assert (await reception.say(other)).receipt[0] == receipts.RECEIVED


async def test_what_is_played_again_too_often_is_shed_and_presses_are_not(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has old frames wins the time of a few of them; a press that was never here is still taken."""
    monkeypatch.setattr(api, "AGAIN_PER_S", 1)
    reception.start()
    button, lost = Button(HAND), Button(OTHER, n=direct.SPARE_FIRST)
    frames = [button.frame(direct.CHECKIN) for _ in range(3)]
    await reception.answer(frames[2])
    assert await reception.answer(frames[0]) is not None
    assert await reception.answer(frames[1]) is None
    assert (await reception.say(lost)).receipt[0] == receipts.RECEIVED


# -- positions ------------------------------------------------------------------------------------


async def test_a_position_is_kept_until_the_alarm_is_closed(reception: Reception) -> None:
    """With its source, age and radius; played again it is no newer one; after CLOSED nothing is kept."""
    button = Button(HAND)
    assert (await reception.say(button)).flags & direct.POSITION_WANTED
    frame = button.frame(direct.FIX, facts=direct.gnss(508_466_000, 43_528_000, 7, 4))
    assert not button.open(frame, await reception.answer(frame)).flags & direct.POSITION_WANTED
    reception.now_ms += 60_000
    await reception.answer(frame)
    (fix,) = reception.rows("fixes")
    assert (fix["lat"], fix["lon"], fix["radius_m"], fix["age_s"]) == (50.8466, 4.3528, 7.0, 4.0)
    assert (fix["method"], fix["source"], fix["bridge_id"]) == ("GNSS", "button", None)
    await reception.advance(receipts.CLOSED, CloseReason.REAL)
    answer = await reception.say(button, direct.FIX, facts=direct.gnss(508_000_000, 43_528_000, 7, 4))
    assert answer.receipt[0] == receipts.CLOSED
    assert len(reception.rows("fixes")) == 1


async def test_a_position_without_a_radius_is_none(reception: Reception) -> None:
    """A point without a circle would look surer than it is."""
    await reception.say(Button(HAND), facts=direct.gnss(508_466_000, 43_528_000, 0, 4))
    assert reception.rows("fixes") == []


async def test_a_phone_that_comes_late_opens_nothing_again(reception: Reception) -> None:
    """RECEIVED and CLOSED without it; six hours later a phone with a wrong clock brings the same press."""
    bridge, button = phone_of(reception), Button(HAND)
    await reception.say(button)
    await reception.advance(receipts.CLOSED, CloseReason.MIS_PRESS)
    reception.now_ms += 6 * 3_600_000
    late = read(HAND.alarm(1) | {"heard_at": "2031-01-01T00:00:00.000Z"})
    taken = await reception.worker(presses.take_alarm, bridge, late)
    assert (taken.known, taken.stage) == (True, receipts.CLOSED)
    assert len(reception.rows("incidents")) == 1
    assert board.board(reception.core).waiting == []


# -- carriers -------------------------------------------------------------------------------------


async def test_what_carriers_say_of_themselves_is_kept(reception: Reception) -> None:
    """Signal, battery, the kind of cell and when it changed, and why the other one failed."""
    button = Button(HAND)
    cell = direct.cell(1, 206, 1, 7, 8, -95)
    await reception.say(
        button, direct.CHECKIN, carrier=direct.LTE, signal=-95, facts=cell, errors=direct.REFUSED
    )
    reception.now_ms += 1000
    button.next_session()
    await reception.say(button, direct.CHECKIN, carrier=direct.LTE, facts=direct.cell(2, 206, 1, 7, 8, -95))
    lte, wifi = reception.rows("carrier_states")
    assert (lte["carrier"], lte["network_before"], lte["network"]) == ("lte", 1, 2)
    assert lte["network_changed_at_ms"] == reception.now_ms
    assert (wifi["error"], wifi["heard_at_ms"]) == (direct.REFUSED, None)
