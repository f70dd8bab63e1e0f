"""The AT modem's parser and steps: recorded dialogues, a modem with faults, and any bytes at all."""

import heapq
import itertools
import random
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.board.modem import (
    BLOCK,
    BLOCK_BYTES_MAX,
    BLOCKS_MAX,
    BUSY,
    FAILED,
    LINE,
    LINE_BYTES_MAX,
    PROMPT,
    UP,
    WAKE,
    Modem,
    Parser,
    number,
)
from firmware.board.modems import gm02s, sim7080g
from sim.board import modem as world
from wire import direct

TABLES = {"sim7080g": sim7080g, "gm02s": gm02s}
MAKES = pytest.mark.parametrize("make", TABLES)
DIALOGUES = Path(__file__).with_name("dialogues")
CENTRE = ("203.0.113.5", 443)
OTHER = ("203.0.113.6", 443)
STEP_MS = 20  # as the carrier steps
FRAME = bytes(range(128))
NASTY = b"\r\nOK\r\n> \r\n+CADATAIND: 0\r\n+SQNSRECV: 1,9\r\nRDY\r\nERROR\r\n".ljust(64, b"\r")


class Handle:
    """What is still to be done at a moment."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.is_off = False

    def cancel(self) -> None:
        """Call it off."""
        self.is_off = True


class World:
    """A clock that jumps, a modem at it, and a centre that answers after a while."""

    def __init__(
        self, make: str, *, pin: str = "", addresses: tuple[tuple[str, int], ...] = (CENTRE,)
    ) -> None:
        self.now_ms = 0.0
        self._queue: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self.theirs = world.Modem(make, self, self.later)
        self.theirs.say = self._said
        self.ours = Modem(TABLES[make], "iot.example", pin, addresses)
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.got: list[bytes] = []
        self.written = b""
        self.answers: Callable[[bytes], list[bytes]] = lambda data: [data[:64]]
        self._key, self._baud = False, 0

    def later(self, seconds: float, act: Callable[[], None]) -> Handle:
        """Do `act` then."""
        handle = Handle(act)
        heapq.heappush(self._queue, (self.now_ms + seconds * 1000, next(self._numbers), handle))
        return handle

    def send(self, data: bytes, to: tuple[str, int], answer: Callable[[bytes], None]) -> None:
        """Be the network behind the modem."""
        self.sent.append((data, to))
        for one in self.answers(data):
            self.later(0.2, lambda one=one: answer(one))  # type: ignore[misc]

    def _said(self, data: bytes) -> None:
        self.ours.feed(data, round(self.now_ms))

    def _carry(self) -> None:
        ours = self.ours
        if ours.baud != self._baud:
            self._baud = ours.baud
            self.theirs.opened(ours.baud)
        if ours.key != self._key:
            self._key = ours.key
            self.theirs.pwrkey(ours.key)
        written = ours.take()
        self.written += written
        if written:
            self.theirs.hear(written)
        self.got += ours.blocks
        ours.blocks.clear()

    def run(self, until_ms: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, at most to `until_ms`."""
        while self.now_ms < until_ms:
            self._carry()
            if done():
                return
            next_ms = self._queue[0][0] if self._queue else until_ms
            self.now_ms = max(self.now_ms, min(self.now_ms + STEP_MS, next_ms, until_ms))
            if self._queue and self._queue[0][0] <= self.now_ms:
                handle = heapq.heappop(self._queue)[2]
                if not handle.is_off:
                    handle.act()
            self.ours.tick(round(self.now_ms))
        self._carry()

    def up(self, within_ms: float = 60_000) -> None:
        """Bring it up."""
        self.ours.open(round(self.now_ms))
        self.run(self.now_ms + within_ms, lambda: self.ours.state in (UP, FAILED))
        assert self.ours.state == UP, self.ours.error

    def exchange(self, frame: bytes = FRAME, within_ms: float = 60_000) -> None:
        """Send a frame, each 8 s again, until its answer has come."""
        self.got.clear()
        until_ms = self.now_ms + within_ms
        while self.now_ms < until_ms and frame[:64] not in self.got and self.ours.state != FAILED:
            self.ours.send(frame, round(self.now_ms))
            self.run(
                min(self.now_ms + 8000, until_ms),
                lambda: frame[:64] in self.got or self.ours.state == FAILED,
            )


