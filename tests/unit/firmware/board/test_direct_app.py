"""The direct path's wiring on a button: what is sealed, believed, kept, and never at Bluetooth's cost."""

import errno
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from firmware.board.config import SETTINGS, Identity
from firmware.board.memory import ALIVE_FILE, DIRECT_FILE, PRESS_FILE, sealed
from firmware.board.press import NEVER_MS, NOT_CONFIRMED, TAKEN
from sim.virtual import ble
from sim.virtual.flash import Flash, PowerCut, Rtc
from wire import receipts
from wire.codes import ALARM, RESERVE, TEST
from wire.direct import (
    CHECKIN,
    CLOCK_LOST,
    NO_MEMORY,
    PRESS,
    RESET,
    SPARE_FIRST,
    SPARE_NAMES,
    Answer,
    Request,
    access_points,
    cell,
    name,
)
from wire.direct_centre import read_facts, seal_answer, unseal_request
from wire.keys import Mac, derive
from wire.receipts import HEARD, RECEIVED

ble.provide()
App: Any = import_module("firmware.board.app").App

ROOT = bytes(range(32))
NOW_MS = 1_800_000_000_000  # the centre's clock: 2027
MINUTE_MS = 60_000


class Ble:
    """A radio that notes when it is on the air, and since when."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self.adverts: list[int] = []
        self.is_on_air = False

    def irq(self, handler: object) -> None:
        pass

    def active(self, _: bool) -> None:
        self.is_on_air = False

    def config(self, **_: object) -> None:
        pass

    def gap_advertise(self, interval_us: int | None, **_: object) -> None:
        self.is_on_air = interval_us is not None
        if self.is_on_air:
            self.adverts.append(self._board.clock_ms)

    def gatts_register_services(self, _: object) -> tuple[tuple[int, int]]:
        return ((1, 2),)

    def gatts_set_buffer(self, *_: object) -> None:
        pass

    def gatts_write(self, *_: object) -> None:
        pass


class Board:
    """A board on a clock that the test moves."""

    wifi_beside_ble = True

    def __init__(self, world: "World", slept: bool) -> None:
        self._world = world
        self.rtc, self.open = world.rtc, world.flash.open
        self.slept, self.pressed = slept, False
        self.is_on = False

    @property
    def clock_ms(self) -> int:
        return self._world.clock_ms

    def now_ms(self) -> int:
        return self._world.clock_ms

    def random(self, count: int) -> bytes:
        return bytes(count)

    def edges(self) -> list[tuple[bool, int]]:
        return [(self._world.is_down, self._world.clock_ms)]

    def motor(self, on: bool) -> None:
        self.is_on = on

    def battery_mv(self) -> int:
        return self._world.battery_mv

    def carriers(self, _settings: object, _mac: Mac) -> list["Carrier"]:
        return [self._world.carrier(name) for name in self._world.names]


class Carrier:
    """A carrier that is up after two steps, and hands each frame to the test's centre."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self.name = world, name
        self.facts, self.signal, self.error, self.has_https = b"", -60, 0, name == "wifi"
        self.blocks = False
        self.is_on = False
        self.at = 0
        self.answers: list[bytes] = []
        self.sent: list[bytes] = []
        self.posted: list[bytes] = []
        self.raises: dict[str, Exception | type[BaseException]] = {}
        self.opened_ms: list[int] = []
        self.was_slow = False
        self.clock_known = True

    def _may_raise(self, what: str) -> None:
        if what in self.raises:
            raise self.raises[what]

    def open(self, now_ms: int, is_slow: bool) -> None:
        self.is_on, self.at, self.was_slow = True, 0, is_slow
        self.opened_ms.append(now_ms)
        self._may_raise("open")

    def step(self, _now_ms: int) -> int:
        assert not (self.blocks and self._world.board.is_on), "the motor runs"
        self._may_raise("step")
        self.at += 1
        return self.at > 1 and self._world.comes_up

    def send(self, frame: bytes, _now_ms: int) -> None:
        self._may_raise("send")
        self.sent.append(frame)
        answer = self._world.centre(frame)
        if answer:
            self.answers.append(answer)

    def post(self, frame: bytes, _now_ms: int) -> None:
        self.posted.append(frame)

    def receive(self) -> bytes | None:
        self._may_raise("receive")
        return self.answers.pop(0) if self.answers else None

    def locate(self, _now_ms: int) -> None:
        self.at = 0

    def close(self) -> None:
        self.is_on = False
        self.answers.clear()

    def due_ms(self, now_ms: int) -> int:
        return now_ms + 20


