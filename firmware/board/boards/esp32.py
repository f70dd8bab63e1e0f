"""ESP32: pins, clock, deep sleep and battery. The button pulls its pin to ground."""

import time

import esp32
import machine

from firmware.board.config import PROMPT_MS
from firmware.board.gesture import SETTLE_MS
from firmware.board.hand import Hand
from firmware.board.memory import COUNTER, Memory

CAPABILITIES = {
    "codes": True,
    "receipts": True,
    "fresh_address": True,
    "deep_sleep": True,
    "rtc_memory": True,
    "battery": True,
    "wifi": True,
    "wifi_beside_ble": True,  # but see below
}
if not hasattr(esp32, "wake_on_ext0"):  # a C3 or C6: "WiFi Out of Memory" (micropython#18859)
    CAPABILITIES["wifi_beside_ble"] = False
PIN_FILE = "pin.bin"
_WATCHDOG_MS = 20_000
_REST_MS = 10_000
_RESTART_MS = 200
_FEED_EVERY_MS = 1000


def pin_id(number: int) -> int:
    """Return what `machine.Pin` takes for the pin that the settings call `number`."""
    return number


def wake_on(pin: machine.Pin, pressed: bool) -> None:
    """Let the pin end deep sleep when it goes down, or up if it is `pressed`. ValueError: it cannot."""
    level = esp32.WAKEUP_ANY_HIGH if pressed else esp32.WAKEUP_ALL_LOW
    if hasattr(esp32, "wake_on_ext0"):
        esp32.wake_on_ext0(pin=pin, level=level)
    else:  # the C3 has no RTC pins; GPIO 0 to 5 wake it
        esp32.wake_on_gpio((pin,), level)


def battery_mv(number: int) -> int:
    """Measure through two equal resistors; half of 4.2 V is more than the default (0 dB) takes."""
    adc = machine.ADC(machine.Pin(pin_id(number)), atten=machine.ADC.ATTN_11DB)
    return adc.read_uv() * 2 // 1000


def _epoch_ms() -> int:
    """Return where the chip's clock counts from: 2000 in MicroPython's images as they come."""
    return 0 if time.gmtime(0)[0] == 1970 else 946684800000


class Board(Hand):
    """An ESP32 as app.py uses it."""

    wifi_beside_ble = CAPABILITIES["wifi_beside_ble"]

    def __init__(self, settings: dict[str, int]) -> None:
        self.rtc = machine.RTC()
        self.slept = machine.reset_cause() == machine.DEEPSLEEP_RESET
        self._battery_gpio = settings["battery_gpio"]
        # This clock goes on in deep sleep.
        super().__init__(
            pin_id(settings["button_gpio"]), pin_id(settings["motor_gpio"]), time.time_ns() // 1000000
        )
        wake_on(self._pin, False)  # ValueError now, and not when it is to sleep, from a pin that cannot
        self.pressed = self.slept and machine.wake_reason() != machine.TIMER_WAKE
        if self.pressed:
            # It was pressed, even if it is up again by now: to boot takes longer than a click. It went
            # down before we could see it, so it has settled: a click that woke us is the first of three.
            self._edges.insert(0, (True, self._clock_ms - SETTLE_MS))
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        self._fed = self._ticks

    def feed(self) -> None:
        """Tell the watchdog that the loop goes round; without it for 20 s the board is reset."""
        if time.ticks_diff(self._ticks, self._fed) >= _FEED_EVERY_MS:
            self._fed = self._ticks
            self._watchdog.feed()

    def rest(self) -> None:
        """Leave the board to whoever is at its prompt, until the watchdog gives it back to the button."""
        self._motor.value(0)
        machine.WDT(timeout=PROMPT_MS)

    def restart(self, urgent: bool) -> None:
        """Start from the beginning; RTC memory and flash know what is open. No return.

        `urgent`: a press is open. Else it rests first: a fault that repeats must burn neither the
        battery nor the alive counters.
        """
        self._motor.value(0)
        if not urgent:
            self.sleep(self.now_ms() + _REST_MS, False)
        time.sleep_ms(_RESTART_MS)
        machine.reset()

    def battery_mv(self) -> int:
        """Return the battery's voltage, 0 where that pin cannot measure."""
        try:
            return battery_mv(self._battery_gpio)
        except (OSError, ValueError):
            return 0

    def carriers(self, settings, mac) -> list:  # type: ignore[no-untyped-def]
        """Return the carriers that `settings` name, the preferred one first; `mac`: under K_direct."""
        made: list = []
        if settings.networks:
            from firmware.board.wifi import Wifi

            made.append(Wifi(settings, mac))
        if settings.modem:
            from firmware.board.lte import Lte

            made.append(Lte(settings, *self._pin_memory()))
        made.sort(key=lambda one: one.name != settings.first)
        return made

    def _pin_memory(self) -> tuple:
        """Return how Lte remembers a PIN that may have been refused: a wrong one costs a try for ever."""
        memory = Memory(self.rtc, None, self.open)

        def keep(spent: int) -> None:
            memory.write(PIN_FILE, COUNTER, spent)

        spent = memory.read(PIN_FILE, COUNTER)
        return keep, spent[0] if spent else 0

    def behind_ms(self, unix_ms: int) -> int:
        """Return by how much the chip's clock, which certificates are held to, is behind."""
        return unix_ms - _epoch_ms() - time.time_ns() // 1000000

    def set_time(self, unix_ms: int) -> None:
        """Set the chip's clock; `now_ms` goes on as before."""
        seconds, ms = divmod(unix_ms - _epoch_ms(), 1000)
        year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, ms * 1000))

    def sleep(self, until_ms: int, pressed: bool) -> None:
        """Sleep deeply until then, or until the pin is pressed (`pressed`: let go). No return."""
        wake_on(self._pin, pressed)
        machine.deepsleep(max(1, until_ms - self.now_ms()))
