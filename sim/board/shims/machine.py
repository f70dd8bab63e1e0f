# machine: what an ESP32 has, as far as a program without a network uses it; or, where the board is one
# with MicroPython's Zephyr port, the part of that which it has, and its names for pins.

import os

from umachine import *
from umachine import PinBase

from _link import call, caller, handlers

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
PIN_WAKE = EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6
GPIO_WAKE = 7
SLEEP = 2
DEEPSLEEP = 4

_CALLS = " deepsleep disable_irq enable_irq freq lightsleep reset reset_cause unique_id wake_reason "
_CLASSES = ("ADC", "PWM", "Timer", "UART", "WDT")

_ZEPHYR = os.getenv("AMR_PORT") == "zephyr"
# An image without CONFIG_DEVICE_DT_METADATA, as they come, knows no labels such as gpio0.
_PORTS = ("gpio@50000000", "gpio@50000300")
if _ZEPHYR:
    _CALLS = " reset "
    _CLASSES = ("PWM",)

soft_reset = caller("soft_reset")


class Pin(PinBase):
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    _all = {}

    def __new__(cls, id, *args, **kwargs):
        if _ZEPHYR:
            id = cls._number(id)
        # As on the board, the same object for the same pin.
        pin = cls._all.get(id)
        if pin is None:
            call("pin", id)
            pin = cls._all[id] = object.__new__(cls)  # super()'s is undefined on a native base
            pin._id = id
            pin._handler = None
        return pin

    def __init__(self, id, *args, **kwargs):
        if args or kwargs:
            self.init(*args, **kwargs)

    @staticmethod
    def _number(id):
        if not isinstance(id, tuple):
            raise ValueError('Pin id must be tuple of ("port", pin#)')
        if id[0] not in _PORTS:
            raise ValueError("device not found")
        return 32 * _PORTS.index(id[0]) + id[1]

    def init(self, *args, **kwargs):
        call("pin_init", self._id, *args, **kwargs)

    def value(self, *level):
        return call("pin_value", self._id, *level)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        if wake is None:
            self._handler = handler
        call("pin_irq", self._id, trigger if handler or wake else 0, wake)
        return self

    def __str__(self):
        return "Pin(%d)" % self._id

    __repr__ = __str__


def _edge(event):
    pin = Pin._all.get(event[1])
    if pin and pin._handler:
        pin._handler(pin)


handlers["p"] = _edge


class RTC:
    def memory(self, *data):
        return call("rtc_memory", *data)

    def datetime(self, *when):
        return call("rtc_datetime", *when)


if _ZEPHYR:
    del RTC


def __getattr__(name):
    # What a small program seldom uses costs no memory before it is asked for.
    if " " + name + " " in _CALLS:
        return caller(name)
    if name in _CLASSES:
        return getattr(__import__("_" + name.lower()), name)
    if name == "sleep" and not _ZEPHYR:
        return caller("lightsleep")
    raise AttributeError(name)