class Settings:
    """Of the direct path, as far as its wiring reads them."""

    def __init__(self, profile: str) -> None:
        self.profile = profile


class World:
    """A button with its direct path, and a centre that answers as it is told to."""

    def __init__(self, profile: str = "always", names: tuple[str, ...] = ("wifi",)) -> None:
        self.profile, self.names = profile, names
        self.mac = Mac(derive(ROOT, "direct"))
        self.mac_receipt = Mac(derive(ROOT, "receipt"))
        self.flash = Flash({PRESS_FILE: sealed(">IBB", 0, 0, 0), ALIVE_FILE: sealed(">I", RESERVE)})
        self.flash.files[DIRECT_FILE] = sealed(">I", 0)
        self.rtc = Rtc()
        self.clock_ms = 10_000
        self.battery_mv = 3900
        self.is_down = False
        self.comes_up = True
        self.centre: Callable[[bytes], bytes | None] = lambda _: None
        self.said: list[tuple[object, ...]] = []
        self.felt: list[object] = []
        self.kept: dict[str, Carrier] = {}
        self.loads = 0
        self.start()

    def carrier(self, name: str) -> Carrier:
        return self.kept.setdefault(name, Carrier(self, name))

    @property
    def wifi(self) -> Carrier:
        return self.carrier("wifi")

    def load(self, _: object) -> tuple[object, bool]:
        self.loads += 1
        return (Settings(self.profile) if self.profile != "off" else None), False

    def start(self, *, slept: bool = False) -> "World":
        """Start the program; what it had in RAM is gone."""
        for one in self.kept.values():
            one.is_on = False
        self.board = Board(self, slept)
        self.ble = Ble(self.board)
        settings = {name: bounds[0] for name, bounds in SETTINGS.items()}
        identity = Identity("A" * 16, ROOT, 0)
        self.app = App(
            self.board, self.ble, identity, settings, False, lambda *w: self.said.append(w), self.load
        )
        self._feel(self.app.feedback)
        self.app.start()
        return self.wait(0)

    def _feel(self, feedback: Any) -> None:
        play = feedback.play

        def felt(word: object) -> None:
            self.felt.append(word)
            play(word)

        feedback.play = felt

    def wait(self, ms: int, step_ms: int = 20) -> "World":
        """Run for so long; deep sleep passes as time, and its end is a start."""
        until_ms = self.clock_ms + ms
        while True:
            if self.app.step() is None:
                direct_path = self.app.direct
                assert not any(one.is_on for one in self.kept.values()), "asleep with a radio on"
                wake_ms = min(self.app.press.due_ms(), self.app.press.life.direct_ms)
                assert direct_path is None or wake_ms >= self.clock_ms
                self.app.remember()
                if wake_ms > until_ms:
                    self.clock_ms = until_ms
                    return self
                self.clock_ms = max(wake_ms, self.clock_ms)
                self.start(slept=True)
            if self.clock_ms >= until_ms:
                return self
            self.clock_ms += step_ms

    def hold(self) -> "World":
        """Hold the button down until it is taken."""
        self.is_down = True
        self.wait(2_100)
        self.is_down = False
        return self

    def clicks(self) -> "World":
        self.app.do(self.app.press.clicks(self.clock_ms))
        return self

    def asked(self, frame: bytes) -> Request:
        """Return what a frame says, under whichever name."""
        for n in (*range(200), *range(SPARE_FIRST, SPARE_FIRST + SPARE_NAMES)):
            if frame[:8] == name(self.mac, n):
                return unseal_request(self.mac, frame, n)
        raise AssertionError("under no name that the centre knows")

    def answer(
        self, frame: bytes, stage: int = RECEIVED, time_ms: int = NOW_MS, next_s: int = 0, flags: int = 0
    ) -> bytes:
        """Return the centre's answer."""
        asked = self.asked(frame)
        receipt = bytes(17)
        if asked.event:
            receipt = receipts.value(self.mac_receipt, stage, asked.event, asked.counter)
        return seal_answer(self.mac, frame, Answer(receipt, time_ms, next_s, flags, asked.n + 1))


