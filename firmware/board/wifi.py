"""The Wi-Fi carrier: from nothing to a datagram, or to a POST over TLS, one small step at a time.

    OFF -> START -> SCAN -> JOIN -> UP
                      (the place of last time needs no scan)

Its deadlines are its own: what the driver says of a failure is a hint, and no more. What blocks (the driver's
start, a scan, the name service, the arithmetic of a handshake) says so beforehand, in `blocks`.
"""

import socket

import network

from wire.direct import (
    NO_ADDRESS,
    NO_MEMORY,
    NOT_OURS,
    NOT_SEEN,
    RADIO,
    REFUSED,
    SILENT,
    TLS,
    access_points,
    network_id,
    station_mac,
)
from wire.keys import Mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.board.https import Https  # loaded where datagrams get no answer, and not before

DOWN = 0
UP = 1
FAILED = -1

_OFF = 0
_START = 1
_SCAN = 2
_JOIN = 3
_UP = 4
_FAILED = 5

_SCAN_MS = 4000
_JOIN_MS = 8000
_PLACES_MAX = 3
_HTTPS_MS = 28_000  # the centre holds an answer for 20 s at most
_CONNECT_MS = 10_000
_REUSE_MS = 5_000  # so long after an answer a connection is still used
_AGAIN_MS = 20
_LISTEN_MS = 50
_LOOK_MS = 1000
_SLOW_DBM = 8.5
_SECURE = (3, 4, 7)  # WPA2, WPA and WPA2, WPA2 and WPA3; WPA3 alone wants the passphrase itself
_FRAME_BYTES = 64
_PATH = "/v1/direct"
_NAME = "android"  # what a router's list says; the default would name the product


