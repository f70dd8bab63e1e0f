"""The direct path in virtual time: who comes up when, what is sent, and that it always comes to rest."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.board import direct as d
from firmware.board.direct import ARMED, ASK, HELD, OFF, OPEN, REST, Direct, Kept
from firmware.board.press import Life
from wire.codes import ALARM, TEST
from wire.direct import (
    CHECKIN,
    FIX,
    POLL,
    POSITION_WANTED,
    PRESS,
    SLOW_DOWN,
    WIFI_HTTPS,
    WIFI_UDP,
    Answer,
    Request,
)
from wire.receipts import HEARD, RECEIVED

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_000_000
BITS = {"wifi": 2, "lte": 4}


class Path:
    """Drives a Direct through virtual time and keeps what it did: `(at_ms, action, ...)`."""

    def __init__(
        self,
        profile: str = "always",
        carriers: tuple[str, ...] = ("wifi",),
        *,
        is_apart: bool = False,
        life: Life | None = None,
        kept: Kept | None = None,
        is_bad: bool = False,
    ) -> None:
        self.life, self.kept = life or Life(), kept or Kept()
        self.direct = Direct(self.life, self.kept, profile, carriers, lambda _: DAY_MS, is_apart)
        self.now_ms = START_MS
        self.done: list[tuple[Any, ...]] = []
        self.open: set[str] = set()
        self.direct.boot(self.now_ms, is_bad)

    def take(self, actions: list[tuple[Any, ...]]) -> None:
        self.done += [(self.now_ms, *action) for action in actions]
        for verb, *arguments in actions:
            if verb == d.UP:
                self.open.add(arguments[0])
                if arguments[1]:
                    assert len(self.open) == 1, "one radio at a time"
            elif verb == d.CLOSE:
                self.open.remove(arguments[0])
            elif verb == d.SEND:
                assert arguments[0] in self.open
                self.kept.seq += not arguments[-1]
            elif verb == d.RESERVE_NAMES:
                self.kept.reserve = arguments[0]
        at_rest = self.direct.state in (OFF, ARMED, REST)
        assert at_rest == (not self.open), "a radio is on exactly in a session"

    def until(self, now_ms: int) -> "Path":
        """Do what is due until then."""
        while self.direct.due_ms() <= now_ms:
            assert self.direct.due_ms() >= self.now_ms, "a deadline in the past would spin"
            self.now_ms = self.direct.due_ms()
            self.take(self.direct.tick(self.now_ms))
            assert self.direct.due_ms() > self.now_ms, "a tick must come to an end"
        self.now_ms = now_ms
        return self

    def wait(self, ms: int) -> "Path":
        return self.until(self.now_ms + ms)

    def press(self, event: int = ALARM) -> "Path":
        """Take a press as press.py does, and what it makes of the carriers at once."""
        if self.life.event != ALARM or self.life.stage >= RECEIVED:
            self.life.press_counter += 1
        self.life.event, self.life.stage, self.life.answered = event, HEARD, 0
        self.life.started_ms = self.now_ms
        self.take(self.direct.pressed(self.now_ms))
        self.take(self.direct.tick(self.now_ms))
        return self

    def heard(self) -> "Path":
        self.direct.heard()
        return self

    def bring(self) -> "Path":
        """Take RECEIVED as Bluetooth brings it."""
        self._receive()
        self.take(self.direct.brought(self.now_ms))
        return self

    def up(self, name: str = "wifi", network: str = "") -> "Path":
        self.take(self.direct.up(name, self.now_ms, network))
        return self

    def fail(self, name: str = "wifi") -> "Path":
        self.take(self.direct.failed(name, self.now_ms))
        return self

    def answer(
        self,
        name: str = "wifi",
        *,
        received: bool = True,
        flags: int = 0,
        next_s: int = 0,
        n: int | None = None,
        asked_n: int | None = None,
        carrier: int = WIFI_UDP,
    ) -> "Path":
        """Take a proven answer to what was sent last."""
        kind = self.sends(name)[-1][1] if self.sends(name) else PRESS
        asked = self.kept.n if asked_n is None else asked_n
        request = Request(kind, carrier, self.life.event, 0, 1, asked, 0, 0, 0, 0, 0, 0, 0)
        if received and self.life.event == TEST:
            self.life.answered |= BITS[name]
        elif received and self.life.event:
            self._receive()
        answer = Answer(bytes(17), 0, next_s, flags, self.kept.n + 1 if n is None else n)
        self.take(self.direct.answered(name, request, answer, self.now_ms))
        return self

    def _receive(self) -> None:
        if self.life.stage < RECEIVED:
            self.life.stage, self.life.received_ms = RECEIVED, self.now_ms

    def over(self) -> "Path":
        """End the press, as CLOSED or the end of its time does."""
        self.life.event, self.life.stage = 0, HEARD
        self.take(self.direct.tick(self.now_ms))
        return self

    def forget(self) -> "Path":
        self.done.clear()
        return self

    def verbs(self) -> list[str]:
        return [action[1] for action in self.done]

    def ups(self, name: str = "wifi") -> list[int]:
        return [at for at, verb, *args in self.done if verb == d.UP and args[0] == name]

    def sends(self, name: str = "wifi") -> list[tuple[int, int, bool]]:
        """`(at_ms, kind, by_https)` of each."""
        return [(at, args[1], args[3]) for at, verb, *args in self.done if verb == d.SEND and args[0] == name]


# -- every state and every event ---------------------------------------------------------


def in_state(state: int) -> Path:
    """Bring one carrier's direct path to `state`; from ARMED on with an open ALARM."""
    path = Path("backup")
    if state == OFF:
        return path
    path.press()
    if state != ARMED:
        path.wait(5_000)
    if state in (ASK, HELD):
        path.up()
    if state == HELD:
        path.answer()
    if state == REST:
        path.fail()
    assert path.direct.state == state
    return path.forget()