# -- the parser


def test_a_payload_is_as_long_as_the_modem_says_whatever_is_in_it() -> None:
    """End markers, prompts and notices within it are bytes as all others."""
    parser = Parser(sim7080g.HEAD, True)
    said = b"\r\n+CARECV: %d," % len(NASTY) + NASTY + b"\r\n\r\nOK\r\n"
    assert parser.feed(said) == [(BLOCK, NASTY), (LINE, b"OK")]
    parser = Parser(gm02s.HEAD, False)
    said = b"\r\n+SQNSRECV: 1,%d\r\n" % len(NASTY) + NASTY + b"\r\nOK\r\n"
    assert parser.feed(said) == [(BLOCK, NASTY), (LINE, b"OK")]


@pytest.mark.parametrize("head", [b"+CARECV: 0,5,", b"+CARECV: 5,", b"+CARECV:  0, 5,"])
def test_a_payload_is_found_with_the_sockets_number_and_without(head: bytes) -> None:
    """The manual has it, and modems in the field leave it out."""
    assert Parser(sim7080g.HEAD, True).feed(b"\r\n" + head + b"a\r\nb,\r\nOK\r\n") == [
        (BLOCK, b"a\r\nb,"),
        (LINE, b"OK"),
    ]


@pytest.mark.parametrize("length", [b"-5", b"513", b"99999", b"0x10", b"", b"5 5 5x", b"\xff", b"4294967360"])
def test_a_length_that_cannot_be_is_no_length(length: bytes) -> None:
    """The line is a line, and what follows is read as lines again."""
    parser = Parser(sim7080g.HEAD, True)
    items = parser.feed(b"\r\n+CARECV: " + length + b",abc\r\nOK\r\n")
    assert items[-1] == (LINE, b"OK")
    assert BLOCK not in [kind for kind, _ in items]


def test_a_prompt_comes_without_the_end_of_a_line() -> None:
    """The modem waits for bytes, and says nothing more."""
    parser = Parser(sim7080g.HEAD, True)
    assert parser.feed(b"AT+CASEND=0,128\r\r\n> ") == [(LINE, b"AT+CASEND=0,128"), (PROMPT, b">")]
    assert parser.feed(b"\r\nOK\r\n") == [(LINE, b"OK")]


@pytest.mark.parametrize("make", TABLES)
def test_any_bytes_in_any_cuts_neither_raise_nor_pile_up(make: str) -> None:
    """Whatever a broken modem says, the parser holds little, and says the same however it is cut."""
    table = TABLES[make]
    chance = random.Random(make)
    words = [
        b"OK\r\n",
        b"\r",
        b"\n",
        b"> ",
        table.HEAD,
        b"0,",
        b"5,",
        b"1,64\r\n",
        b"-1,",
        b"9" * 40,
        b"AT",
        b",",
    ]
    for _ in range(200):
        said = b"".join(
            chance.choice(words) if chance.random() < 0.6 else chance.randbytes(chance.randint(1, 40))
            for _ in range(chance.randint(1, 60))
        )
        whole, cut = Parser(table.HEAD, table.INLINE), Parser(table.HEAD, table.INLINE)
        items, at = [], 0
        while at < len(said):
            size = chance.randint(1, 9)
            items += cut.feed(said[at : at + size])
            at += size
            assert len(cut._line) <= max(LINE_BYTES_MAX, BLOCK_BYTES_MAX)
        assert items == whole.feed(said)
        assert all(len(item) <= BLOCK_BYTES_MAX for _, item in items)


def test_a_line_without_an_end_is_cut_and_the_next_one_is_whole() -> None:
    """Noise on the line costs one line, not the memory."""
    parser = Parser(sim7080g.HEAD, True)
    assert parser.feed(b"x" * 100_000) == []
    assert parser.feed(b"\r\nOK\r\n") == [(LINE, b"x" * LINE_BYTES_MAX), (LINE, b"OK")]


