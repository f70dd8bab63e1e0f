# machine: what an ESP32 has, as far as a program without a network uses it.

from binascii import hexlify, unhexlify

from umachine import *
from umachine import PinBase

from _link import call, handlers

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
        # As on the board, the same object for the same pin.
        pin = cls._all.get(id)
        if pin is None:
            call("pin", id)
            pin = cls._all[id] = super().__new__(cls)
            pin._id = id
            pin._handler = None
        return pin

    def __init__(self, id, mode=-1, pull=-1, **kwargs):
        if mode != -1 or pull != -1 or kwargs:
            self.init(mode, pull, **kwargs)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        call("pin_init", self._id, mode, pull, None if value is None else int(bool(value)))

    def value(self, *value):
        if not value:
            return call("pin_get", self._id)
        call("pin_set", self._id, int(bool(value[0])))

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        if wake is not None:
            call("wake_pin", self._id, wake, trigger)
        else:
            self._handler = handler
            call("pin_irq", self._id, trigger if handler else 0)
        return self

    def __repr__(self):
        return "Pin(" + str(self._id) + ")"

    __str__ = __repr__


def _edge(event):
    pin = Pin._all.get(event[1])
    if pin and pin._handler:
        pin._handler(pin)


handlers["p"] = _edge


class RTC:
    def memory(self, *data):
        if not data:
            return unhexlify(call("rtc_get"))
        call("rtc_set", hexlify(data[0]).decode())

    def datetime(self, when=None):
        from time import gmtime, time

        if when is not None:
            raise OSError(1)  # the clock is the host's
        t = gmtime(time())
        return t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0


def reset_cause():
    return call("reset_cause")


def wake_reason():
    return call("wake_reason")


def deepsleep(time_ms=None):
    call("deepsleep", time_ms)


def lightsleep(time_ms=None):
    call("lightsleep", time_ms)


sleep = lightsleep


def reset():
    call("reset", HARD_RESET)


def soft_reset():
    call("reset", SOFT_RESET)


def unique_id():
    return unhexlify(call("unique_id"))


def freq(hz=None):
    return 160000000 if hz is None else None


def disable_irq():
    return 0


def enable_irq(state=0):
    pass


def __getattr__(name):
    # Seldom used by a program this small: loaded when asked for, so that they cost no memory before.
    if name in ("ADC", "PWM", "Timer", "WDT"):
        import _peripherals

        return getattr(_peripherals, name)
    raise AttributeError(name)
