"""What the tests of the bridge's commands share."""

from typing import Any

from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason


class NoRadio(BaseBleakScanner):
    """A machine without Bluetooth, which says so at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return

    async def start(self) -> None:
        raise BleakBluetoothNotAvailableError("none", BleakBluetoothNotAvailableReason.NO_BLUETOOTH)

    async def stop(self) -> None:
        return
