"""What a button's voltage means. Pure.

Where the numbers are from: a button calls its battery low below `battery_low_mv`, 3.4 V unless it was set
otherwise (firmware/board/config.py). 3.0 V is the lowest supply that Espressif's datasheets of ESP32-C3 and
ESP32-S3 recommend: below it a button may fail at its next press.
"""

from enum import StrEnum

LOW_MV = 3_400
CHANGE_MV = 3_000


class Charge(StrEnum):
    """How a battery is."""

    GOOD = "good"
    LOW = "low"
    CHANGE = "change"


def charge(battery_mv: int, is_low: bool) -> Charge:
    """Judge a voltage; `is_low`: the button itself has called it low."""
    if battery_mv < CHANGE_MV:
        return Charge.CHANGE
    return Charge.LOW if is_low or battery_mv < LOW_MV else Charge.GOOD


def told(battery_mv: int) -> str:
    """Return the voltage as it is shown, rounded down: no battery is called better than it is."""
    return f"{battery_mv // 10 / 100:.2f} V"
