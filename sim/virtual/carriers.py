"""A button's carriers in virtual time: models of Wi-Fi and of a modem, with the interface of the firmware's.

What they find, and what ails them, are the button's surroundings: they outlive its program, a carrier does
not. A step that blocks takes the program's time, as on a chip; a radio that sends may take the battery's last
volt.
"""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sim.faults import LTE, PASSPHRASE, WIFI
from sim.virtual.time import Time
from sim.virtual.uplink import Uplink
from sim.virtual.walk import place_at
from wire.direct import (
    ANSWER_BYTES,
    NO_ADDRESS,
    NO_MEMORY,
    NOT_OURS,
    NOT_SEEN,
    RADIO,
    REFUSED,
    RESET,
    SILENT,
    SIM,
    SLOW,
    TLS,
    access_points,
    cell,
    gnss,
)

DOWN, UP, FAILED = 0, 1, -1
_AGAIN_MS, _LOOK_MS = 20, 1000
_POLL_S = 0.05  # how often the firmware's own carriers look whether something has come
_SCAN_S = (1.6, 3.0)
_JOIN_MS, _DHCP_MS, _REFUSED_MS = (900, 2500), 8000, 3000
_BLOCKS_S = 0.03  # the arithmetic of a handshake
_POST_MS = 28_000
_MODEM_MS, _ATTACH_MS, _ATTACH_MS_MAX = (2000, 6000), (2000, 15_000), 60_000
_MODEM_SILENT_MS, _DENIED_MS, _FIX_MS = 20_000, 8000, (5000, 40_000)
_WHY = {"tls": TLS, "foreign": NOT_OURS, "refused": SILENT}
_HOME = [(bytes.fromhex("02aabbccdd01"), -48), (bytes.fromhex("0612345678aa"), -80)]
_CELL = cell(1, 206, 1, 3000, 123456, -95)


@dataclass
class Surroundings:
    """Where a button is, for its own carriers.

    `blocks_for(s)` takes the program's time, `wake()` says that something has come, `gives_in(keeps)` ends
    the program where the battery does.
    """

    time: Time
    random: Random
    troubles: dict[str, float | str]
    uplinks: dict[str, Uplink]
    blocks_for: Callable[[float], None]
    wake: Callable[[], None]
    gives_in: Callable[[str], None]
    happen: Callable[..., None]

    def has(self, *troubles: str) -> bool:
        """Whether one of these ails it just now."""
        return any(one in self.troubles for one in troubles)


def make(around: Surroundings, names: Sequence[str]) -> "list[Wifi | Lte]":
    """Make a program's carriers, the preferred one first."""
    return [Wifi(around) if name == WIFI else Lte(around) for name in names]


class _Carrier:
    """What both have: an inbox, and a way."""

    name = ""

    def __init__(self, around: Surroundings) -> None:
        self._around, self._way = around, around.uplinks[self.name]
        self.facts, self.signal, self.error = b"", 0, 0
        self._inbox: list[bytes] = []
        self._state = ""  # empty: off
        self._until_ms = 0
        self._session = 0

    def _draw_ms(self, bounds: tuple[int, int]) -> int:
        return self._around.random.randint(*bounds)

    def _fail(self, error: int) -> None:
        self._state, self.error = "failed", error
        self._around.happen(f"{self.name}_failed", error=error)

    def _goes_up(self) -> None:
        self._state = "up"
        self._around.happen(f"{self.name}_up")

    def _take(self, session: int, answer: bytes) -> None:
        """Take what has come, when the program looks next; another session's is nobody's."""
        if session == self._session and self._state == "up":
            self._inbox.append(answer)
            self._around.time.after(_POLL_S * self._around.random.random(), self._around.wake)

    def _said(self) -> int:
        return UP if self._state == "up" else FAILED if self._state == "failed" else DOWN

    def receive(self) -> bytes | None:
        """Return the next answer, which nobody has checked yet."""
        return self._inbox.pop(0) if self._inbox else None

    def close(self) -> None:
        """Switch it off."""
        if self._state:
            self._around.happen(f"{self.name}_off")
        self._state, self._inbox = "", []
        self._session += 1


