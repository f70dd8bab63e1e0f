"""Serial ports: why one does not open, in a sentence."""

import errno

import serial
from serial.tools.list_ports import comports

from firmware.flash.errors import CommandError


def check_port(port: str) -> None:
    """Raises CommandError, with what to do, where `port` cannot be opened for us alone."""
    try:
        serial.Serial(port, exclusive=True).close()
    except (OSError, ValueError) as error:
        raise CommandError(_sentence(port, error)) from None


def usb_serial_number(port: str) -> str | None:
    """Of the USB device that `port` belongs to."""
    return next((found.serial_number for found in comports() if found.device == port), None)


def _sentence(port: str, error: OSError | ValueError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        here = ", ".join(sorted(found.device for found in comports())) or "none"
        return f"there is no port {port}; here now: {here}. Is the board plugged in?"
    if number == errno.EACCES:
        return f"you may not open {port}: join the group that owns it (often dialout) and log in again"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{port} is in use by another program: close that and run this again"
    return f"{port} cannot be opened as a serial port: {error}"
