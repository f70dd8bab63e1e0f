"""How the direct path is set: `direct.json`, `networks.json` and `ca.der`. Imported only where it is on.

The bounds stand here once: the button obeys them, and `amr-button` refuses by them before it writes.
What of `direct.json` is wrong turns the path off; a wrong `networks.json` turns off Wi-Fi alone.
"""

import binascii
import json
import sys

NETWORKS_FILE = "networks.json"
CA_FILE = "ca.der"

PROFILES = ("backup", "always", "off")
MODEMS = ("sim7080g", "gm02s")
CARRIERS = ("wifi", "lte")
ADDRESSES_MAX = 4
NETWORKS_MAX = 8
_HOST_MAX = 253
_APN_MAX = 100
_PIN_MIN = 4
_PIN_MAX = 8
_GPIO_MAX = 48
_PORT_MAX = 65535
_ID_BYTES = 8
_PMK_BYTES = 32


class DirectSettings:
    """What the direct path needs to know. Raises ValueError with the name of what is wrong in `data`.

    `networks`: of `networks_of`; `in_use`: the pins of button, motor and battery, which no modem may take.
    """

    def __init__(self, data: dict, networks: dict[bytes, str], in_use: set[int]) -> None:
        self.profile: str = data.get("profile", "")
        self.addresses: list[tuple[str, int]] = data.get("addresses", [])
        self.host: str = data.get("host", "")  # empty: no HTTPS, and no name to ask for
        self.https_port: int = data.get("https_port", 443)
        self.modem: str | None = data.get("modem")
        self.apn: str = data.get("apn", "")
        self.pin: str = data.get("pin", "")
        self.uart: dict[str, int] = data.get("uart") or {}
        self.first: str = data.get("first", "wifi")  # the carrier that is tried first
        self.networks = networks
        _need("profile", self.profile in PROFILES)
        _need("addresses", 1 <= len(self.addresses) <= ADDRESSES_MAX)
        for host, port in self.addresses:
            _need("addresses", is_numeric(host))
            _need("port", _is_number(port, 1, _PORT_MAX))
        _need("host", _is_word(self.host, _HOST_MAX))
        _need("port", _is_number(self.https_port, 1, _PORT_MAX))
        _need("modem", self.modem is None or self.modem in MODEMS)
        _need("first", self.first in CARRIERS)
        _need("apn", _is_word(self.apn, _APN_MAX))
        _need("pin", self.pin == "" or (_PIN_MIN <= len(self.pin) <= _PIN_MAX and self.pin.isdigit()))
        if self.modem:
            pins = list(self.uart.values())
            # At the button's own pin it would press it, or keep it from being heard.
            free = len(set(pins)) == len(pins) and not in_use & set(pins)
            named = "tx" in self.uart and "rx" in self.uart
            _need("uart", named and free and all(_is_number(pin, 0, _GPIO_MAX) for pin in pins))

    def ca(self) -> bytes:
        """Return the pinned CA (DER), read anew each time: it is needed seldom. Raises OSError."""
        with open(CA_FILE, "rb") as file:
            return file.read()


def load(data: dict, in_use: set[int], path: str = NETWORKS_FILE) -> tuple[DirectSettings | None, bool]:
    """Return `(settings, defaulted)` from what `direct.json` holds; None: the direct path is off."""
    networks: dict[bytes, str] = {}
    defaulted = False
    try:
        with open(path) as file:
            networks = networks_of(json.load(file))
    except OSError:
        pass  # no Wi-Fi: a modem alone
    except (ValueError, TypeError, KeyError):
        defaulted = True
    try:
        return DirectSettings(data, networks, in_use), defaulted
    except (ValueError, TypeError, AttributeError):
        return None, True


def forget() -> None:
    """Give back the memory that the direct path's code takes: what Bluetooth needs must not fail for it."""
    _drop("wire", "direct")
    for own in ("direct_app", "direct", "lte", "modem", "modems", "wifi", "https"):
        _drop("firmware.board", own)
    for own in MODEMS:
        _drop("firmware.board.modems", own)


def _drop(package: str, own: str) -> None:
    sys.modules.pop(package + "." + own, None)
    room = sys.modules.get(package)
    if hasattr(room, own):
        delattr(room, own)


def networks_of(value: list) -> dict[bytes, str]:
    """Return id (8 bytes) -> PMK (64 hex digits) of each network.

    Raises ValueError with the name of what is wrong, TypeError and KeyError where it is no such list at all.
    """
    networks = {binascii.unhexlify(one["id"]): one["pmk"] for one in value}
    _need("networks", 1 <= len(value) <= NETWORKS_MAX and len(networks) == len(value))
    for name, pmk in networks.items():
        _need("id", len(name) == _ID_BYTES)
        _need("pmk", len(pmk) == 2 * _PMK_BYTES and len(binascii.unhexlify(pmk)) == _PMK_BYTES)
    return networks


def is_numeric(host: str) -> bool:
    """Return whether this has the form of an IPv4 or IPv6 address: nobody need be asked where it is."""
    if ":" in host:
        return 2 <= host.count(":") <= 7 and all(letter in "0123456789abcdef:" for letter in host)
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _need(name: str, right: bool) -> None:
    if not right:
        raise ValueError(name)


def _is_number(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_word(value: str, most: int) -> bool:
    """Return whether this may stand between quotation marks, in a command to a modem."""
    if not isinstance(value, str) or len(value) > most:
        return False
    return all("!" <= letter <= "~" and letter not in '"\\,;' for letter in value)