def test_a_press_is_received_and_felt_without_a_phone() -> None:
    """Held, taken, advertised; then the same press goes out sealed, and its receipt is felt."""
    world = World()
    world.centre = world.answer
    world.hold().wait(3_000)
    assert world.felt == [TAKEN, RECEIVED]
    asked = world.asked(world.wifi.sent[0])
    assert (asked.kind, asked.event, asked.counter) == (PRESS, ALARM, 1)
    assert ("receipt", RECEIVED, "wifi") in world.said


def test_bluetooth_goes_on_after_a_receipt_by_the_direct_path() -> None:
    """The phone brings the position: the code is on the air until a bridge has heard it."""
    world = World()
    world.centre = world.answer
    world.hold().wait(3_000)
    assert world.felt[-1] == RECEIVED
    adverts = len(world.ble.adverts)
    world.wait(30_000)
    assert world.ble.is_on_air
    assert len(world.ble.adverts) > adverts, "the slow adverts follow the fast ones"


def test_nothing_of_the_direct_path_is_loaded_where_it_is_off() -> None:
    """And the button sleeps as ever."""
    world = World("off")
    world.hold().wait(60_000)
    assert world.app.direct is None
    assert world.app.press.life.direct_ms == NEVER_MS


def test_a_wake_for_a_sign_of_life_does_not_load_it() -> None:
    """It would cost time and battery a hundred times a day."""
    world = World()
    world.wait(5_000)
    loads = world.loads
    world.wait(MINUTE_MS)
    world.start(slept=True)
    assert world.loads == loads
    assert world.app.direct is None


def test_no_carrier_begins_before_the_first_advert_and_the_taken_pulse() -> None:
    """Nothing between the hand and the air."""
    world = World()
    world.hold().wait(1_000)
    assert world.wifi.opened_ms[0] >= world.ble.adverts[-1]
    assert world.felt == [TAKEN]


def test_a_step_that_blocks_waits_for_the_motor_and_for_what_a_press_waits_for() -> None:
    """A long pulse would be another word."""
    world = World()
    world.wifi.blocks = True  # its step asserts that the motor is still
    world.centre = world.answer
    world.hold().wait(4_000)
    assert world.felt == [TAKEN, RECEIVED]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOMEM),
        RuntimeError("WiFi Out of Memory"),
        MemoryError(),
        ValueError("what"),
        AttributeError("none"),
    ],
)
@pytest.mark.parametrize("where", ["open", "step", "send", "receive"])
def test_whatever_a_carrier_raises_the_button_lives(where: str, error: Exception) -> None:
    """That carrier has failed; the next try comes, and Bluetooth never left the air."""
    world = World()
    world.wifi.raises[where] = error
    world.hold().wait(5_000)
    assert not world.wifi.is_on
    assert world.ble.is_on_air
    tries = len(world.wifi.opened_ms)
    del world.wifi.raises[where]
    world.centre = world.answer
    world.wait(60_000)
    assert len(world.wifi.opened_ms) > tries
    assert world.felt == [TAKEN, RECEIVED]
    if isinstance(error, (MemoryError, RuntimeError)):
        errors = [world.asked(frame).errors for frame in world.wifi.sent]
        assert NO_MEMORY in errors or where == "receive"