class Wifi:
    """`settings`: `DirectSettings`; `mac`: under K_direct."""

    name = "wifi"

    def __init__(self, settings, mac: Mac) -> None:  # type: ignore[no-untyped-def]
        self._settings = settings
        self._mac = mac
        self.has_https = bool(settings.host)
        self.clock_known = True  # False: the power was lost, and nothing has told the time since
        self.facts = b""
        self.signal = self.error = 0
        self._wlan: network.WLAN = None
        self._state = _OFF
        self._found: list[tuple[bytes, bytes]] = []  # where to try, best first: name, BSSID
        self._last: tuple[bytes, bytes] | None = None  # where it was last, and was answered
        self._avoided = b""  # a BSSID behind which nobody answered
        self._begin()

    def _begin(self) -> None:
        self._hosts: list = []  # of `getaddrinfo`, for UDP and for HTTPS
        self._at = 0
        self._sent_ms: int | None = None
        self._udp: dict = {}
        self._https: Https = None
        self._frame = b""  # to be posted
        self._posting = b""
        self._posted_ms = 0
        self._answer: bytes | None = None
        self._failures = 0
        self._is_strict = True
        self._asked = not self._settings.host
        self._has_scanned = False
        self._until_ms = self._looked_ms = 0

    def open(self, now_ms: int, is_slow: bool) -> None:
        """Begin to come up. `is_slow`: with little power."""
        self._begin()
        self.facts = b""
        self._is_slow = is_slow
        self._state = _START
        self._until_ms = now_ms

    @property
    def blocks(self) -> bool:
        """Return whether the next step may block."""
        if self._state == _UP:
            if self._https:
                return self._https.blocks()
            return bool(self._frame)  # reads the CA, or asks for a name
        return self._state in (_START, _SCAN)

    def due_ms(self, now_ms: int) -> int | None:
        """Return when to step next."""
        if self._state in (_OFF, _FAILED):
            return None
        if self._state in (_START, _SCAN) or self._frame or (self._https and not self._https.is_idle()):
            return now_ms + _AGAIN_MS
        waits = self._sent_ms is not None or self._state == _JOIN
        return now_ms + (_LISTEN_MS if waits else _LOOK_MS)

    def step(self, now_ms: int) -> int:
        """Do one small thing. Return UP, FAILED, or DOWN while working on it."""
        if self._state == _START:
            self._start(now_ms)
        elif self._state == _SCAN:
            self._scan(now_ms)
        elif self._state == _JOIN:
            self._join(now_ms)
        elif self._state == _UP:
            self._look(now_ms)
            self._exchange(now_ms)
        return UP if self._state == _UP else FAILED if self._state == _FAILED else DOWN

    # -- the network -------------------------------------------------------------------

    def _start(self, now_ms: int) -> None:
        network.hostname(_NAME)
        self._wlan = network.WLAN(network.STA_IF)
        self._wlan.active(True)
        self._wlan.config(reconnects=0)
        if self._is_slow:
            self._wlan.config(txpower=_SLOW_DBM)
        self._until_ms = now_ms + _SCAN_MS
        self._state = _SCAN
        if self._last:
            self._found = [self._last]
            self._last = None  # until it has answered again
            self._try(now_ms)

    def _scan(self, now_ms: int) -> None:
        heard = self._wlan.scan()  # one that fails hears nobody
        heard.sort(key=lambda one: (one[1] == self._avoided, -one[3]))
        self.facts = access_points([(one[1], one[3]) for one in heard])
        self._has_scanned = True
        keys = self._settings.networks
        known = [one for one in heard if one[4] in _SECURE and network_id(self._mac, one[0]) in keys]
        # The strongest of each network first: what ails one radio often ails its neighbour.
        names: list[bytes] = []
        first: list[tuple[bytes, bytes]] = []
        others: list[tuple[bytes, bytes]] = []
        for one in known:
            (others if one[0] in names else first).append((bytes(one[0]), bytes(one[1])))
            names.append(one[0])
        self._found = (first + others)[:_PLACES_MAX]
        if self._found:
            self._try(now_ms)
        elif now_ms >= self._until_ms or heard:
            self._fail(NOT_SEEN)

    def _try(self, now_ms: int) -> None:
        name, bssid = self._found[0]
        self._wlan.config(mac=station_mac(self._mac, name))
        self._wlan.connect(name, self._settings.networks[network_id(self._mac, name)], bssid=bssid)
        self._until_ms = now_ms + _JOIN_MS
        self._state = _JOIN

    def _join(self, now_ms: int) -> None:
        status = self._wlan.status()
        if status == network.STAT_GOT_IP:
            self._state = _UP
            self._looked_ms = now_ms
            self.signal = self._wlan.status("rssi")
            self._hosts = [self._host(host, port) for host, port in self._settings.addresses]
            return
        is_over = status not in (network.STAT_CONNECTING, network.STAT_IDLE)
        if not is_over and now_ms < self._until_ms:
            return
        self._wlan.disconnect()
        self.error = REFUSED if is_over else NO_ADDRESS
        del self._found[0]
        if self._found:
            self._try(now_ms)
        elif not self._has_scanned:  # it was the place of last time
            self._until_ms = now_ms + _SCAN_MS
            self._state = _SCAN
        else:
            self._fail(self.error)

    def _host(self, host: str, port: int) -> tuple:
        udp = socket.getaddrinfo(host, port)[0]
        return udp, socket.getaddrinfo(host, self._settings.https_port)[0]

    def _look(self, now_ms: int) -> None:
        if now_ms - self._looked_ms >= _LOOK_MS:
            self._looked_ms = now_ms
            if not self._wlan.isconnected():
                self._fail(RADIO)

    def _fail(self, error: int) -> None:
        self.error = error
        self._state = _FAILED

    # -- datagrams ---------------------------------------------------------------------

    def send(self, frame: bytes, now_ms: int) -> None:
        """Send a datagram, to the next address where the one before has not answered."""
        if self._sent_ms is not None:
            self._at = (self._at + 1) % len(self._hosts)
            self.error = SILENT
        self._sent_ms = now_ms
        try:
            self._socket(self._at).send(frame)
        except OSError:
            pass  # as if it were lost on its way: it is sent again

    def _socket(self, at: int):  # type: ignore[no-untyped-def]
        if at not in self._udp:
            place = self._hosts[at][0]
            one = self._udp[at] = socket.socket(place[0], socket.SOCK_DGRAM)
            one.setblocking(False)
            one.connect(place[-1])  # from now on nobody else is listened to
        return self._udp[at]

    def receive(self) -> bytes | None:
        """Return the next answer, which nobody has checked yet."""
        for at in self._udp:
            try:
                answer = self._udp[at].recv(_FRAME_BYTES + 1)
            except OSError:
                continue
            if answer and len(answer) == _FRAME_BYTES:
                self._at = at
                self._sent_ms = None
                return answer
        answer, self._answer = self._answer, None
        return answer

    def proven(self) -> None:
        """Take that an answer was the centre's: this is the place to come back to."""
        self._last = self._found[0]

    # -- HTTPS -------------------------------------------------------------------------

    def post(self, frame: bytes, _now_ms: int) -> None:
        """Post a frame when there is time; of two that wait the later."""
        self._frame = frame

    def _exchange(self, now_ms: int) -> None:
        if not self._https and not self._frame:
            return
        try:
            self._answer = self._posted(now_ms) or self._answer
        except ValueError as why:  # TLS says what is wrong with whom, or it is no answer of the centre's
            self._refused(str(why))
        except (OSError, MemoryError) as error:  # datagrams go on
            self._refused("")
            if isinstance(error, MemoryError):
                self.error = NO_MEMORY

    def _posted(self, now_ms: int) -> bytes | None:
        if self._https and self._frame and self._https.is_idle() and now_ms - self._posted_ms > _REUSE_MS:
            # Somebody on the way may have let go of it, which a socket that does not block never says.
            self._hang_up()
        if not self._https:
            if self._failures >= len(self._hosts) and not self._asked:
                self._asked = True  # once, for it blocks for as long as it likes
                self._hosts.append(self._host(self._settings.host, self._settings.addresses[0][1]))
                self._at = len(self._hosts) - 1
            from firmware.board.https import Https

            settings = self._settings
            self._posted_ms = now_ms
            self._https = Https(self._hosts[self._at][1], settings.host, settings.ca(), self._is_strict)
        if self._frame and self._https.is_idle():
            self._posting, self._frame = self._frame, b""
            self._posted_ms = now_ms
            self._https.post(_PATH, self._posting)
        answer = self._https.step()
        if answer:
            self._failures = 0
            self._posted_ms = now_ms
            if not self._is_strict:
                self._hang_up()
        elif not self._https.is_idle() and now_ms - self._posted_ms >= self._patience_ms():
            raise OSError
        return answer

    def _patience_ms(self) -> int:
        return _HTTPS_MS if self._https.is_read() else _CONNECT_MS

    def _hang_up(self) -> None:
        self._is_strict = True
        if self._https:
            self._https.close()
            self._https = None

    def _refused(self, why: str) -> None:
        """Try the next address; once the same without a certificate, if only the date is in the way.

        The seal stands without it, and whoever answers in the centre's place learns what a datagram shows.
        """
        was_strict = self._is_strict
        self._hang_up()
        flaws = [line for line in why.split("\n") if line]
        if was_strict and not self.clock_known and flaws and all("validity" in flaw for flaw in flaws):
            self._is_strict = False
            self._frame = self._frame or self._posting
            return
        self.error = TLS if "\n" in why else NOT_OURS if why else SILENT
        self._failures += 1
        self._at = (self._at + 1) % len(self._hosts)

    def close(self) -> None:
        """Switch the radio off."""
        if self._state == _UP and not self._last:
            self._avoided = self._found[0][1]
        self._hang_up()
        for one in self._udp.values():
            _quietly(one.close)
        self._udp = {}
        self._state = _OFF
        if self._wlan:
            _quietly(self._wlan.disconnect)
            _quietly(self._wlan.active, False)


def _quietly(act, *arguments) -> None:  # type: ignore[no-untyped-def]
    try:
        act(*arguments)
    except Exception as error:
        print("wifi", type(error).__name__)