@pytest.mark.parametrize(
    ("text", "scale", "value"),
    [
        ("52.520008", 10**7, 525200080),
        ("-0.5", 10**7, -5000000),
        ("+13.4", 10**7, 134000000),
        ("-98", 1, -98),
        ("1.25", 10, 12),
        ("", 1, None),
        ("-", 1, None),
        ("1e5", 1, None),
        ("9" * 30, 1, None),
        ("--5", 1, None),
        ("5.x", 10, None),
    ],
)
def test_a_number_is_read_without_floating_point(text: str, scale: int, value: int | None) -> None:
    """A degree has seven places, which a 32-bit float does not hold."""
    assert number(text, scale) == value


# -- dialogues


def dialogues() -> list[Path]:
    return sorted(DIALOGUES.glob("*.txt"))


@pytest.mark.parametrize("path", dialogues(), ids=lambda path: path.stem)
def test_a_dialogue_of_the_field_is_understood(path: Path) -> None:
    """Each file: what a real modem was seen to say, and what must come of it; its first lines say how."""
    table = TABLES[path.stem.split("-")[0]]
    parser = Parser(table.HEAD, table.INLINE)
    names = {LINE: "line", PROMPT: "prompt", BLOCK: "block"}
    read: dict[str, int | None] = {}
    seen: list[str] = []
    for row in path.read_text().splitlines():
        mark, _, rest = row.partition(" ")
        if mark == "<":
            for kind, item in parser.feed(rest.encode().decode("unicode_escape").encode("latin-1")):
                seen.append(f"{names[kind]} {item.decode('latin-1')}")
                if kind == LINE:
                    table.read(item, read)
        elif mark == "=":
            assert seen.pop(0) == rest.encode().decode("unicode_escape")
        elif mark == "!":
            name, value = rest.split()
            assert read[name] == int(value), name
        else:
            assert mark in ("#", ""), row
    assert seen == []


# -- the steps, against a modem


@MAKES
def test_a_frame_goes_out_and_its_answer_comes_back(make: str) -> None:
    """From a modem that is off, over its power key, to the centre and back."""
    world = World(make)
    world.up()
    world.exchange()
    assert world.sent == [(FRAME, CENTRE)]
    assert world.got == [FRAME[:64]]


@MAKES
def test_an_answer_may_hold_what_a_modem_says(make: str) -> None:
    """Its bytes are sealed, so any can come."""
    world = World(make)
    world.answers = lambda _: [NASTY]
    world.up()
    world.ours.send(FRAME, round(world.now_ms))
    world.run(world.now_ms + 5000)
    assert world.got == [NASTY]


@MAKES
def test_the_serving_cell_is_read(make: str) -> None:
    """It rides in the first frame."""
    world = World(make)
    world.up()
    read = world.ours.read
    expected = {"mcc": 262, "mnc": 1, "tac": 0x4E2A, "cell": 27447297, "kind": 1, "rsrp": -98}
    assert {name: read.get(name) for name in expected} == expected


FAULTY: dict[str, Callable[[world.Faults], None]] = {
    "echo that stays on": lambda faults: setattr(faults, "keeps_echo", True),
    "a number of the socket": lambda faults: setattr(faults, "has_mux", True),
    "half lines": lambda faults: setattr(faults, "half_lines", True),
    "a notice inside every answer": lambda faults: setattr(
        faults, "urc_inside", b'*PSNWID: "262","01", "x", 0'
    ),
    "no prompt": lambda faults: setattr(faults, "no_prompt", 1),
    "nobody says that something came": lambda faults: setattr(faults, "loses_indication", 5),
    "a restart before the answer": lambda faults: setattr(faults, "restarts_after_send", 1),
    "a restart within the answer": lambda faults: setattr(faults, "restarts_in_answer", 1),
    "a brown-out as it sends": lambda faults: setattr(faults, "browns_out", 1),
    "roaming": lambda faults: setattr(faults, "coverage", world.ROAMING),
}


@MAKES
@pytest.mark.parametrize("fault", FAULTY)
def test_an_answer_comes_in_spite_of(make: str, fault: str) -> None:
    """What is seen in the field costs time, and not the frame."""
    world = World(make)
    FAULTY[fault](world.theirs.faults)
    world.up()
    world.exchange()
    assert FRAME[:64] in world.got
    assert {data for data, _ in world.sent} == {FRAME}


