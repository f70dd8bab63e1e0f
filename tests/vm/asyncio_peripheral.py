# A program in the manner of aioble: the IRQ sets a flag, tasks act. The script beside it is a library.
import asyncio

import bluetooth
from common import LIMIT_MS, name_field

flag = asyncio.ThreadSafeFlag()
log = []


def irq(event, data):
    log.append((event, data[0] if data else None))
    flag.set()


async def main():
    ble = bluetooth.BLE()
    ble.active(True)
    ble.irq(irq)
    ble.gatts_register_services(((bluetooth.UUID(0x1815), ((bluetooth.UUID(0x2A56), 0x1A),)),))
    ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"order"))
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep_ms(10)
            ticks += 1

    task = asyncio.create_task(tick())
    while not log or log[-1][0] != 2:
        await asyncio.wait_for(flag.wait(), LIMIT_MS // 1000)
    task.cancel()
    assert [e for e, _ in log] == [1, 21] + [3] * 30 + [4, 2], log
    assert ticks > 0
    print("done")


asyncio.run(main())
