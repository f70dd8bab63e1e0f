"""The self-test on the bench: `import firmware.board.selftest as s; s.run()`.

One line per part, `selftest NAME pass|fail|skip DETAIL`. Nothing of the button's memory is changed;
its radio goes on the air under a random code for a moment.
"""

import os
import time

import bluetooth
import machine

from firmware.board import config
from firmware.board.boards import module
from firmware.board.radio import Radio

_MOTOR_MS = 300
_FILE = "selftest.tmp"
_PATTERN = b"selftest" * 32


class Skip(Exception):
    """Say that this board does not have the part."""


def run() -> int:
    """Run all parts; return how many failed."""
    board = module()
    settings, defaulted = config.load_settings(board.PINS)
    defaulted = config.load_direct(settings)[1] or defaulted
    failed = 0
    for name, part in _PARTS:
        try:
            verdict, detail = "pass", part(settings, board)
        except Skip as skip:
            verdict, detail = "skip", str(skip)
        except Exception as error:
            verdict, detail = "fail", repr(error)
            failed += 1
        print("selftest", name, verdict, detail)
    print("selftest settings", "fail" if defaulted else "pass", "a wrong value" if defaulted else "")
    for name, has in board.CAPABILITIES.items():
        print("capability", name, "yes" if has else "no")
    return failed + defaulted


def _pin(settings, board):  # type: ignore[no-untyped-def]
    pin = machine.Pin(board.pin_id(settings["button_gpio"]), machine.Pin.IN, machine.Pin.PULL_UP)
    time.sleep_ms(5)
    if pin.value() == 0:
        raise OSError("down: released it must be high")
    board.wake_on(pin, False)  # ValueError: this pin cannot
    return "released"


def _motor(settings, board):  # type: ignore[no-untyped-def]
    motor = machine.Pin(board.pin_id(settings["motor_gpio"]), machine.Pin.OUT, value=1)
    time.sleep_ms(_MOTOR_MS)
    motor.value(0)
    return "ran %d ms: did you feel it?" % _MOTOR_MS  # noqa: UP031 -- shorter as bytecode


def _radio(_settings, _board):  # type: ignore[no-untyped-def]
    radio = Radio(bluetooth.BLE())
    try:
        radio.session(os.urandom(16), False)
        if radio.advertise(152500):
            raise OSError("does not advertise")
        time.sleep_ms(200)
    finally:
        radio.off()
    return "advertised"


def _flash(_settings, _board):  # type: ignore[no-untyped-def]
    with open(_FILE, "wb") as file:
        file.write(_PATTERN)
    with open(_FILE, "rb") as file:
        same = file.read() == _PATTERN
    os.remove(_FILE)
    if not same:
        raise OSError("read back something else")
    block, _, _, free = os.statvfs(".")[:4]
    return "%d KiB free" % (block * free // 1024)  # noqa: UP031


def _rtc(_settings, board):  # type: ignore[no-untyped-def]
    if not board.CAPABILITIES["rtc_memory"]:
        raise Skip("no RTC memory")
    rtc = machine.RTC()
    kept = rtc.memory()
    try:
        rtc.memory(_PATTERN)
        if rtc.memory() != _PATTERN:
            raise OSError("read back something else")
    finally:
        rtc.memory(kept)
    return "%d bytes" % len(_PATTERN)  # noqa: UP031


def _battery(settings, board):  # type: ignore[no-untyped-def]
    if not board.CAPABILITIES["battery"]:
        raise Skip("not measured on this board")
    mv = board.battery_mv(settings["battery_gpio"])
    if not 2000 <= mv <= 5500:
        raise OSError("%d mV: is the divider there?" % mv)  # noqa: UP031
    return "%d mV" % mv  # noqa: UP031


_PARTS = (
    ("pin", _pin),
    ("motor", _motor),
    ("radio", _radio),
    ("flash", _flash),
    ("rtc", _rtc),
    ("battery", _battery),
)
