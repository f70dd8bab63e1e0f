"""A button's own ways to the centre: its home's Wi-Fi, and a modem on its UART, with what may ail them."""

import asyncio
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from littlefs import LittleFS

from firmware.board.direct_config import NETWORKS_FILE
from firmware.flash.build import BLOCK_BYTES, BLOCK_COUNT
from firmware.flash.direct import Direct, certificate_of
from firmware.flash.networks import file_of, pmk_of
from sim.board import wifi
from sim.board.board import Board
from sim.board.modem import DENIED, HOME, SEARCHING, Modem
from sim.board.wifi import AccessPoint
from sim.faults import LTE, PASSPHRASE, RTC_KEPT, WIFI
from sim.realtime.cell import Cell
from sim.realtime.uplink import NAT_S, Uplink
from wire.direct import network_id
from wire.keys import Mac, derive

NUMBER, PORT = "203.0.113.5", 443  # of the centre; sockets and modems are steered to where it listens
_HOST = "localhost"  # in the certificate that a centre makes for itself
HOME_NAME, _PASSPHRASE = b"Chez nous", "no passphrase of anybody's"
HOME_PMK = bytes.fromhex(pmk_of(HOME_NAME, _PASSPHRASE))
MAKE = "sim7080g"
_NEAR, _FAR, _NEARER = -48, -80, -25  # dBm
_NO_KIB = 40  # of heap: not enough for the driver
_OUT_S = 0.5


def asked(profile: str, carriers: Sequence[str], ca: Path, make: str = MAKE, pin: str = "") -> Direct:
    """Return what an integrator asks for; `make` and `pin`: of the modem and its SIM."""
    data: dict[str, Any] = {"profile": profile, "addresses": [[NUMBER, PORT]], "host": _HOST}
    modem = make if LTE in carriers else None
    data |= {"https_port": PORT, "modem": modem, "apn": "", "pin": pin, "uart": None, "first": carriers[0]}
    return Direct(data, certificate_of(ca).public_bytes(Encoding.DER))


def add_network(image: Path, registry: Path) -> None:
    """Put the home's network on a board that is provisioned, under the name that this button has for it."""
    line = json.loads(registry.read_text("utf-8").splitlines()[-1])
    mac = Mac(derive(bytes.fromhex(line["root"]), "direct", 0))
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
    flash = image / "flash.img"
    disk.context.buffer = bytearray(flash.read_bytes())
    disk.mount()
    with disk.open(NETWORKS_FILE, "wb") as file:
        file.write(file_of({network_id(mac, HOME_NAME): HOME_PMK.hex()}))
    flash.write_bytes(disk.context.buffer)


class OwnWay:
    """`https` and `udp`: where the centre listens; `home`: the centre's; `scratch`: for whoever stands in."""

    def __init__(
        self,
        board: Board,
        https: tuple[str, int],
        udp: tuple[str, int],
        carriers: Collection[str],
        home: Path,
        scratch: Path,
        seed: int,
        make: str = MAKE,
    ) -> None:
        self._board = board
        self.uplink = Uplink(board.station, https, udp, (NUMBER, _HOST), home, scratch, seed)
        self.cell = Cell(udp, seed)
        self.modem: Modem | None = None
        if LTE in carriers:
            self.modem = Modem(make, self.cell, seed=seed)
            board.attach_modem(self.modem)
        self._home = AccessPoint(HOME_NAME, bytes.fromhex("02aabbccdd01"), HOME_PMK, _NEAR)
        self._twin = AccessPoint(HOME_NAME, bytes.fromhex("02deadbeef00"), bytes(32), _NEARER)
        self._twin.leads_to = wifi.TWIN
        self._twin.is_on = False
        neighbour = AccessPoint(b"Neighbour", bytes.fromhex("0612345678aa"), bytes(32), _FAR, channel=11)
        self._points = [self._home, self._twin, neighbour] if WIFI in carriers else []
        self._wrong: dict[str, dict[str, Any]] = {}
        self._browning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Let the board hear what is there."""
        await self.uplink.open()
        self._board.station.around = self._around
        self._board.station.on_transmit = self._transmits

    async def close(self) -> None:
        """Let all go."""
        for task in self._browning:
            task.cancel()
        await asyncio.gather(*self._browning, return_exceptions=True)
        self._board.station.around = wifi.nobody
        await self.uplink.close()
        if self.modem:
            self.modem.cut()
        await self.cell.close()

    def _around(self) -> Sequence[AccessPoint]:
        return () if "wifi_gone" in self._wrong else self._points

    # -- what goes wrong: the words of sim/faults.py ---------------------------------------------------

    def begin(self, what: str, **values: Any) -> None:
        """Let it go wrong."""
        self._wrong[what] = values
        self._change()
        if what == "modem_resets" and self.modem:
            self.modem.faults.restarts_after_send = 1_000_000

    def end(self, what: str) -> None:
        """Let it be over."""
        self._wrong.pop(what, None)
        self._change()

    def _change(self) -> None:
        wrong = self._wrong
        ways = {"wifi_captive": wifi.CAPTIVE, "uplink_dead": wifi.DEAD, "udp_blocked": wifi.UDP_BLOCKED}
        self._home.leads_to = next((way for what, way in ways.items() if what in wrong), wifi.INTERNET)
        self._home.has_dhcp = "dhcp_silent" not in wrong
        self._twin.is_on = "wifi_twin" in wrong
        self._twin.pmk = HOME_PMK if wrong.get("wifi_twin", {}).get("knows") == PASSPHRASE else bytes(32)
        mood = self.uplink.datagrams
        mood.loss = self.cell.loss = wrong.get("udp_lossy", {}).get("part", 0.0)
        mood.latency_ms = self.cell.latency_ms = wrong.get("udp_late", {}).get("latency_ms", 0)
        mood.are_doubled = "udp_doubled" in wrong
        mood.are_reordered = "udp_reordered" in wrong
        mood.nat_s = wrong["nat_forgets"]["after_ms"] / 1000 if "nat_forgets" in wrong else NAT_S
        self._board.station.free_kib = _NO_KIB if "wifi_no_memory" in wrong else wifi.FREE_KIB
        if self.modem:
            faults = self.modem.faults
            coverage = SEARCHING if "cell_gone" in wrong else HOME
            self.modem.cover(DENIED if "cell_denied" in wrong else coverage)
            faults.is_silent, faults.is_garbled = "modem_silent" in wrong, "modem_garbage" in wrong
            faults.restarts_after_send *= "modem_resets" in wrong

    def _transmits(self) -> None:
        if "wifi_browns_out" in self._wrong and not self._browning:
            keeps = self._wrong["wifi_browns_out"]["keeps"]
            task = asyncio.get_running_loop().create_task(self._gives_in(keeps))
            self._browning.add(task)
            task.add_done_callback(self._browning.discard)

    async def _gives_in(self, keeps: str) -> None:
        """End the program, as its battery does when the radio draws more than it has."""
        if keeps == RTC_KEPT:
            await self._board.reset()
            return
        await self._board.power_off()
        await asyncio.sleep(_OUT_S)
        await self._board.power_on()
