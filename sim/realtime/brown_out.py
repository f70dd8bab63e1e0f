"""A battery that gives in whenever the motor starts."""

import asyncio

from sim.faults import RTC_KEPT
from sim.realtime.world import World

_OUT_S = 0.5


async def brown_outs(world: World, button: str, keeps: str) -> None:
    """End the button's program at each start of its motor; `keeps` as sim/faults.py has it."""
    board = world.buttons[button].board
    since = len(world.events)
    try:
        async for e in world.stream(since):
            if e.by == button and e.what == "motor" and e.data["on"]:
                if keeps == RTC_KEPT:
                    await board.reset()
                else:
                    await board.power_off()
                    await asyncio.sleep(_OUT_S)
                    await board.power_on()
    finally:
        if not board.is_on:
            await board.power_on()