class Wifi(_Carrier):
    """Scan, join, address; then datagrams and HTTPS. An evil twin is the nearest, and is tried first."""

    name = WIFI
    has_https = True

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.clock_known = True
        self._frame, self._is_strict, self._is_connected = b"", True, False
        self._posted_ms: int | None = None
        self._twin_refused = False

    def open(self, now_ms: int, is_slow: bool) -> None:  # noqa: ARG002 -- the carrier's shape
        """Begin to come up."""
        self._session += 1
        self._around.happen("wifi_on")
        self._state, self.facts, self._inbox = "start", b"", []
        self._frame, self._is_strict, self._is_connected, self._posted_ms = b"", True, False, None
        self._twin_refused = False

    @property
    def blocks(self) -> bool:
        """Return whether the next step may block."""
        return self._state in ("start", "scan") or (self._state == "up" and bool(self._frame))

    def due_ms(self, now_ms: int) -> int | None:
        """Return when to step next."""
        if self._state in ("", "failed"):
            return None
        if self._state == "join":
            return max(self._until_ms, now_ms)
        return now_ms if self._inbox else now_ms + (_AGAIN_MS if self.blocks else _LOOK_MS)

    def step(self, now_ms: int) -> int:
        """Do one small thing."""
        around = self._around
        if self._state == "start":
            if around.has("wifi_no_memory"):
                self.error = NO_MEMORY
                raise around.random.choice((RuntimeError("WiFi Out of Memory"), OSError(errno.ENOMEM)))
            around.blocks_for(0.1)
            self._state = "scan"
        elif self._state == "scan":
            self._sends()
            around.blocks_for(around.random.uniform(*_SCAN_S))
            self._seen(now_ms)
        elif self._state == "join" and now_ms >= self._until_ms:
            self._joined(now_ms)
        elif self._state == "up":
            self._look(now_ms)
        return self._said()

    def _seen(self, now_ms: int) -> None:
        if self._around.has("wifi_gone"):
            self._fail(NOT_SEEN)
            return
        self.facts = access_points(_HOME)
        self._state = "join"
        self._sends()
        ms = _REFUSED_MS if self._is_refused() else self._draw_ms(_JOIN_MS)
        self._until_ms = now_ms + (_DHCP_MS if self._around.has("dhcp_silent") else ms)

    def _is_refused(self) -> bool:
        twin = self._around.troubles.get("wifi_twin", PASSPHRASE)
        return twin != PASSPHRASE and not self._twin_refused

    def _joined(self, now_ms: int) -> None:
        around = self._around
        if self._is_refused():
            self._twin_refused, self.error = True, REFUSED
            self._until_ms = now_ms + self._draw_ms(_JOIN_MS)
        elif around.has("wifi_gone"):
            self._fail(NOT_SEEN)
        elif around.has("dhcp_silent"):
            self._fail(NO_ADDRESS)
        else:
            self.signal = -48
            self._goes_up()

    def _look(self, now_ms: int) -> None:
        if self._around.has("wifi_gone"):
            self._fail(RADIO)
        elif self._frame:
            self._post(now_ms)
        elif self._posted_ms is not None and now_ms - self._posted_ms >= _POST_MS:
            self._posted_ms, self._is_connected, self.error = None, False, SILENT

    def _sends(self) -> None:
        """Send something, which may be more than the battery gives."""
        keeps = self._around.troubles.get("wifi_browns_out")
        if keeps:
            self._around.gives_in(str(keeps))

    def send(self, frame: bytes, now_ms: int) -> None:  # noqa: ARG002 -- the carrier's shape
        """Send a datagram."""
        self._sends()
        session = self._session
        self._way.send(frame, lambda answer: self._take(session, answer))

    def post(self, frame: bytes, now_ms: int) -> None:  # noqa: ARG002
        """Post a frame when there is time; of two that wait the later."""
        self._frame = frame

    def _post(self, now_ms: int) -> None:
        self._sends()
        self._around.blocks_for(_BLOCKS_S)
        frame, self._frame, session = self._frame, b"", self._session
        if not self.clock_known and self._is_strict:  # the certificate is not valid yet: once without one
            self._is_strict = False
        self._around.happen("posts", is_strict=self._is_strict)
        is_strict, is_first = self._is_strict, not self._is_connected
        self._posted_ms = now_ms

        def done(why: str, body: bytes) -> None:
            if session == self._session:
                self._posted_ms, self._is_connected, self._is_strict = None, not why, True
                if why:
                    self.error = _WHY[why]
                else:
                    self._take(session, body)

        self._way.post(frame, is_strict, is_first, done)