# (state, event) -> (the state then, what is done)
TABLE: dict[tuple[int, str], tuple[int, list[str]]] = {
    (OFF, "press"): (ARMED, []),
    (OFF, "up"): (OFF, []),
    (OFF, "fail"): (OFF, []),
    (OFF, "heard"): (OFF, []),
    (OFF, "bring"): (OFF, []),
    (OFF, "over"): (OFF, []),
    (ARMED, "press"): (ARMED, []),
    (ARMED, "up"): (ARMED, []),
    (ARMED, "fail"): (ARMED, []),
    (ARMED, "heard"): (ARMED, []),
    (ARMED, "bring"): (REST, []),
    (ARMED, "over"): (OFF, []),
    (OPEN, "press"): (OPEN, []),
    (OPEN, "up"): (ASK, [d.SEND]),
    (OPEN, "fail"): (REST, [d.CLOSE]),
    (OPEN, "heard"): (OPEN, []),
    (OPEN, "bring"): (REST, [d.CLOSE]),
    (OPEN, "over"): (OFF, [d.CLOSE]),
    (ASK, "press"): (ASK, [d.SEND]),
    (ASK, "up"): (ASK, []),
    (ASK, "fail"): (REST, [d.CLOSE]),
    (ASK, "heard"): (ASK, []),
    (ASK, "bring"): (REST, [d.CLOSE]),
    (ASK, "answer"): (HELD, []),
    (ASK, "over"): (OFF, [d.CLOSE]),
    (HELD, "press"): (ASK, [d.SEND]),
    (HELD, "up"): (HELD, []),
    (HELD, "fail"): (REST, [d.CLOSE]),
    (HELD, "heard"): (HELD, []),
    (HELD, "bring"): (REST, [d.CLOSE]),
    (HELD, "answer"): (HELD, []),
    (HELD, "over"): (OFF, [d.CLOSE]),
    (REST, "press"): (ARMED, []),
    (REST, "up"): (REST, []),
    (REST, "fail"): (REST, []),
    (REST, "heard"): (REST, []),
    (REST, "bring"): (REST, []),
    (REST, "over"): (OFF, []),
}


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_every_event_in_every_state_leads_where_the_table_says(state: int, event: str) -> None:
    """The header's table, each cell of it."""
    path = in_state(state)
    if (state, event) == (OFF, "bring"):
        path.take(path.direct.brought(path.now_ms))
    else:
        getattr(path, event)()
    assert (path.direct.state, path.verbs()) == TABLE[state, event]


