"""A button with a modem and no Wi-Fi: the modem, its cell, and what the faults of a scenario do to them."""

import socket
from dataclasses import dataclass

from firmware.flash.direct import Direct
from sim.board.modem import DENIED, HOME, SEARCHING, Modem
from sim.realtime.cell import Cell
from sim.realtime.world import Button, World

NUMBER = "203.0.113.5"  # of the centre, as the button knows it (RFC 5737)
_PORT = 443
_PINS = {"tx": 17, "rx": 16, "pwrkey": 4}
_OFTEN = 1_000_000
_HEAP_KIB = 192


@dataclass
class LteButton:
    """The button, and what its modem is and sees."""

    button: Button
    modem: Modem
    cell: Cell

    def strike(self, what: str) -> None:
        """Let a fault of sim/faults.py begin: `cell_*`, `modem_*`."""
        faults = self.modem.faults
        if what in ("cell_gone", "cell_denied"):
            self.modem.cover(SEARCHING if what == "cell_gone" else DENIED)
        elif what == "modem_silent":
            faults.is_silent = True
        elif what == "modem_resets":
            faults.restarts_after_send = _OFTEN
        else:
            faults.is_garbled = True

    def heal(self) -> None:
        """Let all faults be over."""
        faults = self.modem.faults
        faults.is_silent = faults.is_garbled = False
        faults.restarts_after_send = 0
        self.modem.cover(HOME)

    async def close(self) -> None:
        """Let the cell's ports go."""
        await self.cell.close()


def free_udp_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens to just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def add(
    world: World,
    direct_port: int,
    *,
    make: str = "sim7080g",
    profile: str = "always",
    pin: str = "",
    name: str = "button",
    heap_kib: int = _HEAP_KIB,
    **settings: int,
) -> LteButton:
    """Start a board with a modem at a centre that was started with `--direct-port` of this number."""
    cell = Cell(("127.0.0.1", direct_port))
    modem = Modem(make, cell)
    alone = Direct(
        {
            "profile": profile,
            "addresses": [[NUMBER, _PORT]],
            "host": "",
            "https_port": _PORT,
            "modem": make,
            "apn": "iot.example",
            "pin": pin,
            "uart": _PINS,
        },
        b"",
    )
    button = await world.set_up_button(name, settings, heap_kib=heap_kib, alone=alone)
    button.board.attach_modem(modem, pwrkey=_PINS["pwrkey"])
    await button.board.power_on()
    return LteButton(button, modem, cell)
