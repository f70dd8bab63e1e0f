"""nRF52840 on MicroPython's Zephyr port: pins, clock and battery. The button pulls its pin to ground.

What this port lacks, the button does without, and says so (CAPABILITIES): its address stays the
same, so its adverts can be linked; there is no deep sleep, so it draws more and is awake between
slots; there is no RTC memory, so every reset is like power loss, and flash decides.
"""

import time

import machine

from firmware.board.hand import Hand

CAPABILITIES = {
    "codes": True,
    "receipts": True,
    "fresh_address": False,
    "deep_sleep": False,
    "rtc_memory": False,
    "battery": False,
}
# Where the settings name a plain number, it is this port's pin.
_PORT = "gpio0"
_SLEEP_MS_MAX = 50  # how soon a finger is noticed


class _NoMemory:
    """In the place of RTC memory: lives as long as the program."""

    def __init__(self) -> None:
        self._content = b""

    def memory(self, content: bytes | None = None) -> bytes:
        if content is not None:
            self._content = content
        return self._content


class Board(Hand):
    def __init__(self, settings: dict[str, int]) -> None:
        self.rtc = _NoMemory()
        self.slept = False
        self.pressed = False
        super().__init__((_PORT, settings["button_gpio"]), (_PORT, settings["motor_gpio"]), 0)

    def feed(self) -> None:
        """No watchdog here."""

    def rest(self) -> None:
        """Leave the board to whoever is at its prompt."""
        self._motor.value(0)

    def restart(self, urgent: bool) -> None:
        """From the beginning; flash knows what is open. No return."""
        self._motor.value(0)
        time.sleep_ms(200 if urgent else 10_000)
        machine.reset()

    def battery_mv(self) -> int:
        """Not measured."""
        return 0

    def sleep(self, until_ms: int, pressed: bool) -> None:
        """Idle until then, or until the pin changes. Returns: there is no deep sleep."""
        while self.now_ms() < until_ms and not self._edges and (self._pin.value() == 0) == pressed:
            time.sleep_ms(_SLEEP_MS_MAX)