class Lte(_Carrier):
    """A modem that starts, finds its cell and takes datagrams; it never blocks."""

    name = LTE
    has_https = False
    blocks = False

    def open(self, now_ms: int, is_slow: bool) -> None:  # noqa: ARG002 -- the carrier's shape
        """Begin to come up."""
        self._session += 1
        self._around.happen("lte_on")
        self._state, self.facts, self._inbox = "start", b"", []
        self._until_ms = now_ms + self._draw_ms(_MODEM_MS)
        self._begun_ms = now_ms

    def due_ms(self, now_ms: int) -> int | None:
        """Return when to step next."""
        if self._state in ("", "failed"):
            return None
        if self._inbox:
            return now_ms
        return now_ms + _LOOK_MS if self._state == "up" else max(self._until_ms, now_ms + _AGAIN_MS)

    def step(self, now_ms: int) -> int:
        """Do one small thing."""
        if self._state == "fix" and now_ms >= self._until_ms:
            lat, lon = place_at(self._around.time.now_s)
            self.facts = gnss(round(lat * 1e7), round(lon * 1e7), 12, 0) + _CELL
            self._state = "up"
        elif self._state in ("start", "attach") and now_ms >= self._until_ms:
            self._comes_up(now_ms)
        elif self._state == "up":
            self._look()
        return self._said()

    def _comes_up(self, now_ms: int) -> None:
        around = self._around
        if around.has("modem_silent"):
            self._until_ms = self._begun_ms + _MODEM_SILENT_MS
            if now_ms >= self._until_ms:
                self._fail(RADIO)
        elif around.has("modem_garbage"):
            self._garbage(now_ms)
        elif self._state == "start":
            self._state = "attach"
            self._until_ms = now_ms + (_DENIED_MS if around.has("cell_denied") else self._draw_ms(_ATTACH_MS))
        elif around.has("cell_denied"):
            self._fail(around.random.choice((REFUSED, SIM)))
        elif around.has("cell_gone"):
            self._until_ms = now_ms + _LOOK_MS
            if now_ms - self._begun_ms >= _ATTACH_MS_MAX:
                self._fail(NOT_SEEN if around.random.random() < 0.5 else SLOW)
        else:
            self.signal, self.facts = -95, _CELL
            self._goes_up()

    def _garbage(self, now_ms: int) -> None:
        """Say what nobody can read: a driver that is mistaken raises, one that is not gives up."""
        if self._around.random.random() < 0.5:
            self._state = "failed"
            raise ValueError("invalid literal for int() with base 10: '\\x00CADATAIND'")
        self._until_ms = now_ms + _LOOK_MS
        if now_ms - self._begun_ms >= _MODEM_SILENT_MS:
            self._fail(RADIO)

    def _look(self) -> None:
        if self._around.has("modem_resets"):
            self._fail(RESET)
        elif self._around.has("modem_silent"):
            self._fail(RADIO)

    def send(self, frame: bytes, now_ms: int) -> None:  # noqa: ARG002 -- the carrier's shape
        """Send a datagram; one that the modem loses is lost on its way."""
        session, around = self._session, self._around
        if around.has("modem_garbage"):
            self._take(session, around.random.randbytes(ANSWER_BYTES))
        elif not around.has("modem_resets", "modem_silent"):
            self._way.send(frame, lambda answer: self._take(session, answer))

    def post(self, frame: bytes, now_ms: int) -> None:  # noqa: ARG002
        """Never be asked: it has no HTTPS."""
        raise AttributeError("post")

    def locate(self, now_ms: int) -> None:
        """Begin a satellite fix, during which nothing is sent."""
        if self._state == "up":
            self._state, self._until_ms = "fix", now_ms + self._draw_ms(_FIX_MS)