def test_a_direct_path_that_cannot_be_loaded_costs_the_alarm_nothing() -> None:
    """A file is damaged, or there is no memory for it: the press is on the air all the same."""
    world = World()
    world.load = lambda _: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    world.start().hold().wait(1_000)
    assert world.ble.is_on_air
    assert world.felt == [TAKEN]


def test_a_fault_in_the_direct_path_itself_switches_it_off_and_bluetooth_goes_on() -> None:
    """Its radios are off, it begins anew after the next start, and the loop lives."""
    world = World()
    world.hold().wait(500)
    assert world.wifi.is_on
    world.app.direct._direct.tick = lambda _: 1 / 0
    world.wait(20)
    assert world.app.direct is None
    assert not world.wifi.is_on
    assert world.wait(5_000).ble.is_on_air
    assert ("direct", "fault", "ZeroDivisionError('division by zero')") in world.said


# -- what comes back -------------------------------------------------------------------------------


def spoilt(world: World, how: str) -> Callable[[bytes], bytes | None]:
    """Return a centre that answers wrongly in one way."""
    old: list[bytes] = []

    def answer(frame: bytes) -> bytes:
        good = world.answer(frame)
        if how == "another session's":
            old.append(good)
            other = Request(PRESS, 1, ALARM, 0, 1, 99, 0, 0, 0, 255, 0, 0, 0)
            from wire.direct import seal_request

            return world.answer(seal_request(world.mac, other))
        if how == "wrong proof":
            asked = world.asked(frame)
            forged = bytes((RECEIVED,)) + bytes(16)
            return seal_answer(world.mac, frame, Answer(forged, NOW_MS, 0, 0, asked.n + 1))
        if how == "another press's proof":
            asked = world.asked(frame)
            other_press = receipts.value(world.mac_receipt, RECEIVED, asked.event, asked.counter + 1)
            return seal_answer(world.mac, frame, Answer(other_press, NOW_MS, 0, 0, asked.n + 1))
        if how == "stage 9":
            asked = world.asked(frame)
            nine = bytes((9,)) + bytes(16)
            return seal_answer(world.mac, frame, Answer(nine, NOW_MS, 0, 0, asked.n + 1))
        if how == "heard":
            return world.answer(frame, HEARD)
        return {"63 bytes": good[:-1], "65 bytes": good + b"x", "nothing": b"", "flipped": good[:-1] + b"x"}[
            how
        ]

    return answer


@pytest.mark.parametrize(
    "how",
    [
        "63 bytes",
        "65 bytes",
        "nothing",
        "flipped",
        "another session's",
        "wrong proof",
        "another press's proof",
        "stage 9",
        "heard",
    ],
)
def test_what_does_not_prove_a_receipt_is_never_felt_as_one(how: str) -> None:
    """Nothing is felt of it, the loop lives, and the true receipt is felt when it comes."""
    world = World()
    world.centre = spoilt(world, how)
    world.hold().wait(8_000)
    assert world.felt == [TAKEN]
    assert world.ble.is_on_air
    world.centre = world.answer
    world.wait(60_000)
    assert world.felt == [TAKEN, RECEIVED]


@pytest.mark.parametrize("next_s", [0, 65_535])
def test_whatever_the_centre_asks_for_polls_neither_race_nor_stop(next_s: int) -> None:
    """Of what is far too soon and far too late the button makes its own."""
    world = World()
    world.centre = lambda frame: world.answer(frame, next_s=next_s, flags=2)
    world.hold().wait(10 * MINUTE_MS)
    assert 2 <= len(world.wifi.sent) <= 40


def test_each_stage_is_felt_once_whichever_way_it_came() -> None:
    """RECEIVED by both, in either order."""
    for first_ble in (True, False):
        world = World()
        world.hold()
        if first_ble:
            world.app.do(world.app.press.receipt(RECEIVED, world.clock_ms))
            world.app.direct.brought(RECEIVED)
        world.centre = world.answer
        world.wait(5_000)
        world.app.do(world.app.press.receipt(RECEIVED, world.clock_ms))
        world.app.direct.brought(RECEIVED)
        world.wait(5_000)
        assert world.felt == [TAKEN, RECEIVED]