@MAKES
def test_a_modem_that_restarts_at_another_rate_is_found(make: str) -> None:
    """It says noise until the rates are tried."""
    world = World(make)
    world.theirs.faults.rate_after_restart = 9600
    world.theirs.faults.restarts_after_send = 1
    world.up()
    world.exchange()
    assert world.got == [FRAME[:64]]
    assert world.ours.baud == 9600


@MAKES
def test_all_that_has_come_is_fetched(make: str) -> None:
    """One notice may stand for several datagrams; what is none of the centre's is dropped by itself."""
    world = World(make)
    world.answers = lambda data: [data[:64], data[64:]]
    world.up()
    world.ours.send(FRAME, round(world.now_ms))
    world.run(world.now_ms + 10_000)
    assert world.got == [FRAME[:64], FRAME[64:]]


@MAKES
def test_answers_that_nobody_fetches_do_not_pile_up(make: str) -> None:
    """A flood costs four answers' worth of memory."""
    modem = Modem(TABLES[make], "", "", [CENTRE])
    modem.open(0)
    for _ in range(50):
        modem._block(bytes(64))
    assert len(modem.blocks) == BLOCKS_MAX


@MAKES
@pytest.mark.parametrize("length", [-1, 0, 513, 10**9])
def test_a_length_beyond_reason_costs_one_answer(make: str, length: int) -> None:
    """The modem goes on being spoken to, and the next exchange is whole."""
    world = World(make)
    world.up()
    world.theirs.faults.length = length
    world.exchange(within_ms=8000)
    world.theirs.faults.length = None
    world.exchange()
    assert FRAME[:64] in world.got


@MAKES
def test_a_frame_that_is_not_64_bytes_is_none(make: str) -> None:
    """What does not fit is not handed on."""
    world = World(make)
    world.answers = lambda data: [data[:63]]
    world.up()
    world.exchange(within_ms=30_000)
    assert world.got == []
    world.answers = lambda data: [data[:64]]
    world.exchange()
    assert world.got == [FRAME[:64]]


@MAKES
def test_a_cell_that_was_lost_for_a_while_costs_no_restart(make: str) -> None:
    """The network ends the context, and the socket with it; both come back with the cell."""
    world = World(make)
    world.up()
    world.exchange()
    world.theirs.cover(world_state("SEARCHING"))
    world.ours.send(FRAME, round(world.now_ms))
    world.run(world.now_ms + 5000)
    world.theirs.cover(world_state("HOME"))
    world.exchange()
    assert FRAME[:64] in world.got
    assert world.theirs.starts == 1


@MAKES
def test_the_next_address_is_tried_where_no_socket_opens(make: str) -> None:
    """Of several addresses of the centre one may be unreachable for this network."""
    world = World(make, addresses=(CENTRE, OTHER))
    world.up()
    world.theirs.faults.restarts_after_send = 1
    world.exchange()
    assert world.got == [FRAME[:64]]


# -- SIM


@MAKES
def test_the_pin_is_entered_where_it_is_asked_for(make: str) -> None:
    """And the SIM's tries are what they were."""
    world = World(make, pin="2468")
    world.theirs.sim = sim("2468")
    world.up()
    assert world.theirs.sim.entered == ["2468"]
    assert world.theirs.sim.tries == 3


@MAKES
def test_a_wrong_pin_costs_one_try_for_ever(make: str) -> None:
    """However often it is begun again, with all memory lost in between, the SIM is not blocked."""
    card = sim("2468")
    for _ in range(5):
        world = World(make, pin="1111")
        world.theirs.sim = card
        world.ours.open(0)
        world.run(60_000, lambda world=world: world.ours.state == FAILED)  # type: ignore[misc]
        assert (world.ours.state, world.ours.error) == (FAILED, direct.PIN)
    assert card.entered == ["1111"]
    assert card.tries == 2


