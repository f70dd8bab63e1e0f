"""nRF52840 on MicroPython's Zephyr port: pins, clock and battery. The button pulls its pin to ground.

What this port lacks, the button does without, and says so (CAPABILITIES): its address stays the
same, so its adverts can be linked; there is no deep sleep, so it draws more and is awake between
slots; there is no RTC memory, so every reset is like power loss, and flash decides.
"""

import time

import machine

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
_EDGES_MAX = 32
_WAIT_MS_MAX = 2
_SLEEP_MS_MAX = 50  # how soon a finger is noticed


class _NoMemory:
    """In the place of RTC memory: lives as long as the program."""

    def __init__(self) -> None:
        self._content = b""

    def memory(self, content: bytes | None = None) -> bytes:
        if content is not None:
            self._content = content
        return self._content


class Board:
    def __init__(self, settings: dict[str, int]) -> None:
        self.rtc = _NoMemory()
        self.slept = False
        self.pressed = False
        self._clock_ms = 0
        self._ticks = time.ticks_ms()
        self._motor = machine.Pin((_PORT, settings["motor_gpio"]), machine.Pin.OUT, value=0)
        self._pin = machine.Pin((_PORT, settings["button_gpio"]), machine.Pin.IN, machine.Pin.PULL_UP)
        self._edges: list[tuple[bool, int]] = []
        self._pin.irq(self._irq, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)

    def _irq(self, pin: machine.Pin) -> None:
        if len(self._edges) < _EDGES_MAX:
            self._edges.append((pin.value() == 0, self.now_ms()))

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

    def now_ms(self) -> int:
        """ms since the start, which never go back."""
        ticks = time.ticks_ms()
        self._clock_ms += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._clock_ms

    def edges(self) -> list[tuple[bool, int]]:
        """`(down, at_ms)` since the last call, and how the pin is now."""
        edges = self._edges
        self._edges = []
        edges.append((self._pin.value() == 0, self.now_ms()))
        return edges

    def motor(self, on: bool) -> None:
        self._motor.value(on)

    def battery_mv(self) -> int:
        """Not measured."""
        return 0

    def wait(self, ms: int) -> None:
        time.sleep_ms(max(0, min(ms, _WAIT_MS_MAX)))

    def sleep(self, until_ms: int, pressed: bool) -> None:
        """Idle until then, or until the pin changes. Returns: there is no deep sleep."""
        while self.now_ms() < until_ms and not self._edges and (self._pin.value() == 0) == pressed:
            time.sleep_ms(_SLEEP_MS_MAX)