def test_an_answer_that_comes_after_the_next_send_still_counts() -> None:
    """A slow network answers the first when the second is on its way."""
    world = World()
    world.hold().wait(1_500)
    assert len(world.wifi.sent) >= 2
    world.wifi.answers.append(world.answer(world.wifi.sent[0]))
    world.wait(1_000)
    assert world.felt == [TAKEN, RECEIVED]


def test_the_same_press_is_the_same_bytes_at_every_send() -> None:
    """So that to send it again says nothing new to whoever listens."""
    world = World()
    world.hold().wait(5_000)
    assert len(world.wifi.sent) == 4
    assert len(set(world.wifi.sent)) == 1
    assert len(world.wifi.posted) == 1


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time_ms", "is_taken"), [(900_000_000_000, False), (NOW_MS, True), (1 << 42, False)]
)
def test_a_time_of_1999_or_2101_is_not_taken_and_the_receipt_beside_it_is(
    time_ms: int, is_taken: bool
) -> None:
    """The press is received, whatever the centre's clock shows."""
    world = World()
    world.centre = lambda frame: world.answer(frame, time_ms=time_ms)
    world.hold().wait(30_000)
    assert world.felt == [TAKEN, RECEIVED]
    flags = [world.asked(frame).flags & CLOCK_LOST for frame in world.wifi.sent]
    assert flags[0] == CLOCK_LOST
    assert (flags[-1] == 0) == is_taken


def test_a_clock_that_cannot_be_set_costs_no_receipt() -> None:
    """It is a day behind, and says no: the press is received, and nothing is counted by that day."""
    world = World()
    world.board.behind_ms = lambda _time_ms: 86_400_000  # type: ignore[attr-defined]

    def refuses(_time_ms: int) -> None:
        raise OSError(1)

    world.board.set_time = refuses  # type: ignore[attr-defined]
    world.centre = world.answer
    world.hold().wait(30_000)
    assert world.felt == [TAKEN, RECEIVED]
    assert world.app.press.life.ahead_ms == 0


# -- tests -----------------------------------------------------------------------------------------


def test_a_test_is_received_once_every_way_has_answered() -> None:
    """Bluetooth, Wi-Fi and LTE: then it is felt, once."""
    world = World("backup", ("wifi", "lte"))
    world.wait(5_000).clicks().wait(1_000)
    world.centre = world.answer
    world.wait(5_000)
    assert world.felt == [TAKEN]
    world.app.do(world.app.press.receipt(RECEIVED, world.clock_ms))
    world.wait(3_000)
    assert world.felt == [TAKEN, RECEIVED]
    assert world.app.press.life.event == 0


@pytest.mark.parametrize(("profile", "felt"), [("off", [TAKEN, RECEIVED]), ("backup", [TAKEN])])
def test_a_phone_that_answers_at_once_does_not_end_a_test_of_every_way(
    profile: str, felt: list[object]
) -> None:
    """Before the button has even read which ways it has; one that has none is answered with that."""
    world = World(profile, ("wifi",))
    world.wait(20_000).start(slept=True)
    loads = world.loads
    world.clicks()
    world.app.do(world.app.press.receipt(RECEIVED, world.clock_ms))
    assert world.loads == loads
    world.wait(5_000)
    assert world.felt == felt


def test_a_button_that_needs_no_phone_misses_none_in_a_test() -> None:
    """With `always` its own way is enough, or each TEST would end in *not confirmed*."""
    world = World("always", ("wifi",))
    world.centre = world.answer
    world.wait(5_000).clicks().wait(70_000)
    assert world.felt == [TAKEN, RECEIVED]
    assert world.app.press.life.event == 0