@MAKES
def test_the_pin_is_said_to_be_spent_before_it_is_written(make: str) -> None:
    """Power may fail in between, and it must be known afterwards."""
    world = World(make, pin="1111")
    world.theirs.sim = sim("2468")
    world.ours.open(0)
    world.run(60_000, lambda: world.ours.pin_tried)
    assert world.theirs.sim.entered == []


@MAKES
def test_a_right_pin_is_entered_again_though_the_power_failed_the_last_time(make: str) -> None:
    """What was remembered then says only that it may be wrong, and the SIM that it was not."""
    world = World(make, pin="2468")
    world.theirs.sim = sim("2468")
    world.ours.open(0)
    world.ours.pin_tried = True
    world.run(60_000, lambda: world.ours.state in (UP, FAILED))
    assert world.ours.state == UP
    assert not world.ours.pin_tried


@MAKES
@pytest.mark.parametrize("pin", ["2468", "1111"])
def test_a_sim_that_does_not_say_how_many_tries_are_left_is_tried_once(make: str, pin: str) -> None:
    """Then what is remembered counts, and nothing else."""
    card = sim("2468")
    spent = False
    for _ in range(3):
        world = World(make, pin=pin)
        world.theirs.faults.hides_tries = True
        world.theirs.sim = card
        world.ours.open(0)
        world.ours.pin_tried = spent
        world.run(60_000, lambda world=world: world.ours.state in (UP, FAILED))  # type: ignore[misc]
        spent = world.ours.pin_tried
    assert card.entered == (["1111"] if pin == "1111" else ["2468"] * 3)
    assert card.tries == (2 if pin == "1111" else 3)


@MAKES
@pytest.mark.parametrize(
    ("card", "pin", "error"),
    [
        (world.Sim(is_there=False), "1234", direct.SIM),
        (world.Sim(pin="2468"), "", direct.SIM),
        (world.Sim(pin="2468", tries=0), "2468", direct.SIM),
        (world.Sim(pin="2468", tries=1), "2468", direct.PIN),
    ],
    ids=["none", "no PIN is known", "blocked", "a single try is left"],
)
def test_a_sim_that_cannot_be_used_says_so(make: str, card: world.Sim, pin: str, error: int) -> None:
    """Nothing is tried on it, and the modem does not search on."""
    world = World(make, pin=pin)
    world.theirs.sim = card
    world.ours.open(0)
    world.run(60_000, lambda: world.ours.state == FAILED)
    assert world.ours.error == error
    assert card.entered == []
    off = TABLES[make].POWER_OFF
    assert off in world.theirs.commands


def sim(pin: str) -> world.Sim:
    return world.Sim(pin=pin)


# -- network


@MAKES
@pytest.mark.parametrize(
    ("coverage", "error"), [(world.SEARCHING, direct.NOT_SEEN), (world.DENIED, direct.REFUSED)]
)
def test_a_network_that_is_not_there_or_refuses_is_told_apart(make: str, coverage: int, error: int) -> None:
    """Who looks after the button must know whether the place or the SIM is to blame."""
    world = World(make)
    world.theirs.faults.coverage = coverage
    world.ours.open(0)
    world.run(300_000, lambda: world.ours.state == FAILED)
    assert (world.ours.state, world.ours.error) == (FAILED, error)


@MAKES
def test_a_cell_that_comes_back_is_used(make: str) -> None:
    """It looks on for as long as it is let."""
    world = World(make)
    world.theirs.faults.coverage = world_searching = world_state("SEARCHING")
    world.ours.open(0)
    world.run(40_000)
    assert world.ours.state == BUSY
    assert world.theirs.faults.coverage == world_searching
    world.theirs.cover(world_state("HOME"))
    world.run(world.now_ms + 20_000, lambda: world.ours.state == UP)
    assert world.ours.state == UP


def world_state(name: str) -> int:
    return int(getattr(world, name))


# -- power


@MAKES
def test_a_modem_that_says_nothing_fails_after_three_tries_of_its_key(make: str) -> None:
    """The other ways must have their turn; it does not go on for ever."""
    world = World(make)
    world.theirs.faults.is_silent = True
    world.ours.open(0)
    world.run(120_000, lambda: world.ours.state == FAILED)
    assert (world.ours.state, world.ours.error) == (FAILED, direct.RADIO)
    assert not world.ours.key


