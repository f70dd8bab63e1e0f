"""The floor for the bridge on BlueZ: bleak's scanner as the bridge has it, with an empty callback."""

import asyncio
import sys

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs

from bridge.radio.bleak_radio import OUR_FLAGS


async def main() -> None:
    bluez = BlueZScannerArgs(or_patterns=[OUR_FLAGS])
    async with BleakScanner(lambda _peer, _data: None, scanning_mode="passive", bluez=bluez):
        print("scanning", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
