"""What the button remembers: `Life` in RTC memory, and on flash what power loss must not take.

Flash, each file replaced as a whole and sealed with a CRC (littlefs keeps the old one until the
new one is complete):
    press.bin   press_counter:u32 event:u8 stage:u8 crc32:u32    at every press and every stage
    alive.bin   alive_reserve:u32 crc32:u32                      before the reserve is used
    direct.bin  n:u32 crc32:u32                                  before that reserve is used (direct_app.py)
The two highest bits of `stage`: NOT_CONFIRMED was told; power was lost since the press.
RTC memory (deep sleep and reset, not power loss): the whole of `Life`, and a CRC; then what direct_app.py
keeps.
"""

import binascii
import struct

from firmware.board.press import Life
from wire.codes import SPARE_COUNT, SPARE_FIRST

PRESS_FILE = "press.bin"
ALIVE_FILE = "alive.bin"
DIRECT_FILE = "direct.bin"
_PRESS = ">IBB"
COUNTER = ">I"
_LIFE = ">IBBIIBqqqqqqqqq"  # times are signed: a press may be older than a clock that was lost
_FLAG_LOST = 1
_FLAG_AGE = 2
_FLAG_TOLD = 4
_FLAG_LOW = 8
_FLAG_STUCK = 16
_UNSAVED_AT = 5  # two bits
_STAGE = 0x3F
_STAGE_TOLD = 0x80
_STAGE_AGE = 0x40


def sealed(layout: str, *values: int) -> bytes:
    """Return `values` packed by `layout`, followed by their CRC-32."""
    body = struct.pack(layout, *values)
    return body + struct.pack(">I", binascii.crc32(body))


class Memory:
    """Keep a `Life` in `rtc`, a `machine.RTC`, and in flash.

    `draw()` gives a random number, for the spare range; `open` opens flash's files.
    """

    def __init__(self, rtc, draw, open=open) -> None:  # type: ignore[no-untyped-def]
        self._rtc = rtc
        self._open = open
        self._draw = draw
        self.power_lost = False
        self.more = b""  # of RTC memory, after the life

    def load(self) -> Life:
        """Return the life as it was; `power_lost` says afterwards that only flash could tell.

        The greater counter of both wins: flash is written first, but a write may have failed. What flash
        alone knows `is_undated`, for flash holds no time.
        """
        life = Life()
        self.power_lost = not self._load_rtc(life)
        press = self.read(PRESS_FILE, _PRESS)
        if press and (self.power_lost or press[0] > life.press_counter):
            life.press_counter, life.event = press[:2]
            life.stage = press[2] & _STAGE
            life.told_not_confirmed = bool(press[2] & _STAGE_TOLD)
            life.age_is_lower_bound = bool(press[2] & _STAGE_AGE)
            life.is_undated = True
        alive = self.read(ALIVE_FILE, COUNTER)
        if alive and alive[0] > life.alive_reserve:
            life.alive_reserve = alive[0]
            life.alive_counter = max(life.alive_counter, alive[0] - 1)
        if self.power_lost and not alive:
            life.alive_counter = SPARE_FIRST + self._draw() % SPARE_COUNT
        lost = self.power_lost and not press
        life.counters_lost = life.counters_lost or lost or life.press_counter >= SPARE_FIRST
        return life

    def save(self, life: Life) -> None:
        """Save to RTC memory: cheap, after every step."""
        flags = life.counters_lost * _FLAG_LOST
        flags |= life.age_is_lower_bound * _FLAG_AGE | life.told_not_confirmed * _FLAG_TOLD
        flags |= life.battery_low * _FLAG_LOW | life.stuck * _FLAG_STUCK
        flags |= life.unsaved << _UNSAVED_AT
        self._rtc.memory(
            sealed(
                _LIFE,
                life.press_counter,
                life.event,
                life.stage,
                life.alive_counter,
                life.alive_reserve,
                flags,
                life.opened_ms,
                life.started_ms,
                life.received_ms,
                life.alive_ms,
                life.contact_ms,
                life.checkin_ms,
                life.direct_ms,
                life.ahead_ms,
                life.saved_ms,
            )
            + self.more
        )

    def save_press(self, life: Life) -> None:
        """Save the press to flash. Raises OSError where flash fails; the press must go on all the same."""
        stage = life.stage | life.told_not_confirmed * _STAGE_TOLD | life.age_is_lower_bound * _STAGE_AGE
        self.write(PRESS_FILE, _PRESS, life.press_counter, life.event, stage)

    def save_alive(self, life: Life) -> None:
        """Save the reserve to flash. Raises OSError where flash fails."""
        self.write(ALIVE_FILE, COUNTER, life.alive_reserve)

    def read(self, path: str, layout: str) -> tuple[int, ...] | None:
        """Return what `write` has left in a file of flash, or None."""
        try:
            with self._open(path, "rb") as file:
                return unsealed(file.read(), layout)
        except OSError:
            return None

    def write(self, path: str, layout: str, *values: int) -> None:
        """Replace a file of flash as a whole. Raises OSError."""
        with self._open(path, "wb") as file:
            file.write(sealed(layout, *values))

    def _load_rtc(self, life: Life) -> bool:
        content = self._rtc.memory()
        size = struct.calcsize(_LIFE) + 4
        values = unsealed(content[:size], _LIFE)
        if not values:
            return False
        self.more = bytes(content[size:])
        life.press_counter, life.event, life.stage = values[:3]
        life.alive_counter, life.alive_reserve, flags = values[3:6]
        life.counters_lost = bool(flags & _FLAG_LOST)
        life.age_is_lower_bound = bool(flags & _FLAG_AGE)
        life.told_not_confirmed = bool(flags & _FLAG_TOLD)
        life.battery_low = bool(flags & _FLAG_LOW)
        life.stuck = bool(flags & _FLAG_STUCK)
        life.unsaved = flags >> _UNSAVED_AT
        life.opened_ms, life.started_ms, life.received_ms = values[6:9]
        life.alive_ms, life.contact_ms, life.checkin_ms = values[9:12]
        life.direct_ms, life.ahead_ms, life.saved_ms = values[12:]
        return True


def unsealed(data: bytes, layout: str) -> tuple[int, ...] | None:
    """Return the values, or None where length or CRC do not fit (MicroPython's unpack takes too much)."""
    size = struct.calcsize(layout)
    if len(data) != size + 4 or struct.unpack(">I", data[size:])[0] != binascii.crc32(data[:size]):
        return None
    return struct.unpack(layout, data[:size])
