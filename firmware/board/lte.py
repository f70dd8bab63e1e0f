"""The LTE carrier: a modem at a UART and its power key, on `machine`; modem.py decides.

Nothing here waits: what has come is read, what is to be said goes into the UART's buffer.
"""

import binascii
import time

import machine

from firmware.board import modem
from wire.direct import SILENT, cell, gnss

_UART = 1
_READ_BYTES_MAX = 256  # a step
_BUFFER_BYTES = 1024
_LISTEN_MS = 20
_SILENT_AT = 2  # frames without an answer
_BITS_MS = 10_000  # ten bits a byte, in ms


class Lte:
    """Carry frames by LTE. `settings`: `DirectSettings`.

    `keep(spent)` remembers, for the `spent` of the next start, which PIN a SIM may have refused. It may take
    its time, so `blocks` says so, and raise: the PIN is not written then.
    """

    name = "lte"
    has_https = False

    def __init__(self, settings, keep=None, spent: int = 0) -> None:  # type: ignore[no-untyped-def]
        table = __import__("firmware.board.modems." + settings.modem, None, None, ("read",))
        self._modem = modem.Modem(table, settings.apn, settings.pin, settings.addresses)
        self._pins = settings.uart
        self._keep = keep
        self._spent = spent
        self._pin = binascii.crc32(settings.pin.encode())
        self._uart: machine.UART | None = None
        self._key: machine.Pin | None = None
        self._baud = 0
        self._fix_ms = 0
        self.signal = self.error = 0

    def open(self, now_ms: int, is_slow: bool) -> None:  # noqa: ARG002
        """Begin to come up, or end a fix that is under way. The modem has a supply of its own: never slow."""
        if self._uart is None:
            pin = machine.Pin
            if "pwrkey" in self._pins:
                self._key = pin(self._pins["pwrkey"], pin.OUT, value=0)
            self._baud = 0
        self._modem.open(now_ms)
        self._modem.pin_tried = self._spent == self._pin

    def step(self, now_ms: int) -> int:
        """Do one small thing. Return 1: up, -1: failed, 0: working on it."""
        modem_ = self._modem
        if modem_.state == modem.OFF:
            return 0
        if self.blocks:
            if self._keep:
                self._keep(self._spending())
            self._spent = self._spending()
        heard = self._read(modem_.baud)
        if heard:
            modem_.feed(heard, now_ms)
        else:
            modem_.tick(now_ms)
        data = b"" if self.blocks else modem_.take()
        if data and self._uart:
            self._uart.write(data)  # there is room: it is little, and an answer is awaited before the next
        if self._key:
            self._key.value(modem_.key)
        self.signal = max(modem_.read.get("rsrp") or 0, -128)
        if modem_.read.get("lat_e7") is None:
            self._fix_ms = now_ms
        self._now_ms = now_ms
        if modem_.state == modem.FAILED:
            self.error = modem_.error
            return -1
        return int(modem_.is_up())

    def _spending(self) -> int:
        return self._pin if self._modem.pin_tried else 0

    @property
    def blocks(self) -> bool:
        """Return whether the next step may take long: what is spent goes to flash before the PIN goes out."""
        return self._spending() != self._spent

    def _read(self, baud: int) -> bytes:
        if baud != self._baud or self._uart is None:
            self._baud = baud
            pins = self._pins
            self._uart = machine.UART(
                _UART, baud, tx=pins["tx"], rx=pins["rx"], rxbuf=_BUFFER_BYTES, txbuf=_BUFFER_BYTES, timeout=0
            )
        return self._uart.read(_READ_BYTES_MAX) or b""

    def send(self, frame: bytes, now_ms: int) -> None:
        """Send a datagram, as soon as the modem can."""
        if self._modem.unanswered >= _SILENT_AT:
            self.error = SILENT
        self._modem.send(frame, now_ms)

    def receive(self) -> bytes | None:
        """Return the next answer, which nobody has checked yet."""
        blocks = self._modem.blocks
        return blocks.pop(0) if blocks else None

    def locate(self, now_ms: int) -> None:
        """Begin a fix; LTE is off meanwhile."""
        self._modem.read.pop("lat_e7", None)
        self._modem.locate(now_ms)

    @property
    def network(self) -> str:
        """Return whose schedule fits: NB-IoT is slower."""
        return "nbiot" if self._modem.read.get("kind") == 2 else "lte"

    @property
    def facts(self) -> bytes:
        """Return the serving cell and the last fix, packed for the frame."""
        known = self._modem.read
        seen = [known.get(name) for name in ("kind", "mcc", "mnc", "tac", "cell")]
        packed = b""
        try:
            if None not in seen:
                packed = cell(*seen, known.get("rsrp") or 0)
            if known.get("lat_e7") is not None and known.get("lon_e7") is not None:
                age_s = (self._now_ms - self._fix_ms) // 1000
                packed += gnss(known["lat_e7"], known["lon_e7"], known.get("radius_m") or 0, age_s)
        except ValueError:
            pass  # the modem has said what cannot be
        return packed

    def due_ms(self, now_ms: int) -> int | None:
        """Return when to step next."""
        return None if self._modem.state in (modem.OFF, modem.FAILED) else now_ms + _LISTEN_MS

    def close(self) -> None:
        """Let the modem rest, and the UART go."""
        try:
            self._modem.close()
            if self._key:
                self._key.value(0)
            if self._uart:
                words = self._modem.take()
                self._uart.write(words)
                time.sleep_ms(1 + len(words) * _BITS_MS // self._baud)  # before the UART goes
                self._uart.deinit()
        except Exception as error:
            print("lte", repr(error))
        self._uart = None