@MAKES
def test_noise_without_end_fails_too(make: str) -> None:
    """Neither a loop nor memory without bounds comes of it."""
    world = World(make)
    world.theirs.faults.is_garbled = True
    world.ours.open(0)
    world.run(300_000, lambda: world.ours.state == FAILED)
    assert world.ours.state == FAILED


@MAKES
def test_a_modem_that_restarts_for_ever_fails(make: str) -> None:
    """A battery too weak for it must not be drained by trying."""
    world = World(make)
    world.theirs.faults.restarts_after_send = 1000
    world.up()
    world.exchange(within_ms=600_000)
    assert (world.ours.state, world.ours.error) == (FAILED, direct.RESET)


@MAKES
@pytest.mark.parametrize("wakes", ["", "late", "alone"])
def test_a_modem_in_psm_is_woken(make: str, wakes: str) -> None:
    """And its context, which looks up and is not, is brought up again."""
    world = World(make)
    world.theirs.faults.psm_wakes = wakes
    world.up()
    world.exchange()
    world.ours.close()
    world.run(world.now_ms + 40_000)
    began_ms = world.now_ms
    world.up()
    world.exchange()
    assert world.got == [FRAME[:64]]
    assert world.now_ms - began_ms < 30_000


@MAKES
def test_a_modem_that_psm_does_not_let_go_fails(make: str) -> None:
    """Its key does nothing any more, and that is said."""
    world = World(make)
    world.theirs.faults.psm_wakes = "never"
    world.theirs.power = "psm"
    world.ours.open(0)
    world.run(120_000, lambda: world.ours.state == FAILED)
    assert world.ours.error == direct.RADIO


@MAKES
def test_a_modem_that_found_no_network_is_switched_off_as_it_is_let_go(make: str) -> None:
    """It would search on at a hundred times the current of sleep."""
    world = World(make)
    world.theirs.faults.coverage = world_state("SEARCHING")
    world.ours.open(0)
    world.run(30_000)
    world.ours.close()
    world.run(world.now_ms + 100)
    assert world.theirs.commands[-1] == TABLES[make].POWER_OFF


# -- where it is


@MAKES
def test_a_fix_is_taken_with_lte_off_and_lte_comes_back(make: str) -> None:
    """Both at once crash the one modem and give no fix on the other."""
    world = World(make)
    world.up()
    starts = world.theirs.starts
    world.ours.locate(round(world.now_ms))
    world.run(world.now_ms + 60_000, lambda: "lat_e7" in world.ours.read and world.ours.state == UP)
    assert (world.ours.read["lat_e7"], world.ours.read["lon_e7"]) == (525219000, 134132000)
    assert world.theirs.starts == starts
    world.exchange()
    assert world.got == [FRAME[:64]]


@MAKES
def test_no_sky_costs_a_minute_and_lte_comes_back(make: str) -> None:
    """A place without satellites must not end the way to the centre."""
    world = World(make)
    world.theirs.place = None
    world.up()
    world.ours.locate(round(world.now_ms))
    world.run(world.now_ms + 90_000, lambda: world.now_ms > 70_000 and world.ours.state == UP)
    assert "lat_e7" not in world.ours.read
    world.exchange()
    assert world.got == [FRAME[:64]]


@MAKES
def test_a_fix_gives_way_to_a_press(make: str) -> None:
    """Whoever presses again does not wait for satellites."""
    world = World(make)
    world.theirs.place = None
    world.up()
    world.ours.locate(round(world.now_ms))
    world.run(world.now_ms + 5000)
    began_ms = world.now_ms
    world.ours.open(round(began_ms))
    world.exchange()
    assert world.got == [FRAME[:64]]
    assert world.now_ms - began_ms < 15_000


# -- bad input


