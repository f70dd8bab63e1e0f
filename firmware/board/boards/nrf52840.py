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
    "wifi": False,
    "wifi_beside_ble": False,
}
# A port is found by its label where the image knows labels (CONFIG_DEVICE_DT_METADATA), else by its node's
# name: nRF52840 Product Specification 1.8, 6.9.2, base addresses of P0 and P1.
_PORTS = (("gpio0", "gpio@50000000"), ("gpio1", "gpio@50000300"))
_SLEEP_MS_MAX = 50  # how soon a finger is noticed


def pin_id(number: int) -> tuple[str, int]:
    """Return what `machine.Pin` takes for the pin that the settings call `number`: 32 x port + pin."""
    for name in _PORTS[number // 32]:
        try:
            machine.Pin((name, number % 32))
            return name, number % 32
        except ValueError:
            pass
    raise ValueError("no such port")


def wake_on(pin: machine.Pin, pressed: bool) -> None:
    """Do nothing: it never sleeps so deeply that a pin would have to wake it."""


class _NoMemory:
    """Stand in the place of RTC memory; it lives as long as the program."""

    def __init__(self) -> None:
        self._content = b""

    def memory(self, content: bytes | None = None) -> bytes:
        """Return the content, after `content` has replaced it where given."""
        if content is not None:
            self._content = content
        return self._content


class Board(Hand):
    """An nRF52840 as app.py uses it."""

    def __init__(self, settings: dict[str, int]) -> None:
        self.rtc = _NoMemory()
        self.slept = False
        self.pressed = False
        super().__init__(pin_id(settings["button_gpio"]), pin_id(settings["motor_gpio"]), 0)

    def feed(self) -> None:
        """Do nothing: there is no watchdog here."""

    def rest(self) -> None:
        """Leave the board to whoever is at its prompt."""
        self._motor.value(0)

    def restart(self, urgent: bool) -> None:
        """Start from the beginning; flash knows what is open. No return."""
        self._motor.value(0)
        time.sleep_ms(200 if urgent else 10_000)
        machine.reset()

    def battery_mv(self) -> int:
        """Return 0: it is not measured here."""
        return 0

    def carriers(self, settings, mac) -> list:  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Return none: this port has neither Wi-Fi nor a UART that a modem could be at."""
        return []

    def sleep(self, until_ms: int, pressed: bool) -> None:
        """Idle until then, or until the pin changes; return after it, for there is no deep sleep."""
        while self.now_ms() < until_ms and not self._edges and (self._pin.value() == 0) == pressed:
            time.sleep_ms(_SLEEP_MS_MAX)