def test_a_test_that_one_way_did_not_answer_says_both_after_a_minute() -> None:
    """RECEIVED, and then *not confirmed*: something is wrong with one of them."""
    world = World("backup", ("wifi",))
    world.centre = world.answer
    world.wait(5_000).clicks().wait(59_000)
    assert world.felt == [TAKEN]
    world.wait(5_000)
    assert world.felt == [TAKEN, RECEIVED, NOT_CONFIRMED]
    assert world.app.press.life.event == 0
    assert world.asked(world.wifi.sent[0]).event == TEST


def test_a_test_that_no_way_answered_is_not_confirmed_and_may_still_be_received() -> None:
    """As without a direct path."""
    world = World("backup", ("wifi",))
    world.wait(5_000).clicks().wait(70_000)
    assert world.felt == [TAKEN, NOT_CONFIRMED]
    world.app.do(world.app.press.receipt(RECEIVED, world.clock_ms))
    assert world.felt == [TAKEN, NOT_CONFIRMED, RECEIVED]


# -- facts -----------------------------------------------------------------------------------------


def test_the_first_frame_tells_cell_and_access_points_together() -> None:
    """The modem's cell, and beside it the nine strongest of the scan."""
    world = World(names=("wifi", "lte"))
    world.wifi.facts = access_points([(bytes((2, 0, 0, 0, 0, n)), -40 - n) for n in range(10)])
    world.carrier("lte").facts = cell(1, 206, 1, 7, 12345, -90)
    world.hold().wait(1_000)
    facts = read_facts(world.asked(world.carrier("lte").sent[0]).facts)
    assert facts.cell is not None
    assert [point[1] for point in facts.access_points] == [-40 - n for n in range(9)]


# -- what outlasts a reset -------------------------------------------------------------------------


def test_a_start_that_finds_a_radio_on_leaves_bluetooth_alone_and_goes_slowly_then() -> None:
    """Brown-out in the moment that Wi-Fi draws its current: 15 s, then little power; and the centre knows."""
    world = World()
    world.wifi.raises["open"] = PowerCut
    with pytest.raises(PowerCut):
        world.hold().wait(5_000)
    del world.wifi.raises["open"]
    tries = len(world.wifi.opened_ms)
    world.start()
    start_ms = world.clock_ms
    world.centre = world.answer
    world.wait(20_000)
    assert world.wifi.opened_ms[tries] - start_ms >= 15_000
    assert world.wifi.was_slow
    assert world.asked(world.wifi.sent[0]).errors == RESET
    assert world.felt[-1] == RECEIVED


def test_a_wifi_that_browns_out_each_time_makes_no_loop_and_bluetooth_delivers() -> None:
    """Every start with it on ends the program: three of them, then ten minutes of rest, and so on."""
    world = World()
    world.wifi.raises["open"] = PowerCut
    resets = 0
    until_ms = world.clock_ms + 40 * MINUTE_MS
    world.is_down = True
    while world.clock_ms < until_ms:
        try:
            world.wait(2_100)
            world.is_down = False
        except PowerCut:
            resets += 1
            world.start()
    assert 3 <= resets <= 7
    assert world.ble.adverts
    assert world.app.press.life.press_counter == 1


def test_power_lost_with_a_press_open_counts_as_a_bad_start() -> None:
    """RTC memory is gone, and with it the marker: who knows what drew the last current."""
    world = World()
    world.hold().wait(1_000)
    world.rtc = Rtc()
    tries = len(world.wifi.opened_ms)
    world.start().wait(14_000)
    assert len(world.wifi.opened_ms) == tries
    world.wait(3_000)
    assert len(world.wifi.opened_ms) == tries + 1


def test_a_clean_session_leaves_no_marker() -> None:
    """After deep sleep nothing holds the next one up."""
    world = World()
    world.centre = world.answer
    world.hold().wait(10 * MINUTE_MS)
    opened = len(world.wifi.opened_ms)
    world.start(slept=True).wait(2 * MINUTE_MS)
    assert len(world.wifi.opened_ms) > opened
    assert not world.wifi.was_slow


