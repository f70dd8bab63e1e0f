"""ESP32: pins, clock, deep sleep and battery. The button pulls its pin to ground."""

import time

import esp32
import machine

CAPABILITIES = {
    "codes": True,
    "receipts": True,
    "fresh_address": True,
    "deep_sleep": True,
    "rtc_memory": True,
    "battery": True,
}
_EDGES_MAX = 32
_WAIT_MS_MAX = 2
_WATCHDOG_MS = 20_000
_PROMPT_MS = 86_400_000
_REST_MS = 10_000
_RESTART_MS = 200
_FEED_EVERY_MS = 1000


class Board:
    def __init__(self, settings: dict[str, int]) -> None:
        self.rtc = machine.RTC()
        self.slept = machine.reset_cause() == machine.DEEPSLEEP_RESET
        self._clock_ms = time.time_ns() // 1000000  # goes on in deep sleep
        self._ticks = time.ticks_ms()
        self._battery_gpio = settings["battery_gpio"]
        self._motor = machine.Pin(settings["motor_gpio"], machine.Pin.OUT, value=0)
        self._pin = machine.Pin(settings["button_gpio"], machine.Pin.IN, machine.Pin.PULL_UP)
        self._edges: list[tuple[bool, int]] = []
        self.pressed = self.slept and machine.wake_reason() != machine.TIMER_WAKE
        if self.pressed:
            # It was pressed, even if it is up again by now.
            self._edges.append((True, self._clock_ms))
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        self._fed = self._ticks
        self._pin.irq(self._irq, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)

    def _irq(self, pin: machine.Pin) -> None:
        if len(self._edges) < _EDGES_MAX:
            self._edges.append((pin.value() == 0, self.now_ms()))

    def feed(self) -> None:
        """The loop goes round; without this for 20 s the watchdog resets the board."""
        if time.ticks_diff(self._ticks, self._fed) >= _FEED_EVERY_MS:
            self._fed = self._ticks
            self._watchdog.feed()

    def rest(self) -> None:
        """Leave the board to whoever is at its prompt: the watchdog cannot be stopped, but put off."""
        self._motor.value(0)
        machine.WDT(timeout=_PROMPT_MS)

    def restart(self, urgent: bool) -> None:
        """From the beginning; RTC memory and flash know what is open. No return.

        `urgent`: a press is open. Else it rests first: a fault that repeats must burn neither the
        battery nor the alive counters.
        """
        self._motor.value(0)
        if not urgent:
            self.sleep(self.now_ms() + _REST_MS, False)
        time.sleep_ms(_RESTART_MS)
        machine.reset()

    def now_ms(self) -> int:
        """ms that go on through deep sleep and reset, and never go back while awake."""
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
        """Through a divider of two equal resistors; 0 where nothing is wired."""
        try:
            return machine.ADC(machine.Pin(self._battery_gpio)).read_uv() * 2 // 1000
        except (OSError, ValueError):
            return 0

    def wait(self, ms: int) -> None:
        time.sleep_ms(max(0, min(ms, _WAIT_MS_MAX)))

    def sleep(self, until_ms: int, pressed: bool) -> None:
        """Deep sleep until then, or until the pin is pressed (`pressed`: let go). No return."""
        level = esp32.WAKEUP_ANY_HIGH if pressed else esp32.WAKEUP_ALL_LOW
        if hasattr(esp32, "wake_on_ext0"):
            esp32.wake_on_ext0(pin=self._pin, level=level)
        else:  # the C3 has no RTC pins; GPIO 0 to 5 wake it
            esp32.wake_on_gpio((self._pin,), level)
        machine.deepsleep(max(1, until_ms - self.now_ms()))
