"""The button's LTE carrier on the real interpreter: the modem is simulated, its datagrams are real."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sim.board import modem as modems
from sim.board.board import Board, BoardEvent
from sim.board.modem import MAKES, Modem
from sim.faults import LTE
from sim.judge.events import WorldEvent
from sim.judge.vibrations import RECEIVED, TAKEN, VibrationReader
from sim.radio.air import Air, Medium
from sim.realtime.cell import Cell
from sim.realtime.own_way import OwnWay
from sim.realtime.world import Button, World
from wire import direct, direct_centre
from wire.keys import InvalidMessage, Mac, derive

ROOT_KEY = bytes(range(32))
MAC = Mac(derive(ROOT_KEY, "direct", 0))
NOW_MS = 1_800_000_000_000
CARRIER = Path(__file__).parents[1] / "vm" / "modem_carrier.py"
CELL_FACTS = direct.cell(1, 262, 1, 0x4E2A, 27447297, -98).hex()
ALL_MAKES = pytest.mark.parametrize("make", MAKES)


def sealed(frame: bytes) -> list[bytes]:
    """Answer as the centre does."""
    try:
        direct_centre.unseal_request(MAC, frame, 1)
    except InvalidMessage:
        return []
    return [direct_centre.seal_answer(MAC, frame, direct.Answer(bytes(17), NOW_MS, 0, 0, 2))]


class Udp(asyncio.DatagramProtocol):
    """The centre's port for datagrams."""

    place: "Place"

    def connection_made(self, transport: Any) -> None:
        """Keep it for the answers."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        self.place.asked.append(data)
        for answer in self.place.answers(data):
            self._transport.sendto(answer, addr)


@dataclass
class Place:
    """A board with a modem, a cell, and a centre far away."""

    folder: Path
    board: Board
    modem: Modem
    asked: list[bytes] = field(default_factory=list)
    answers: Callable[[bytes], list[bytes]] = sealed
    lines: list[str] = field(default_factory=list)

    async def run(self, *sessions: dict[str, Any], pin: str = "", for_ms: int = 60_000) -> list[str]:
        """Let the carrier do this; return what it says."""
        plan = {
            "modem": self.modem.make,
            "pin": pin,
            "addresses": [["203.0.113.5", 443]],
            "root": ROOT_KEY.hex(),
            "for_ms": for_ms,
            "sessions": sessions or ({},),
        }
        text = f"PLAN = {plan!r}\nROOT = {str(Path(__file__).parents[2])!r}\n"
        (self.folder / "plan.py").write_text(text)
        await self.board.power_on()
        code = await self.board.wait()
        assert code == 0, self.lines
        assert self.lines[-1] == "done", self.lines
        return self.lines[:-1]


@pytest.fixture
async def place(tmp_path: Path, make: str) -> AsyncIterator[Place]:
    """Wire a modem to a board."""
    air = Air(Medium(0, 0.0))
    (tmp_path / "carrier.py").write_text(CARRIER.read_text())

    def seen(event: BoardEvent) -> None:
        if event.kind == "serial":
            made.lines.append(event.data["line"])

    board = Board(air, "button", script=tmp_path / "carrier.py", heap_kib=None, on_event=seen)
    loop = asyncio.get_running_loop()
    transport, udp = await loop.create_datagram_endpoint(Udp, local_addr=("127.0.0.1", 0))
    cell = Cell(transport.get_extra_info("sockname"))
    modem = Modem(make, cell)
    modem.times = modems.Times(boot=0.4, register=0.3, activate=0.1, psm=4.0, fix=1.0)
    board.attach_modem(modem)
    made = udp.place = Place(tmp_path, board, modem)
    try:
        yield made
    finally:
        await board.power_off()
        transport.close()
        await cell.close()
        await air.close()


@ALL_MAKES
async def test_a_press_goes_through_the_modem_to_the_centre_and_its_answer_back(place: Place) -> None:
    """From a modem that is off; the frame says which cell, and how strong."""
    lines = await place.run()
    assert lines == [f"up 0 -98 {CELL_FACTS}", "answer 2"]
    asked = direct_centre.unseal_request(MAC, place.asked[0], 1)
    assert (asked.kind, asked.carrier, asked.signal) == (direct.PRESS, direct.LTE, -98)
    assert asked.facts.hex().startswith(CELL_FACTS)


@ALL_MAKES
@pytest.mark.slow
async def test_a_wrong_pin_is_entered_once_and_the_sim_keeps_two_tries(place: Place) -> None:
    """Its failure is told apart from all others, and what was tried is remembered before it is sent."""
    place.modem.sim = modems.Sim(pin="2468")
    lines = await place.run({}, {}, {}, pin="1111")
    assert [line.split()[:2] for line in lines if not line.startswith("spent")] == [
        ["failed", str(direct.PIN)]
    ] * 3
    assert lines[0] == "spent True"
    assert (place.modem.sim.entered, place.modem.sim.tries) == (["1111"], 2)


FAULTS: dict[str, Callable[[modems.Faults], None]] = {
    "echo": lambda faults: setattr(faults, "keeps_echo", True),
    "number": lambda faults: setattr(faults, "has_mux", True),
    "half-lines": lambda faults: setattr(faults, "half_lines", True),
    "notices": lambda faults: setattr(faults, "urc_inside", b'*PSNWID: "262","01"'),
    "no-prompt": lambda faults: setattr(faults, "no_prompt", 1),
    "no-indication": lambda faults: setattr(faults, "loses_indication", 3),
    "restart-after-send": lambda faults: setattr(faults, "restarts_after_send", 1),
    "restart-in-answer": lambda faults: setattr(faults, "restarts_in_answer", 1),
    "brown-out": lambda faults: setattr(faults, "browns_out", 1),
}


@ALL_MAKES
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_answer_comes_in_spite_of(place: Place, fault: str) -> None:
    """What is seen in the field costs time, and not the press."""
    FAULTS[fault](place.modem.faults)
    lines = await place.run()
    assert lines[-1] == "answer 2"
    assert len(set(place.asked)) == 1


@ALL_MAKES
@pytest.mark.slow
async def test_a_modem_that_comes_back_at_another_rate_is_found(place: Place) -> None:
    """Nobody set it back."""
    place.modem.faults.rate_after_restart = 9600
    place.modem.faults.restarts_after_send = 1
    assert (await place.run())[-1] == "answer 2"


@ALL_MAKES
@pytest.mark.slow
@pytest.mark.parametrize("wakes", ["", "late", "alone"])
async def test_a_modem_that_slept_is_woken(place: Place, wakes: str) -> None:
    """PSM took its sockets, and its UART."""
    place.modem.faults.psm_wakes = wakes
    lines = await place.run({"rests_ms": 6000}, {})
    assert [line for line in lines if line.startswith("answer")] == ["answer 2"] * 2
    assert place.modem.starts >= 2


@ALL_MAKES
@pytest.mark.slow
async def test_a_place_is_found_and_lte_comes_back(place: Place) -> None:
    """Both share one receiver."""
    lines = await place.run({"locates": True})
    fix = next(line.split()[1] for line in lines if line.startswith("located"))
    assert fix.startswith(CELL_FACTS)
    assert direct.gnss(525219000, 134132000, 12, 0).hex()[:20] in fix
    assert lines[-1] == "answer 2"


@ALL_MAKES
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "value", "error"),
    [
        ("is_silent", True, direct.RADIO),
        ("is_garbled", True, direct.RADIO),
        ("coverage", modems.DENIED, direct.REFUSED),
    ],
)
async def test_a_modem_that_is_no_use_fails_and_says_why(
    place: Place, fault: str, value: object, error: int
) -> None:
    """The program lives, and goes other ways."""
    setattr(place.modem.faults, fault, value)
    lines = await place.run()
    assert lines == [f"failed {error} 0 "]
    assert place.asked == []


async def alone(world: World, make: str, pin: str = "", heap_kib: int = 0) -> Button:
    """Add a button with a modem and no Wi-Fi; no phone is there, or it is off."""
    return await world.add_button("button", "always", (LTE,), (make, pin), heap_kib=heap_kib, hold_ms=500)


def way_of(button: Button) -> OwnWay:
    assert button.way is not None
    return button.way


def modem_of(button: Button) -> Modem:
    modem = way_of(button).modem
    assert modem is not None
    return modem


def felt(world: World, since: int) -> list[object]:
    """Return the patterns that a hand has felt."""
    reader = VibrationReader()
    events = [event for event in world.events[since:] if event.by == "button"]
    seen = [vibration for event in events if (vibration := reader.take(event))]
    last = reader.end()
    return [vibration.pattern for vibration in [*seen, *([last] if last else [])]]


@pytest.mark.parametrize("make", [MAKES[0], pytest.param(MAKES[1], marks=pytest.mark.slow)])
async def test_a_press_is_received_and_felt_with_the_phone_off(world: World, make: str) -> None:
    """From the hand through the modem to the real centre, and the proof back to the hand."""
    button = await alone(world, make)
    since = len(world.events)
    await button.press()
    await world.wait_for(
        lambda e: e.by == "button" and e.what == "receipt" and e.data["args"] == ["1", "lte"], since=since
    )
    await world.wait_for(lambda e: e.by == "button" and e.what == "motor" and not e.data["on"], since=since)
    await asyncio.sleep(3)
    assert felt(world, since)[:2] == [TAKEN, RECEIVED]


def tells_received(e: WorldEvent) -> bool:
    """Return whether the button has proof that the centre has it, by LTE."""
    return e.by == "button" and e.what == "receipt" and e.data["args"] == ["1", "lte"]


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES)
async def test_a_modem_that_restarts_before_the_answer_costs_seconds(world: World, make: str) -> None:
    """Its socket is gone, and with it the answer; the same frame again is the same press."""
    button = await alone(world, make)
    modem_of(button).faults.restarts_after_send = 1
    since = len(world.events)
    await button.press()
    await world.wait_for(tells_received, since=since)
    incidents = {e.data["incident"] for e in world.events if e.what == "received"}
    assert len(incidents) == 1
    assert modem_of(button).starts == 2


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES)
async def test_a_wrong_pin_costs_one_try_and_bluetooth_brings_the_press(world: World, make: str) -> None:
    """The modem is given up, the phone is not: RECEIVED is felt, and the SIM has two tries left."""
    button = await alone(world, make, pin="1111")
    modem_of(button).sim = sim = modems.Sim(pin="2468")
    await world.add_bridge(button.enrolment)
    since = len(world.events)
    await button.press()
    await world.wait_for(
        lambda e: e.by == "button" and e.what == "receipt" and e.data["args"] == ["1"], since=since
    )
    await world.wait_for(lambda e: e.by == "button" and e.what == "direct" and "off" in e.data["args"])
    await asyncio.sleep(3)
    assert RECEIVED in felt(world, since)
    assert sim.tries >= 2
    assert len(sim.entered) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES)
async def test_a_cell_that_is_gone_for_a_while_is_found_again(world: World, make: str) -> None:
    """In a lift, in a cellar: the press goes out as soon as there is a cell, and nothing is felt before."""
    button = await alone(world, make)
    way_of(button).begin("cell_gone")
    since = len(world.events)
    await button.press()
    await asyncio.sleep(15)
    assert not any(tells_received(e) for e in world.events)
    way_of(button).end("cell_gone")
    await world.wait_for(tells_received, since=since)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES[:1])
@pytest.mark.parametrize("heap_kib", [96, 128])
async def test_where_there_is_no_memory_for_it_bluetooth_loses_nothing(
    world: World, make: str, heap_kib: int
) -> None:
    """What was loaded of the direct path gives its memory back; no start anew, and RECEIVED is felt."""
    button = await alone(world, make, heap_kib=heap_kib)
    await world.add_bridge(button.enrolment)
    since = len(world.events)
    await button.press()
    await world.wait_for(
        lambda e: e.by == "button" and e.what == "receipt" and e.data["args"] == ["1"], since=since
    )
    await asyncio.sleep(3)
    assert felt(world, since)[:2] == [TAKEN, RECEIVED]
    said = [e for e in world.events if e.by == "button"]
    assert any(e.what == "direct" and "fault" in e.data["args"] for e in said)
    assert not any(e.what in ("reset", "fault") for e in said)