@pytest.mark.parametrize("state", [OFF, ARMED, OPEN, REST])
def test_an_answer_where_nothing_was_asked_changes_no_state(state: int) -> None:
    """It comes late, from a session that is over."""
    path = in_state(state)
    path.answer(received=False)
    assert (path.direct.state, path.verbs()) == (state, [])


# -- when it begins ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "event", "heard", "after_ms"),
    [
        ("always", ALARM, False, 0),
        ("always", ALARM, True, 0),
        ("backup", ALARM, False, 5_000),
        ("backup", ALARM, True, 15_000),
        ("backup", TEST, False, 0),
        ("backup", TEST, True, 0),
    ],
)
def test_bluetooth_has_the_time_that_the_profile_gives_it(
    profile: str, event: int, heard: bool, after_ms: int
) -> None:
    """At once, after 5 s that nobody heard it, or after 15 s that the centre has not got it."""
    path = Path(profile)
    path.press(event)
    if heard:
        path.heard()
    path.wait(MINUTE_MS)
    assert path.ups()[0] == START_MS + after_ms


def test_a_press_that_bluetooth_has_brought_needs_no_other_way() -> None:
    """RECEIVED within 15 s: no radio comes up for as long as a peer brings stages."""
    path = Path("backup").press().heard().wait(14_000).bring()
    for _ in range(10):
        path.wait(170_000).bring()
    assert path.verbs() == []


def test_without_a_peer_for_three_minutes_the_later_stages_are_asked_for() -> None:
    """The phone is gone: the button looks for what has become of its press by itself."""
    path = Path("backup").press().wait(2_000).bring().wait(180_000).up()
    assert [kind for _, kind, _ in path.sends()] == [POLL]


def test_received_by_bluetooth_ends_press_on_this_path_at_once() -> None:
    """What was on its way is one press with it; nothing is sent as PRESS any more."""
    path = Path().press().up().wait(2_500).bring().forget().wait(HOUR_MS)
    assert PRESS not in [kind for _, kind, _ in path.sends()]