@MAKES
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\nERROR\r\n",
        b"\r\n+CME ERROR: 10\r\n",
        b"AT\r\r\nERROR\r\n",
        b"\x00\xff\xfe" * 30,
        b"\r\nOK\r\n",
        b"> > > ",
        b"\r\n+CPIN: \r\n+CEREG: \r\n+CPSI: LTE\r\n+COPS: \r\n+CESQ: \r\nOK\r\n",
        b"\r\n+CEREG: 0,x\r\n+CPIN: READYNOT\r\nOK\r\n",
        b"\r\n+CARECV: 512,\r\n",
        b"\r\n+SQNSRECV: 1,512\r\n",
    ],
)
def test_a_modem_that_always_says_the_same_is_given_up(make: str, said: bytes) -> None:
    """Whatever it is: no exception, no loop, an end with a reason."""
    modem = Modem(TABLES[make], "iot.example", "1234", [CENTRE])
    modem.open(0)
    now_ms, writes = 0, 0
    while modem.state != FAILED and now_ms < 900_000:
        now_ms += 100
        if modem.take():
            writes += 1
            modem.feed(said, now_ms)
        modem.tick(now_ms)
    assert modem.state == FAILED
    assert modem.error
    assert writes < 2000


@MAKES
def test_any_words_in_any_order_never_raise(make: str) -> None:
    """Words of modems, drawn: the loop lives, and memory is bounded."""
    chance = random.Random(f"words {make}")
    words = [
        *(
            b"\r\nOK\r\n",
            b"\r\nERROR\r\n",
            b"> ",
            b"\r\nRDY\r\n",
            b"\r\n+SYSSTART\r\n",
            b"\r\nNORMAL POWER DOWN\r\n",
        ),
        *(
            b"\r\n+CPIN: READY\r\n",
            b"\r\n+CPIN: SIM PIN\r\n",
            b'\r\n+CEREG: 2,1,"1","2",7\r\n',
            b"+CEREG: 3\r\n",
        ),
        *(
            b"\r\n+CAOPEN: 0,0\r\n",
            b"\r\n+CARECV: 0,64,",
            b"\r\n+SQNSRECV: 1,64\r\n",
            b"\r\n+CADATAIND: 0\r\n",
        ),
        *(
            b"\r\n+APP PDP: 0,ACTIVE\r\n",
            b"\r\n+SPIC: 3,10,3,10\r\n",
            b"\r\n+SQNSRING: 1\r\n",
            b"\r\n+CASTATE: 0,0\r\n",
        ),
    ]
    for _ in range(60):
        modem = Modem(TABLES[make], "iot.example", "1234", [CENTRE, OTHER])
        modem.open(0)
        now_ms = 0
        for _ in range(400):
            now_ms += chance.choice((1, 20, 400, 3000))
            said = chance.choice(words) if chance.random() < 0.8 else chance.randbytes(chance.randint(1, 90))
            modem.feed(said[: chance.randint(1, len(said))], now_ms)
            act = chance.random()
            if act < 0.1:
                modem.send(FRAME, now_ms)
            elif act < 0.12:
                modem.locate(now_ms)
            elif act < 0.16:
                modem.open(now_ms)
            elif act < 0.17:
                modem.close()
            modem.tick(now_ms)
            assert len(modem.take()) < 2000
            assert len(modem.blocks) <= BLOCKS_MAX
            assert modem.state in (0, WAKE, BUSY, UP, FAILED)


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_table_is_whole(table: types.ModuleType) -> None:
    """Each step has five parts: a deadline, a reason, and what it waits for."""
    for name in ("START", "PIN", "NET", "REDO", "SEND", "RECV", "FIX"):
        for row in getattr(table, name).strip().splitlines():
            command, wanted, wait_s, again_s, error = (part.strip() for part in row.split("|"))
            assert command[0] in "+E"
            assert 0 < int(wait_s) <= 180
            assert int(again_s) < int(wait_s)
            assert not error or hasattr(direct, error)
            assert not wanted or wanted[0] in "+>" or hasattr(Modem, f"_{wanted}")


@MAKES
def test_the_next_address_is_tried_where_the_first_is_silent(make: str) -> None:
    """A datagram to nowhere looks the same as one on its way."""
    world = World(make, addresses=(CENTRE, OTHER))
    world.answers = lambda _: []
    world.up()
    world.exchange(within_ms=40_000)
    assert [to for _, to in world.sent][:3] == [CENTRE, CENTRE, OTHER]
