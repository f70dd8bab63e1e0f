"""Later stages of open alarms, as the centre's streams of receipts bring them."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing

from bridge.centre.errors import CentreError
from bridge.model import Device, Key
from bridge.ports import Centre, Receipt
from bridge.reporting.alerts import Alerts
from bridge.rules.press_flow import FOLLOW_MS, PressFlow
from bridge.tasks.background import Background
from bridge.tasks.centre_reach import CentreReach

STREAMS_MAX = 16
AGAIN_S_MIN, AGAIN_S_MAX = 0.5, 57.0


class ReceiptStreams:
    """One stream for each alarm that is followed; beyond the bound the oldest makes room."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        *,
        centre: Centre,
        reach: CentreReach,
        alerts: Alerts,
        random: Callable[[], float],
        on_receipt: Callable[[PressFlow, Receipt], None],
    ) -> None:
        self._devices, self._centre, self._reach = devices, centre, reach
        self._alerts, self._random, self._on_receipt = alerts, random, on_receipt
        self._background = Background()
        self._streams: dict[Key, asyncio.Task[None]] = {}

    def follow(self, flow: PressFlow) -> None:
        """Follow the receipts of `flow`, if that is not being done."""
        if flow.key in self._streams:
            return
        while len(self._streams) >= STREAMS_MAX:
            self._streams.pop(next(iter(self._streams))).cancel()
        task = self._streams[flow.key] = self._background.spawn(self._follow(flow))
        task.add_done_callback(lambda done: self._ended(flow.key, done))

    async def close(self) -> None:
        """End all streams."""
        await self._background.cancel()

    def _ended(self, key: Key, done: asyncio.Task[None]) -> None:
        if self._streams.get(key) is done:
            del self._streams[key]

    async def _follow(self, flow: PressFlow) -> None:
        again_s = AGAIN_S_MIN
        try:
            async with asyncio.timeout(FOLLOW_MS / 1000):
                while flow.wants_receipts:
                    if await self._read(flow):
                        again_s = AGAIN_S_MIN
                    await asyncio.sleep(again_s * (0.5 + self._random() / 2))
                    again_s = min(again_s * 2, AGAIN_S_MAX)
        except TimeoutError:
            return
        finally:
            self._alerts.over(_where(flow))

    async def _read(self, flow: PressFlow) -> bool:
        """Take receipts until the stream ends; return whether there were any."""
        press, has_come = flow.press, False
        assert press.incident is not None
        token = self._devices[press.device_id].token
        try:
            async with aclosing(self._centre.receipts(token, press.incident, press.last_event_id)) as events:
                async for receipt in events:
                    has_come = True
                    self._alerts.over(_where(flow))
                    self._on_receipt(flow, receipt)
                    self._reach.answered()
        except CentreError as error:
            if error.permanent:
                self._alerts.tell(_where(flow), error.reason, f"{error}; trying again")
            else:
                self._reach.unreachable(error)
        return has_come


def _where(flow: PressFlow) -> str:
    return f"stream {flow.press.incident}"