# -- what is sent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "network", "seconds"),
    [
        ("wifi", "", [0, 1, 2, 3, 4]),
        ("lte", "", [0, 3, 8, 20]),
        ("lte", "lte", [0, 3, 8, 20]),
        ("lte", "nbiot", [0, 6, 15, 35]),
        ("lte", "unheard of", [0, 3, 8, 20]),
    ],
)
def test_a_press_is_sent_by_its_carriers_schedule(name: str, network: str, seconds: list[int]) -> None:
    """A slow network is given time; over Wi-Fi the fourth is HTTPS, 3 s after the first datagram."""
    path = Path(carriers=(name,)).press().up(name, network)
    path.until(path.direct.due_ms() + 45_000)
    sends = [send for send in path.sends(name) if send[0] < START_MS + 46_000]
    assert [(at - START_MS) // 1000 for at, _, _ in sends] == seconds
    assert {kind for _, kind, _ in sends} == {PRESS}
    assert [by_https for _, _, by_https in sends] == [name == "wifi" and n == 3 for n in seconds]


def test_a_repeated_send_is_the_same_bytes_again() -> None:
    """So that the centre knows the press and the answer fits, however late."""
    path = Path().press().up().wait(5_000)
    assert [args[-1] for _, verb, *args in path.done if verb == d.SEND] == [False, True, True, True, True]


@pytest.mark.parametrize(("name", "after_ms"), [("wifi", 12_000), ("lte", 45_000)])
def test_a_carrier_whose_centre_is_silent_is_given_up(name: str, after_ms: int) -> None:
    """12 s over Wi-Fi, 45 s over LTE; then it rests, for another try."""
    path = Path(carriers=(name,)).press().up(name).until(START_MS + after_ms)
    assert (path.done[-1][1], path.direct.state) == (d.CLOSE, REST)


@pytest.mark.parametrize(("name", "after_ms"), [("wifi", 20_000), ("lte", 60_000)])
def test_a_carrier_that_does_not_come_up_is_given_up(name: str, after_ms: int) -> None:
    """Whatever it waits for."""
    path = Path(carriers=(name,)).press().until(START_MS + after_ms)
    assert (path.done[-1], path.direct.state) == ((START_MS + after_ms, d.CLOSE, name, 11), REST)


def test_the_modem_wakes_beside_wifi_and_asks_as_soon_as_it_is_up() -> None:
    """A captive portal takes the datagrams and answers none: LTE has it before Wi-Fi is given up."""
    path = Path(carriers=("wifi", "lte")).press()
    assert path.open == {"wifi", "lte"}
    path.wait(2_000).up("wifi").wait(8_000).up("lte").wait(1_000).answer("lte")
    assert path.sends("lte")[0][0] == START_MS + 10_000
    assert path.open == {"lte"}
    assert path.direct.state == HELD


def test_a_new_press_while_one_carrier_is_up_opens_the_others_too() -> None:
    """The link of the press before may have gone bad since."""
    path = Path(carriers=("wifi", "lte")).press().up("wifi").answer("wifi").press()
    assert path.open == {"wifi", "lte"}
    path = Path(carriers=("lte", "wifi")).press().up("lte").answer("lte").press().wait(30_000)
    assert path.open == {"lte", "wifi"}


def test_who_is_suspected_without_a_bad_start_changes_no_preference() -> None:
    """A fresh battery suspects by chance; Wi-Fi at home must not speak first for that."""
    kept = Kept()
    kept.suspects = BITS["lte"]
    assert Path(carriers=("lte", "wifi"), kept=kept).press().open == {"lte"}


def test_where_lte_is_preferred_wifi_says_nothing_for_half_a_minute() -> None:
    """A router's owner sees who was spoken to; a press that LTE does not bring is worth that."""
    path = Path(carriers=("lte", "wifi")).press().wait(12_000).up("lte").wait(1_000).answer("lte")
    assert path.ups("wifi") == []
    path = Path(carriers=("lte", "wifi")).press().wait(29_999)
    assert path.ups("wifi") == []
    assert path.wait(1).open == {"lte", "wifi"}
    path = Path(carriers=("lte", "wifi")).press().wait(3_000).fail("lte")
    assert path.open == {"wifi"}


def test_what_the_centre_does_not_have_goes_on_by_schedule() -> None:
    """An answer without a receipt is no receipt."""
    path = Path().press().up().wait(500).answer(received=False).wait(3_000)
    assert len(path.sends()) == 4
    assert path.direct.state == ASK


# -- rests -------------------------------------------------------------------------------


def test_an_alarm_that_nobody_has_is_tried_for_ever() -> None:
    """10, 20, 40, 57 s for half an hour, 5 min to 2 h, then at each alive slot."""
    path = Path().press()
    path.life.alive_ms = START_MS + 2 * HOUR_MS
    rests = []
    while path.now_ms < START_MS + 4 * HOUR_MS:
        if path.direct.state == OPEN:
            path.wait(500).fail()
            rests.append((path.now_ms - START_MS, path.direct.due_ms() - path.now_ms))
            if path.now_ms >= path.life.alive_ms:
                path.life.alive_ms = path.now_ms + 15 * MINUTE_MS
        path.until(path.direct.due_ms())
    assert [rest for _, rest in rests[:6]] == [10_000, 20_000, 40_000, 57_000, 57_000, 57_000]
    assert {rest for at, rest in rests if 5 * MINUTE_MS < at < 30 * MINUTE_MS} == {57_000}
    assert {rest for at, rest in rests if 31 * MINUTE_MS < at < 2 * HOUR_MS} == {5 * MINUTE_MS}
    assert max(rest for at, rest in rests if at > 2 * HOUR_MS) <= 15 * MINUTE_MS
    assert len(rests) > 50


def test_later_stages_are_polled_for_two_hours() -> None:
    """Held for 20 s each through 2 min, then every minute to 12 min, then every 5 min."""
    path = Path().press().up().answer()
    while path.now_ms < START_MS + 2 * HOUR_MS:
        path.until(path.direct.due_ms())
        if path.direct.state == OPEN:
            path.up()
        if path.direct.state == HELD:
            held = [args[2] for _, verb, *args in path.done if verb == d.SEND][-1]
            path.wait(held * 1000 or 100).answer()
    polls = [at - START_MS for at, kind, _ in path.sends() if kind == POLL]
    assert len([at for at in polls if at < 120_000]) in (5, 6)
    assert len([at for at in polls if 120_000 < at < 720_000]) in (9, 10)
    assert len([at for at in polls if 720_000 < at < 2 * HOUR_MS]) in (20, 21, 22)


def test_a_centre_that_answers_each_poll_at_once_does_not_make_a_loop() -> None:
    """5 s between two polls, whatever comes back."""
    path = Path().press().up().answer()
    while path.now_ms < START_MS + 110_000:
        path.until(path.direct.due_ms())
        path.wait(10).answer()
    assert len([1 for _, kind, _ in path.sends() if kind == POLL]) <= 23


@pytest.mark.parametrize(("next_s", "rest_ms"), [(30, 60_000), (200, 200_000), (65_535, 300_000)])
def test_a_centre_that_asks_for_calm_gets_it_and_never_silence(next_s: int, rest_ms: int) -> None:
    """At least a minute, at most five; nothing it says makes the button ask without a pause."""
    path = Path().press().up().wait(100).answer(flags=SLOW_DOWN, next_s=next_s)
    assert path.direct.state == REST
    assert path.direct.due_ms() - path.now_ms == rest_ms


def test_a_centre_that_asks_for_calm_without_saying_how_long_is_polled_as_ever() -> None:
    """Its 0 is no reason to ask without a pause, nor to be silent."""
    path = Path().press().up().wait(100).answer(flags=SLOW_DOWN, next_s=0)
    assert path.direct.due_ms() - path.now_ms >= 1_000
    assert path.direct.state == HELD


def test_a_poll_that_stays_unanswered_twice_is_a_lost_link() -> None:
    """48 s, and it is opened anew 20 s later."""
    path = Path().press().up().answer().forget().wait(MINUTE_MS - 10_000)
    assert path.verbs() == [d.SEND, d.SEND, d.CLOSE]
    assert path.wait(20_000).verbs()[-1] == d.UP


def test_polls_go_the_way_that_was_answered() -> None:
    """Where UDP is blocked, they are HTTPS from the first on."""
    path = Path().press().up().wait(3_500).answer(carrier=WIFI_HTTPS).forget().wait(22_000)
    assert path.sends()[0][1:] == (POLL, True)


# -- positions ---------------------------------------------------------------------------


def test_a_position_is_looked_for_when_the_centre_wants_one_and_sent() -> None:
    """The modem asks the satellites, comes up anew, and FIX goes out; Wi-Fi polls meanwhile."""
    path = Path(carriers=("wifi", "lte")).press().up().answer(flags=POSITION_WANTED)
    assert path.open == {"wifi", "lte"}
    path.wait(5_000).up("lte").wait(30_000)
    assert d.LOCATE in path.verbs()
    path.up("lte").wait(100).answer("lte")
    assert [kind for _, kind, _ in path.sends("lte")] == [FIX]
    assert (path.open, path.direct.state) == ({"wifi"}, HELD)


def test_a_modem_that_was_coming_up_beside_wifi_stays_for_the_satellites() -> None:
    """It is not switched off for a moment, to be woken anew."""
    path = Path(carriers=("wifi", "lte")).press().up("wifi").answer("wifi", flags=POSITION_WANTED)
    assert path.verbs().count(d.CLOSE) == 0
    path.wait(5_000).up("lte")
    assert path.verbs().count(d.LOCATE) == 1


def test_satellites_are_asked_twice_a_press_at_most() -> None:
    """A centre that wants one for ever does not empty the battery."""
    path = Path(carriers=("lte",)).press().up("lte")
    for _ in range(20):
        path.wait(1_000).answer("lte", flags=POSITION_WANTED).wait(40_000).up("lte")
    assert path.verbs().count(d.LOCATE) == 2


# -- tests -------------------------------------------------------------------------------


def test_a_test_asks_every_carrier_and_each_that_has_answered_rests() -> None:
    """Both, though one has answered already."""
    path = Path("backup", ("wifi", "lte")).press(TEST).up("wifi").wait(200).answer("wifi")
    assert path.open == {"lte"}
    path.up("lte").wait(200).answer("lte")
    assert path.open == set()
    path.forget().wait(50_000)
    assert path.ups("wifi") + path.ups("lte") == []


def test_a_carrier_that_failed_a_test_is_tried_again_alone() -> None:
    """Within the minute that the test has."""
    path = Path(carriers=("wifi", "lte")).press(TEST).up("lte").answer("lte").fail("wifi").forget()
    path.wait(11_000)
    assert (len(path.ups("wifi")), path.ups("lte")) == (1, [])


def test_received_by_bluetooth_does_not_end_what_a_test_is_for() -> None:
    """Every carrier is to show that it works."""
    path = Path().press(TEST).up()
    path.take(path.direct.brought(path.now_ms))
    assert path.direct.state == ASK


# -- signs of life -----------------------------------------------------------------------


def test_each_carrier_checks_in_once_a_day_one_after_the_other() -> None:
    """At its drawn time, by itself, and no press is sent."""
    path = Path(carriers=("wifi", "lte"))
    kinds = []
    while path.now_ms < START_MS + 5 * DAY_MS:
        path.until(path.direct.due_ms())
        for name in sorted(path.open):
            path.up(name).wait(100)
            kinds.append((name, path.sends(name)[-1][1]))
            path.answer(name)
    assert kinds.count(("wifi", CHECKIN)) in (5, 6)
    assert kinds.count(("lte", CHECKIN)) in (5, 6)
    assert len(kinds) in (10, 11, 12)


def test_a_check_in_that_failed_is_tried_a_few_times_a_day() -> None:
    """No known network is near: the battery is not spent on looking for one."""
    path = Path().until(START_MS + 3 * DAY_MS)
    assert 12 <= len(path.ups()) <= 20


def test_a_press_during_a_check_in_has_bluetooth_first_as_ever() -> None:
    """What the check-in had begun is given up."""
    path = Path("backup")
    path.until(path.direct.due_ms())
    assert path.direct.state == OPEN
    path.forget().press()
    assert (path.verbs(), path.direct.state) == ([d.CLOSE], ARMED)
    assert path.direct.due_ms() == path.now_ms + 5_000


# -- sessions and their names ------------------------------------------------------------


def test_a_session_moves_on_once_an_answer_was_proven() -> None:
    """And not before; frames of one that was in vain go on counting."""
    path = Path().press().up().wait(13_000)
    assert (path.kept.n, path.kept.seq) == (0, 1)
    path.wait(10_000).up().wait(100).answer().wait(100).answer().fail()
    assert (path.kept.n, path.kept.seq) == (1, 0)


def test_names_are_reserved_before_they_are_used() -> None:
    """In steps of 32, as the first thing of a session."""
    path = Path().press()
    assert path.done[0][1:] == (d.RESERVE_NAMES, 32)
    path.kept.n = 31
    path.over().forget().press()
    assert d.RESERVE_NAMES not in path.verbs()
    path.over()
    path.kept.n = 32
    path.forget().press()
    assert path.done[0][1:] == (d.RESERVE_NAMES, 64)


def test_a_centre_that_knows_other_names_is_found_again_by_a_spare_one() -> None:
    """After two sessions in vain every fourth frame goes out under one; its answer says where to go on."""
    path = Path().press()
    path.kept.n = 700
    names = []
    for _ in range(5):
        path.up().wait(13_000)
        sends = [args[4] for _, verb, *args in path.done if verb == d.SEND]
        names.append([n for n in sends if n >= 0x80000000])
        path.forget()
        path.until(path.direct.due_ms())
    assert [len(spare) for spare in names[:2]] == [0, 0]
    assert {len(spare) for spare in names[2:]} <= {1, 2}
    path.up().answer(asked_n=0x80000001, n=40).fail()
    assert (path.kept.n, path.kept.silent_sessions) == (40, 0)


def test_an_answer_under_the_right_name_never_moves_a_session_back() -> None:
    """A centre restored from yesterday says less than the button knows."""
    path = Path()
    path.kept.n = 50
    path.press().up().answer(n=7).fail()
    assert path.kept.n == 51


# -- starts that ended badly -------------------------------------------------------------


@pytest.mark.parametrize(("before", "alone_ms"), [(0, 15_000), (1, 15_000), (2, 600_000), (3, 600_000)])
def test_a_start_with_a_radio_on_gives_bluetooth_the_air_for_itself(before: int, alone_ms: int) -> None:
    """15 s, and 10 min after three; then with little power, one after the other."""
    life, kept = Life(), Kept()
    life.event, life.started_ms, kept.bad_starts = ALARM, START_MS, before
    path = Path(carriers=("wifi", "lte"), life=life, kept=kept, is_bad=True).wait(alone_ms - 1)
    assert path.verbs() == []
    path.wait(1)
    assert path.done[-1][1:] == (d.UP, "wifi", True)
    path.fail()
    assert path.done[-1][1:] == (d.UP, "lte", True)


def test_after_three_bad_starts_the_radio_that_was_on_rests_and_the_other_does_its_part() -> None:
    """Wi-Fi browns out each time; the modem, with a supply of its own, brings the press meanwhile."""
    life, kept = Life(), Kept()
    life.event, life.started_ms = ALARM, START_MS
    kept.bad_starts, kept.suspects = 2, BITS["wifi"]
    path = Path(carriers=("wifi", "lte"), life=life, kept=kept, is_bad=True).wait(599_000)
    assert path.ups("lte")[0] == START_MS + 15_000
    assert path.ups("wifi") == []
    path.wait(2 * MINUTE_MS)
    assert path.ups("wifi")


def test_a_new_press_does_not_shorten_the_rest_that_bluetooth_was_given() -> None:
    """Else a nervous hand would make a loop of brown-outs."""
    path = Path(is_bad=True).press().wait(14_999)
    assert path.verbs() == []


@pytest.mark.parametrize("suspect", ["wifi", "lte"])
def test_the_carrier_that_may_have_cost_a_start_goes_last(suspect: str) -> None:
    """The other one brings the press, for which nobody has to wait ten minutes."""
    life, kept = Life(), Kept()
    life.event, life.started_ms = ALARM, START_MS
    kept.bad_starts, kept.suspects = 1, BITS[suspect]
    path = Path(carriers=("wifi", "lte"), life=life, kept=kept, is_bad=True).wait(20_000)
    (other,) = {"wifi", "lte"} - {suspect}
    assert [one[2] for one in path.done if one[1] == d.UP] == [other]


def test_a_check_in_that_is_answered_forgives_bad_starts() -> None:
    """The radio works again: the next press has its full power."""
    kept = Kept()
    kept.bad_starts = 2
    path = Path(kept=kept)
    path.until(path.direct.due_ms()).up().answer()
    assert kept.bad_starts == 0


def test_a_low_battery_feeds_one_carrier_at_a_time() -> None:
    """Below 3.4 V."""
    path = Path(carriers=("wifi", "lte"))
    path.life.battery_low = True
    path.press()
    assert path.open == {"wifi"}


def test_where_the_radios_exclude_each_other_bluetooth_has_half_a_minute() -> None:
    """And 12 s between two tries; it is not silenced for polls."""
    path = Path(is_apart=True).press().wait(29_999)
    assert path.verbs() == []
    path.wait(1).fail()
    assert path.direct.due_ms() - path.now_ms == 12_000
    path.wait(12_000).up().answer()
    assert path.direct.state == REST


# -- time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "ahead_ms", "may"),
    [
        (1999, None, False),
        (2027, None, True),
        (2101, None, False),
        (2027, 23 * HOUR_MS, True),
        (2027, 25 * HOUR_MS, False),
        (2027, -400 * DAY_MS, True),
    ],
)
def test_the_clock_is_believed_within_reason(year: int, ahead_ms: int | None, may: bool) -> None:
    """Never back by more than a day unless power was lost, never before 2026, never past 2100."""
    time_ms = int((year - 1970) * 365.2425 * DAY_MS)
    assert d.may_set(time_ms, None if ahead_ms is None else time_ms + ahead_ms) == may


