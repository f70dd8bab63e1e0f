# esp32: wake sources and non-volatile storage.

import os

from _link import call, caller

if os.getenv("AMR_PORT") == "zephyr":
    raise ImportError("no module named 'esp32'")

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True

_CALLS = " wake_on_ulp wake_on_touch gpio_deep_sleep_hold raw_temperature mcu_temperature "


def _wake_on(kind, pins, level):
    call("wake_on", kind, [pin._id for pin in pins or ()], bool(level))


def wake_on_ext0(pin=None, level=None):
    _wake_on("ext0", pin and (pin,), level)


def wake_on_ext1(pins=None, level=None):
    _wake_on("ext1", pins, level)


def wake_on_gpio(pins=None, level=None):
    _wake_on("gpio", pins, level)


def __getattr__(name):
    if " " + name + " " in _CALLS:
        return caller(name)
    if name == "NVS":
        return __import__("_nvs").NVS
    raise AttributeError(name)