def sessions(world: World) -> list[int]:
    return [world.asked(frame).n for frame in world.wifi.sent]


def test_a_name_is_on_flash_as_reserved_before_it_is_used_and_never_used_again_after_power_loss() -> None:
    """Also where power is lost again and again."""
    world = World()
    world.centre = world.answer
    seen: list[int] = []
    for _ in range(4):
        world.hold().wait(5_000)
        used = sessions(world)[len(seen) :]
        assert used
        assert not set(used) & set(seen)
        seen += used
        world.app.do(world.app.press.receipt(receipts.CLOSED, world.clock_ms))
        world.wait(1_000)
        world.rtc = Rtc()
        world.start()


@pytest.mark.parametrize("cut_in", range(12))
def test_power_cut_at_any_write_to_flash_leaves_the_same_press_under_the_same_counter(cut_in: int) -> None:
    """The press, the reserve of names, the stage: one press at the centre, and nothing felt without proof."""
    world = World()
    world.centre = world.answer
    world.is_down = True
    world.flash.cut_in = cut_in
    try:
        world.wait(2_100)
        world.is_down = False
        world.wait(20_000)
    except PowerCut:
        world.is_down = False
        world.rtc = Rtc()
        world.start()
        world.wait(60_000)
    presses = {(asked.event, asked.counter) for asked in map(world.asked, world.wifi.sent) if asked.event}
    assert presses <= {(ALARM, 1)}
    if world.app.press.life.press_counter:
        assert presses == {(ALARM, 1)}
        assert world.app.press.life.stage == RECEIVED
        assert world.felt.count(RECEIVED) <= 1


@pytest.mark.parametrize("after_ms", [0, 100, 500, 1_000, 2_000, 4_000, 9_000, 13_000, 25_000, 60_000])
@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("keeps_rtc", [True, False])
def test_power_cut_in_any_state_leaves_the_same_press_under_the_same_counter(
    after_ms: int, answers: bool, keeps_rtc: bool
) -> None:
    """ARMED, OPEN, ASK, HELD, REST: what was pressed is what the centre is told, and is felt."""
    world = World("backup")
    if answers:
        world.centre = world.answer
    world.hold().wait(after_ms)
    if not keeps_rtc:
        world.rtc = Rtc()
    world.start()
    world.centre = world.answer
    world.wait(90_000)
    presses = {(asked.event, asked.counter) for asked in map(world.asked, world.wifi.sent)}
    assert presses == {(ALARM, 1)}
    assert world.app.press.life.stage == RECEIVED
    assert world.felt.count(RECEIVED) == 1


# -- signs of life ---------------------------------------------------------------------------------


def test_a_check_in_has_the_form_of_a_press_and_names_none() -> None:
    """Once a day, from deep sleep, by itself."""
    world = World()
    world.centre = world.answer
    world.wait(11 * MINUTE_MS)
    asked = world.asked(world.wifi.sent[0])
    assert (asked.kind, asked.event, asked.counter) == (CHECKIN, 0, 0)
    assert len(world.wifi.sent) == 1
    assert not world.felt


# -- Wi-Fi that excludes Bluetooth -----------------------------------------------------------------


def test_where_wifi_excludes_bluetooth_they_take_turns_and_bluetooth_begins() -> None:
    """30 s alone; then either the one or the other, and 12 s of adverts between two tries."""
    Board.wifi_beside_ble = False
    try:
        world = World()
        world.comes_up = False
        world.hold()
        together = 0
        on_air: list[bool] = []
        for _ in range(6000):
            world.wait(20)
            together += world.wifi.is_on and world.ble.is_on_air
            on_air.append(world.ble.is_on_air)
    finally:
        Board.wifi_beside_ble = True
    assert together == 0
    assert all(on_air[: 29_000 // 40])
    assert len(world.wifi.opened_ms) >= 2
    assert world.wifi.opened_ms[0] >= 30_000
    assert sum(on_air) * 20 >= 50_000
