"""What every board has for the hand: a pin that a finger pulls to ground, a motor, and a clock."""

import os
import time

import machine

_EDGES_MAX = 32
_WAIT_MS_MAX = 2


class Hand:
    """Read the pin `button`, drive the pin `motor` (as `machine.Pin` takes them), count from `clock_ms`."""

    open = staticmethod(open)  # files on flash
    random = staticmethod(os.urandom)  # truly so while the radio is on

    def __init__(self, button, motor, clock_ms: int) -> None:  # type: ignore[no-untyped-def]
        self._clock_ms = clock_ms
        self._ticks = time.ticks_ms()
        self._motor = machine.Pin(motor, machine.Pin.OUT, value=0)
        self._pin = machine.Pin(button, machine.Pin.IN, machine.Pin.PULL_UP)
        self._edges: list[tuple[bool, int]] = []
        self._pin.irq(self._irq, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)

    def _irq(self, pin: machine.Pin) -> None:
        if len(self._edges) < _EDGES_MAX:
            self._edges.append((pin.value() == 0, self.now_ms()))

    def now_ms(self) -> int:
        """Return the time in ms, from `clock_ms` on; it never goes back while awake."""
        ticks = time.ticks_ms()
        self._clock_ms += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._clock_ms

    def set_back(self, ms: int) -> None:
        """Count from `ms` earlier, before anything else is asked."""
        self._clock_ms -= ms
        self._edges = [(down, at_ms - ms) for down, at_ms in self._edges]

    def edges(self) -> list[tuple[bool, int]]:
        """Return each `(down, at_ms)` since the last call, and how the pin is now."""
        edges = self._edges
        self._edges = []
        edges.append((self._pin.value() == 0, self.now_ms()))
        return edges

    def motor(self, on: bool) -> None:
        """Switch the motor."""
        self._motor.value(on)

    def wait(self, ms: int) -> None:
        """Wait for a moment, at most `ms`."""
        time.sleep_ms(max(0, min(ms, _WAIT_MS_MAX)))
