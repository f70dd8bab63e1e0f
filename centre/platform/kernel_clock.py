"""What the kernel knows of this machine's clock: whether something keeps it right, how far off it may be."""

import contextlib
import ctypes
import struct
from dataclasses import dataclass

_STRUCT_BYTES = 512  # `struct timex` has 208 where a long has 64 bits
_MAXERROR_AT, _STATUS_AT = 24, 40
_TIME_ERROR, _UNSYNCHRONISED = 5, 0x40


@dataclass(frozen=True, slots=True)
class KernelClock:
    """`error_ms`: how far off it may be at most, by the kernel's own reckoning."""

    is_synchronised: bool
    error_ms: int


def read() -> KernelClock | None:
    """Ask the kernel (adjtimex(2), which changes nothing); None where it does not say, as in a sandbox."""
    buffer = ctypes.create_string_buffer(_STRUCT_BYTES)
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.sizeof(ctypes.c_long) != 8:
            return None
        state = ctypes.CDLL(None).adjtimex(buffer)
        if state < 0:
            return None
        (error_us,) = struct.unpack_from("q", buffer, _MAXERROR_AT)
        (status,) = struct.unpack_from("i", buffer, _STATUS_AT)
        return KernelClock(state != _TIME_ERROR and not status & _UNSYNCHRONISED, error_us // 1000)
    return None
