"""What a call of the interpreter can be answered with instead of a value.

The numbers are MicroPython's own (py/mperrno.h), which are also those of its `errno` module on this
machine. On an ESP32 newlib numbers four of them otherwise (EALREADY 120, ENOTCONN 128, ETIMEDOUT 116,
EOPNOTSUPP 95 as here); a program that compares with `errno` sees no difference.
"""

EPERM = 1
EIO = 5
ENOMEM = 12
EBUSY = 16
ENODEV = 19
EINVAL = 22
EOPNOTSUPP = 95
ENOTCONN = 107
ETIMEDOUT = 110
EALREADY = 114


class CallError(Exception):
    """The call raises OSError(`errno`) in the interpreter. Negative: a code of NimBLE's or ESP-IDF's own."""

    def __init__(self, errno: int) -> None:
        super().__init__(f"OSError {errno}")
        self.errno = errno


class CallFails(Exception):
    """The call raises OSError with this text, and no number, in the interpreter."""


class BadValue(Exception):
    """The call raises ValueError with this text in the interpreter."""


class BadType(Exception):
    """The call raises TypeError with this text in the interpreter."""
