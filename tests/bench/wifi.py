"""The button's own Wi-Fi: how long a receipt takes beside a bare script, and what Bluetooth loses by it."""

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from sim.board.board import Board, BoardEvent
from sim.realtime.own_way import HOME_NAME, HOME_PMK, NUMBER, PORT
from sim.realtime.uplink import Traffic, Uplink
from sim.realtime.world import Button, World, WorldEvent
from tests.integration.conftest import said

FLOOR = Path(__file__).with_name("floor_wifi.py")
_LATENCY_MS = 100  # each way, where datagrams and HTTPS are compared
_UDP_IP_BYTES, _TCP_IP_BYTES = 28, 40  # headers of a packet
_CALM_S = 2.5  # longer than a scan, during which a hold is noticed late
_ROUND_TRIP_PACKETS = 19  # of an HTTPS exchange, as a capture of one shows


class _Echo(asyncio.DatagramProtocol):
    """Answer each datagram by one half as long."""

    def connection_made(self, transport: Any) -> None:
        """Keep it."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        self._transport.sendto(data[:64], addr)


async def _floor(world: World, like: Button, runs: int) -> list[float]:
    """How long a bare script takes in the same room, each time from nothing."""
    folder = world.home / "floor"
    folder.mkdir()
    (folder / FLOOR.name).write_text(FLOOR.read_text())
    plan = {"NAME": HOME_NAME, "KEY": HOME_PMK.hex(), "NUMBER": NUMBER, "PORT": PORT, "TIMES": runs}
    (folder / "plan.py").write_text("".join(f"{name} = {value!r}\n" for name, value in plan.items()))
    times: list[float] = []
    begun: list[float] = []

    def seen(event: BoardEvent) -> None:
        if event.kind == "serial":
            if event.data["line"] == "begin":
                begun.append(event.at_ms)
            elif event.data["line"] == "done":
                times.append(event.at_ms - begun[-1])

    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    board = Board(world.air, "floor", script=folder / FLOOR.name, heap_kib=None, on_event=seen)
    udp = echo.get_extra_info("sockname")
    uplink = Uplink(board.station, udp, udp, (NUMBER,), world.centre_home, folder)
    await uplink.open()
    board.station.around = like.board.station.around
    await board.power_on()
    await board.wait()
    await board.power_off()
    await uplink.close()
    echo.close()
    return times


async def _receipts(world: World, button: Button, runs: int) -> list[float]:
    """From when its radio goes on to the receipt; each press is closed, so that the next is its own."""
    times = []
    for _ in range(runs):
        since = len(world.events)
        await button.press()
        begun = await world.wait_for(said(button.name, "direct", "wifi", "on"), since=since)
        proven = await world.wait_for(said(button.name, "receipt", "1"), since=since)
        times.append(proven.at_ms - begun.at_ms)
        await world.operate(_incident(world.events[since:]), "close", reason="technical")
        closed = len(world.events)
        await world.wait_for(said(button.name, "receipt", "4"), since=since)
        await world.wait_for(lambda e: e.by == button.name and e.what == "sleep", since=closed)
    return times


def _incident(events: list[WorldEvent]) -> str:
    return next(str(e.data["incident"]) for e in events if e.what == "received")


async def _beside_floor(runs: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as home:
        async with World(Path(home)) as world:
            await world.add_centre()
            button = await world.add_button("button", "always", hold_ms=500)
            await world.wait_for(said("button", "sleep"))
            floor = await _floor(world, button, runs)
            return await _receipts(world, button, runs), floor


def _bytes(traffic: Traffic, *, https: bool) -> int:
    """Return the bytes on the line so far, with the headers of their packets."""
    if https:
        return traffic.connection_bytes + traffic.connections * _ROUND_TRIP_PACKETS * _TCP_IP_BYTES
    return traffic.datagram_bytes + traffic.datagrams * _UDP_IP_BYTES


async def _ways(runs: int, *, https: bool) -> tuple[list[float], float]:
    """Of one way alone, with the same delay: how long from when it is asked to the receipt; bytes of each."""
    with tempfile.TemporaryDirectory() as home:
        async with World(Path(home)) as world:
            await world.add_centre()
            button = await world.add_button("button", "always", hold_ms=500)
            assert button.way
            uplink = button.way.uplink
            uplink.latency_ms = _LATENCY_MS
            if https:
                button.way.begin("udp_blocked")
            await world.wait_for(said("button", "sleep"))
            times, sizes = [], []
            for _ in range(runs):
                since, before = len(world.events), _bytes(uplink.traffic, https=https)
                uplink.asked_ms = 0.0
                await button.press()
                proven = await world.wait_for(said("button", "receipt", "1"), since=since)
                times.append(proven.at_ms - uplink.asked_ms)
                sizes.append(_bytes(uplink.traffic, https=https) - before)
                await world.operate(_incident(world.events[since:]), "close", reason="technical")
                closed = len(world.events)
                await world.wait_for(said("button", "receipt", "4"), since=since)
                await world.wait_for(lambda e: e.by == "button" and e.what == "sleep", since=closed)
            return times, median(sizes)


async def _bluetooth(runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Of a button with the path off, and of one whose network swallows everything: advert, and receipt."""
    measured: dict[str, tuple[list[float], list[float]]] = {"off": ([], []), "always": ([], [])}
    with tempfile.TemporaryDirectory() as home:
        async with World(Path(home)) as world:
            await world.add_centre()
            for profile in measured:
                button = await world.add_button(profile, profile, hold_ms=500)
                await world.add_bridge(button.enrolment, f"bridge-{profile}")
                if button.way:
                    button.way.begin("uplink_dead")
                await world.wait_for(said(profile, "sleep"))
            for _ in range(runs):
                for profile, (adverts, receipts) in measured.items():
                    since = len(world.events)
                    await world.buttons[profile].press()
                    pressed = world.events[since]
                    proven = await world.wait_for(said(profile, "receipt", "1"), since=since)
                    advert = next(e for e in world.events[since:] if said(profile, "advert", "1")(e))
                    adverts.append(advert.at_ms - pressed.at_ms)
                    receipts.append(proven.at_ms - advert.at_ms)
                    await asyncio.sleep(_CALM_S)
    return measured


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    """Return the rows; where each run takes seconds there are fewer of them."""
    few = max(runs // 6, 1)
    ours, floor = asyncio.run(_beside_floor(few))
    udp, udp_bytes = asyncio.run(_ways(few, https=False))
    https, https_bytes = asyncio.run(_ways(few, https=True))
    bluetooth = asyncio.run(_bluetooth(runs))
    adverts = median(bluetooth["always"][0]) / median(bluetooth["off"][0])
    receipts = median(bluetooth["always"][1]) / median(bluetooth["off"][1])
    return [
        (
            "Wi-Fi on to RECEIVED, beside a bare script",
            f"{median(ours) / median(floor):.2f}x",
            "<= 1.2x, < 4 s",
            f"{median(ours):.0f} ms; floor {median(floor):.0f} ms (scan, join, one datagram each way)",
        ),
        (
            "a datagram beside the same over TLS, in time",
            f"1/{median(https) / median(udp):.1f}",
            "<= 1/3.5",
            f"{median(udp):.0f} and {median(https):.0f} ms, {_LATENCY_MS} ms each way",
        ),
        (
            "the same, in bytes",
            f"1/{https_bytes / udp_bytes:.1f}",
            "<= 1/8",
            f"{udp_bytes:.0f} and {https_bytes:.0f} bytes with the headers of IP, UDP and TCP",
        ),
        (
            "first advert with the direct path on, beside off",
            f"{adverts:.2f}x",
            "<= 1.02x",
            f"{median(bluetooth['always'][0]):.0f} and {median(bluetooth['off'][0]):.0f} ms after the press",
        ),
        (
            "Bluetooth's receipt while datagrams and TLS are swallowed",
            f"{receipts:.2f}x",
            "<= 1.2x",
            f"{median(bluetooth['always'][1]):.0f} and {median(bluetooth['off'][1]):.0f} ms after the advert",
        ),
    ]
