"""The Wi-Fi station of an ESP32 as `network.WLAN` shows it, and the access points around it.

Written from MicroPython's ports/esp32/network_wlan.c. The times are those that people measured: 120 ms for
each channel that is looked at, 0.6 s to associate, 0.8 s until DHCP has answered. What went wrong last is
shown as the chip's own number; unless told otherwise the station goes on trying, for ever.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sim.board.errnos import BadValue, CallError, CallFails

OPEN, WEP, WPA, WPA2, WPA_WPA2, WPA2_ENTERPRISE, WPA3, WPA2_WPA3 = range(8)
CHANNELS = 13
CHANNEL_MS = 120
SCAN_MS = CHANNELS * CHANNEL_MS
ACTIVE_MS = 100
ASSOCIATE_MS = 600
DHCP_MS = 800
HANDSHAKE_MS = 2500  # until a station gives up whom it shares no key with
DNS_MS = 14_000  # lwIP asks four times before it gives up

IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
BEACON_TIMEOUT, NO_AP_FOUND = 200, 201
HANDSHAKE = 15  # 4WAY_HANDSHAKE_TIMEOUT, which comes through raw

FREE_KIB = 94  # of ESP-IDF's heap, before either radio
DRIVER_KIB = 71  # what Wi-Fi takes of it when its driver starts, until the chip does
SOCKET_KIB = 1
DNS_FAILED = -202  # lwIP's EAI_FAIL
ENOMEM = 12
EHOSTUNREACH = 113

NO_ADDRESS = "0.0.0.0"  # noqa: S104  # what a station without a lease says
LEASE = ("192.168.4.23", "255.255.255.0", "192.168.4.1", "192.168.4.1")

# What the shims ask for, by the methods of `Station`.
WLAN_CALLS = frozenset(
    f"wlan_{name}"
    for name in (
        *("init", "active", "scan_begin", "scan_end", "connect", "disconnect", "status", "isconnected"),
        *("ifconfig", "config", "host", "socket", "resolved"),
    )
)

# What lies behind an access point.
INTERNET, DEAD, UDP_BLOCKED, CAPTIVE, TWIN = "internet", "dead", "udp_blocked", "captive", "twin"


@dataclass
class AccessPoint:
    """One radio of a network; what it does may change at any time."""

    ssid: bytes
    bssid: bytes
    pmk: bytes  # the key that it believes in
    rssi: int = -55
    channel: int = 6
    security: int = WPA2
    is_on: bool = True
    has_dhcp: bool = True
    leads_to: str = INTERNET


# Of a host and a port: where this machine has it; None: nobody knows that name.
Resolve = Callable[[str, int], Awaitable[tuple[str, int] | None]]


def nobody() -> Sequence[AccessPoint]:
    """Return the access points of a place without any."""
    return ()


class Station:
    """One chip's Wi-Fi. `around` are the access points that it can hear just now."""

    def __init__(self, mac: bytes) -> None:
        self._factory_mac = mac
        self.around: Callable[[], Sequence[AccessPoint]] = nobody
        self.resolve: Resolve | None = None  # None: sockets are this machine's, as without a shim
        self.free_kib = FREE_KIB
        self.scans_fail = False
        self.on_transmit: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None
        self._joining: asyncio.Task[None] | None = None
        self.rest()

    def rest(self) -> None:
        """As after a reset: the driver's memory is free again, and so is the address of the factory."""
        self.leave()
        self.mac = self._factory_mac
        self.hostname = "mpy-esp32"
        self.is_active = False
        self.txpower = 20.0
        self.reconnects = -1
        self._has_driver = False
        self._sockets = 0
        self._static: tuple[str, ...] | None = None
        self._network: tuple[bytes, bytes, bytes | None] | None = None
        self._why = 0

    # -- what is true just now

    @property
    def point(self) -> AccessPoint | None:
        """Where the station has a place with an address, as long as that is in reach."""
        if self._point is not None and not self._is_heard(self._point):
            self._lost(BEACON_TIMEOUT)
        return self._point

    def _is_heard(self, point: AccessPoint) -> bool:
        return point.is_on and any(one is point for one in self.around())

    @property
    def is_busy(self) -> bool:
        """Return whether its radio has something to do, which Bluetooth then waits for."""
        return self._joining is not None and not self._joining.done()

    def leave(self) -> None:
        """Let go of the access point, and do not look for another."""
        if self._joining:
            self._joining.cancel()
        self._joining = None
        self._point: AccessPoint | None = None
        self._associated: AccessPoint | None = None
        self._requested = False

    def _lost(self, why: int) -> None:
        self._point = self._associated = None
        self._why = why
        if self._requested and self.reconnects != 0 and self._network:
            self._begin()

    # -- calls of the program

    def init(self, interface: int) -> None:
        """Start the driver, once; it keeps its memory to the end of the program."""
        if interface != 0:
            raise BadValue("invalid WLAN interface identifier")
        if not self._has_driver:
            if self.free_kib < DRIVER_KIB:
                raise CallFails("WiFi Out of Memory")
            self._has_driver = True

    def socket(self) -> None:
        """Take a socket's memory, for sockets come out of the same heap."""
        if self.resolve is not None:
            self._sockets += 1
            if self._has_driver and self.free_kib - DRIVER_KIB < SOCKET_KIB:
                raise CallError(ENOMEM)

    def active(self, wanted: bool | None = None) -> int | bool:
        """Switch on or off, and return for how many ms that blocks; without an argument whether it is on."""
        if wanted is None:
            return self.is_active
        was, self.is_active = self.is_active, bool(wanted)
        if not wanted:
            self.leave()
            self.on_leave()
        return ACTIVE_MS if was != self.is_active else 0

    def scan_begin(self) -> int:
        """Return for how many ms a scan blocks."""
        if not self.is_active:
            raise CallFails("STA must be active")
        self.on_transmit()
        return SCAN_MS

    def scan_end(self) -> list[tuple[bytes, bytes, int, int, int, bool]]:
        """Return what was heard, strongest first; a scan that failed says that it heard nobody."""
        if self.scans_fail or (self.is_busy and not self._associated):
            return []
        heard = sorted((one for one in self.around() if one.is_on), key=lambda one: -one.rssi)
        return [(one.ssid, one.bssid, one.channel, one.rssi, one.security, False) for one in heard]

    def connect(self, ssid: bytes | str, key: str | None = None, bssid: bytes | None = None) -> None:
        """Begin to look for the network. `key`: 64 hex digits are the PMK; a passphrase is none of ours."""
        if not self.is_active:
            raise CallFails("Wifi Not Started")
        if self.is_busy:
            raise CallFails("Wifi Internal State Error")
        if bssid is not None and len(bssid) != 6:
            raise BadValue("")
        name = ssid.encode() if isinstance(ssid, str) else ssid
        pmk = bytes.fromhex(key) if key is not None and len(key) == 64 else b""
        self.leave()
        self._network = name, pmk, bssid
        self._why, self._requested = 0, True
        self._begin()

    def disconnect(self) -> None:
        self.leave()

    def status(self, what: str | None = None) -> int:
        point = self.point
        if what == "rssi":
            if point is None:
                raise CallFails("Wifi Not Connected")
            return point.rssi
        if what is not None:
            raise BadValue("unknown status param")
        if point is not None:
            return GOT_IP
        if self._why:
            return self._why  # also while it goes on trying
        return CONNECTING if self._requested else IDLE

    def isconnected(self) -> bool:
        return self.point is not None

    def ifconfig(self, addresses: list[str] | str | None = None) -> tuple[str, ...] | None:
        """Set an address, or "dhcp"; without an argument return those that there are."""
        if addresses is None:
            if self.point is None:
                return (NO_ADDRESS,) * 4
            return self._static or LEASE
        self._static = None if isinstance(addresses, str) else tuple(addresses)
        return None

    def config(self, what: str | None = None, **values: object) -> object:
        if what is not None:
            shown = {"mac": self.mac, "txpower": self.txpower, "reconnects": self.reconnects}
            if what not in shown:
                raise BadValue("unknown config param")
            return shown[what]
        for name, value in values.items():
            if name == "mac" and isinstance(value, bytes):
                if len(value) != 6 or value[0] & 1:
                    raise CallFails("Wifi Unknown Error 0x300c")
                self.mac = value
            elif name == "txpower" and isinstance(value, (int, float)):
                self.txpower = float(value)
            elif name == "reconnects" and isinstance(value, int):
                self.reconnects = value
            elif name != "pm":
                raise BadValue("unknown config param")
        return None

    def host(self, name: str | None = None) -> str:
        """Set or return the name that DHCP is told."""
        if name is not None:
            if len(name) > 32:
                raise BadValue("")
            self.hostname = name
        return self.hostname

    async def resolved(self, host: str, port: int) -> tuple[int, str | None, int]:
        """Return for how many ms that blocks, and where it is: None if nobody knows."""
        if self.resolve is None:
            return 0, host, port
        where = await self.resolve(host, port)
        return (0, *where) if where else (DNS_MS, None, 0)

    # -- joining

    def _begin(self) -> None:
        self._joining = asyncio.get_running_loop().create_task(self._join())

    async def _join(self) -> None:
        tries = 0
        while True:
            self._why = await self._try() or self._why
            if self._point is not None:
                return
            tries += 1
            if 0 <= self.reconnects < tries:
                return

    async def _try(self) -> int:
        """Look, associate, and wait for an address: 0, or the number of what went wrong."""
        assert self._network
        ssid, pmk, bssid = self._network
        self.on_transmit()
        found = [
            one for one in self.around() if one.is_on and one.ssid == ssid and bssid in (None, one.bssid)
        ]
        if not found:
            await asyncio.sleep(SCAN_MS / 1000)
            return NO_AP_FOUND
        point = min(found, key=lambda one: one.channel)  # the first channel on which it is heard
        await asyncio.sleep((point.channel * CHANNEL_MS + ASSOCIATE_MS) / 1000)
        if point.security != OPEN and not hmac.compare_digest(point.pmk, pmk):
            await asyncio.sleep(HANDSHAKE_MS / 1000)
            return HANDSHAKE
        self._associated = point
        self.on_transmit()
        if self._static is None:
            while not point.has_dhcp:  # the link is there, and that is all
                if not self._is_heard(point):
                    self._associated = None
                    return BEACON_TIMEOUT
                await asyncio.sleep(0.1)
            await asyncio.sleep(DHCP_MS / 1000)
        if not self._is_heard(point):
            self._associated = None
            return BEACON_TIMEOUT
        self._point = point
        return 0
