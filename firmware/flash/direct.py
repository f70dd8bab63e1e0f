"""How a button reaches the centre without a phone: what the integrator asks for becomes files for the board.

Everything is checked by the button's own bounds before anything is written. The SIM's PIN is typed, never an
argument. `amr-button direct` changes it on a button that keeps its identity.
"""

import argparse
import getpass
import ipaddress
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from firmware.board.config import DIRECT_FILE, SETTINGS
from firmware.board.direct_config import CA_FILE, CARRIERS, MODEMS, NETWORKS_FILE, PROFILES, DirectSettings
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import KINDS

if TYPE_CHECKING:
    from firmware.flash.remote import Link

# What belongs to one identity: its session counter and its networks are of no use to another.
FILES = (DIRECT_FILE, CA_FILE, NETWORKS_FILE, "direct.bin")
OFF = "off"
_PORT = 443
# TX and RX of the chip, and what switches the modem on, where no option names others.
_UARTS = {"esp32": (17, 16, 4), "esp32c3": (7, 6, 10), "esp32s3": (17, 18, 16)}
_SENTENCES = {
    "profile": "the direct path is backup, always or off",
    "addresses": "give one to four --address, each an IPv4 or IPv6 address and a port, as in "
    "203.0.113.5:443: the button asks nobody for a name",
    "port": "a port is a number from 1 to 65535",
    "host": "--host is the centre's name in its certificate, of at most 253 characters",
    "modem": f"--modem is one of {', '.join(MODEMS)}",
    "first": f"--first is one of {', '.join(CARRIERS)}",
    "apn": "--apn has at most 100 characters, and no space, comma, semicolon, quotation mark or backslash",
    "pin": "a SIM's PIN has 4 to 8 digits",
    "uart": "--modem-pins are TX, RX and, where it is wired, PWRKEY: different pins from 0 to 48, none of "
    "them the button's, the motor's or the battery's",
}


@dataclass(frozen=True)
class Direct:
    """What was asked for; `pins` None: the board's own for a modem. `ca` is DER; empty: no HTTPS."""

    data: dict[str, Any]
    ca: bytes
    pins: tuple[int, ...] | None = None

    def files(self, board: str, settings: dict[str, int]) -> dict[str, bytes]:
        """Return the files for a button with these settings. Raises CommandError, with what is wrong."""
        if self.data["profile"] == OFF:
            return {}
        if not KINDS[board].chip:
            raise CommandError(
                f"an {board} has no Wi-Fi, and no modem is wired to one yet: leave --direct out"
            )
        data = dict(self.data)
        if data["modem"]:
            pins = self.pins or _UARTS[board]
            data["uart"] = dict(zip(("tx", "rx", "pwrkey"), pins, strict=False))
        in_use = {**_pins_of(board), **settings}
        try:
            DirectSettings(data, {}, {pin for name, pin in in_use.items() if name.endswith("_gpio")})
        except ValueError as wrong:
            raise CommandError(_SENTENCES[str(wrong)]) from None
        if data["host"] and not self.ca:
            raise CommandError(
                "HTTPS to --host needs --ca, the centre's CA certificate; without both, UDP alone"
            )
        return {DIRECT_FILE: json.dumps(data).encode(), **({CA_FILE: self.ca} if self.ca else {})}


def _pins_of(board: str) -> dict[str, int]:
    names = [name for name in SETTINGS if name.endswith("_gpio")]
    return dict(zip(names, KINDS[board].pins, strict=False))


# -- what is asked -------------------------------------------------------------------------


def add_options(parser: argparse._ActionsContainer) -> None:
    """All options but the profile itself."""
    parser.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="ADDRESS:PORT",
        help="where the centre takes sealed datagrams: numbers, no name (default port: 443); up to four",
    )
    parser.add_argument(
        "--host", metavar="NAME", help="the centre's name, for HTTPS where datagrams get no answer"
    )
    parser.add_argument("--https-port", type=int, metavar="N", help="default: 443")
    parser.add_argument(
        "--first",
        choices=CARRIERS,
        help="which way is tried first (default: wifi); lte where somebody else may own the home's router",
    )
    parser.add_argument("--modem", choices=MODEMS, help="which modem is wired to the board")
    parser.add_argument("--modem-pins", metavar="TX,RX[,PWRKEY]", help="where (default: docs/integrators.md)")
    parser.add_argument("--apn", default="", metavar="NAME", help="of the SIM's operator")
    parser.add_argument(
        "--pin", action="store_true", help="the SIM has a PIN: it is asked for, or read from stdin"
    )


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    add_port: Callable[[argparse.ArgumentParser], None],
    link: Callable[[str], "Link"],
) -> None:
    """The `direct` command of `amr-button`."""
    parser = commands.add_parser(
        "direct",
        help="set how a button reaches the centre without a phone; it keeps its identity and its networks",
        description="Write how the button reaches the centre without a phone, as a whole: what is not given "
        "is not kept. `off` takes it away, and the SIM's PIN with it.",
    )
    parser.add_argument("direct", choices=PROFILES, metavar="|".join(PROFILES))
    add_port(parser)
    add_options(parser)
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="the centre's CA certificate (PEM), for HTTPS"
    )
    parser.set_defaults(run=lambda options: _direct(options, link))