# -- drawn sequences ---------------------------------------------------------------------

EVENTS = st.sampled_from(["press", "test", "heard", "bring", "over", "wait", "long", "up", "fail", "answer"])


def happen(path: Path, what: str, name: str, ms: int) -> None:
    """Let one of EVENTS happen, where it can."""
    if what == "press" or (what == "test" and not path.life.event):
        path.press(ALARM if what == "press" else TEST)
    elif what in ("wait", "long"):
        path.wait(ms * 1000 if what == "long" else ms)
    elif what in ("up", "fail"):
        getattr(path, what)(name)
    elif what == "answer":
        path.answer(name, flags=ms % 4, next_s=ms)
    elif what == "bring" and path.life.event == ALARM:
        path.bring()
    elif what in ("heard", "over"):
        getattr(path, what)()


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(EVENTS, st.sampled_from(["wifi", "lte"]), st.integers(0, 4000)), max_size=60),
    profile=st.sampled_from(["backup", "always"]),
    carriers=st.sampled_from([("wifi",), ("lte",), ("wifi", "lte"), ("lte", "wifi")]),
    is_apart=st.booleans(),
    bad_starts=st.integers(0, 3),
    is_bad=st.booleans(),
)
def test_whatever_happens_it_comes_to_rest_and_leaves_it_again(
    steps: list[tuple[str, str, int]],
    profile: str,
    carriers: tuple[str, ...],
    is_apart: bool,
    bad_starts: int,
    is_bad: bool,
) -> None:
    """No loop without a due time, no two radios where it is slow, no radio on at rest, no rest for ever."""
    kept = Kept()
    kept.bad_starts = bad_starts
    path = Path(profile, carriers, is_apart=is_apart, kept=kept, is_bad=is_bad)
    for what, name, ms in steps:
        if name in carriers:
            happen(path, what, name, ms)
        assert path.direct.due_ms() - path.now_ms <= max(DAY_MS, path.life.alive_ms - path.now_ms) + HOUR_MS
    if path.life.event == ALARM and path.life.stage < RECEIVED:
        path.forget().wait(HOUR_MS)
        assert d.UP in path.verbs(), "an alarm that nobody has is tried again"
    assert path.over().wait(0).direct.state in (OFF, OPEN, ASK)
    ends = [path.wait(5 * MINUTE_MS).direct.state for _ in range(3)]
    assert OFF in ends, "a check-in is over within minutes"