def asked(options: argparse.Namespace) -> Direct | None:
    """Return what the options ask for; None: nothing was said. Raises CommandError."""
    if options.direct is None:
        given = options.address or options.host or options.modem or options.apn or options.pin
        if given or options.modem_pins or options.https_port or options.first:
            raise CommandError(
                "--address, --host, --modem, --apn and --pin belong to --direct backup or always"
            )
        return None
    data: dict[str, Any] = {"profile": options.direct}
    if options.direct == OFF:
        return Direct(data, b"")
    host, port = _host(options)
    data |= {
        "addresses": [list(_address(text)) for text in options.address],
        "host": host,
        "https_port": port,
    }
    data |= {"modem": options.modem, "apn": options.apn, "pin": "", "uart": None}
    data["first"] = options.first or CARRIERS[0]
    pins = _numbers(options.modem_pins) if options.modem_pins else None
    made = Direct(data, certificate_of(options.ca).public_bytes(Encoding.DER) if options.ca else b"", pins)
    if options.pin:
        made.data["pin"] = ask_secret("the SIM's PIN: ")
    return made


def _host(options: argparse.Namespace) -> tuple[str, int]:
    """Return name and port for HTTPS; the label's address is where it is, if no option says so."""
    centre = urlsplit(getattr(options, "centre", None) or "")
    try:
        port = options.https_port if options.https_port is not None else centre.port or _PORT
    except ValueError:
        raise CommandError(_SENTENCES["port"]) from None
    return (options.host if options.host is not None else centre.hostname or "").lower(), port


def _address(text: str) -> tuple[str, int]:
    """`203.0.113.5`, `203.0.113.5:443`, `2001:db8::5`, `[2001:db8::5]:443`. Raises CommandError."""
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or str(_PORT)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not port.isdecimal():
        raise CommandError(f"{text}: {_SENTENCES['port']}")
    try:
        return ipaddress.ip_address(host).compressed, int(port)
    except ValueError:
        raise CommandError(f"{text} is no address: {_SENTENCES['addresses']}") from None


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not 2 <= len(parts) <= 3 or not all(part.strip().isdecimal() for part in parts):
        raise CommandError(_SENTENCES["uart"])
    return tuple(int(part) for part in parts)


def certificate_of(path: Path) -> x509.Certificate:
    """Return the CA certificate in the PEM file `path`. Raises CommandError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise CommandError(
            f"{path} is no PEM certificate; `amr-centre ca` says where the centre's is"
        ) from None


def ask(question: str) -> str:
    """Return what is typed, or the next line of stdin; never an argument, which a history would keep."""
    if sys.stdin.isatty():
        print(question, end="", file=sys.stderr, flush=True)
    return _line()


def ask_secret(question: str) -> str:
    """The same, and a terminal does not show it."""
    return getpass.getpass(question) if sys.stdin.isatty() else _line()


def _line() -> str:
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        raise CommandError("what was typed is no UTF-8 text") from None
    if not line:
        raise CommandError("something is to be typed, or written to stdin, and nothing came")
    return line.rstrip("\r\n")


# -- a board at a port ---------------------------------------------------------------------

_SETTINGS = """
import json
from firmware.board import config
from firmware.board.boards import module
b = module()
print(json.dumps([b.NAME, config.load_settings(b.PINS)[0]]))
"""


def _direct(options: argparse.Namespace, link: Callable[[str], "Link"]) -> int:
    made = asked(options)
    assert made is not None
    with link(options.port) as board:
        write(board, made)
    return 0


def write(link: "Link", made: Direct) -> None:
    """Put it on a button, `direct.json` last; its identity and its networks stay. Raises CommandError."""
    from firmware.flash.files import NEW, stage

    require_button(link)
    kind, settings = json.loads(link.run(_SETTINGS))
    files = made.files(kind, settings)
    if not files:
        link.remove([DIRECT_FILE, CA_FILE])
        print("the direct path is off: this button needs a phone")
        return
    stage(link, dict(reversed(files.items())), print)
    link.rename((name + NEW, name) for name in reversed(files))
    if CA_FILE not in files:
        link.remove([CA_FILE])
    print(f"the direct path is {made.data['profile']}: {describe(made.data)}")


def describe(data: dict[str, Any]) -> str:
    """Return in a few words which ways there are; no PIN."""
    where = ", ".join(f"{host} port {port}" for host, port in data["addresses"])
    ways = [f"datagrams to {where}", *([f"HTTPS to {data['host']}"] if data["host"] else [])]
    return "; ".join([*ways, *([f"modem {data['modem']}"] if data["modem"] else [])])


def require_button(link: "Link") -> str:
    """Return the device_id of a board that is a button and has firmware for this. Raises CommandError."""
    if len(link.hashes(["firmware/board/direct_config.mpy", "wire/direct.mpy"])) < 2:
        raise CommandError(f"the firmware on the board at {link.port} is too old, or none: flash it first")
    device_id = link.device_id()
    if not device_id:
        raise CommandError(f"the board at {link.port} is no button yet: provision it first")
    return device_id
