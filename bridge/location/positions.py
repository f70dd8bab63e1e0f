"""All sources at once: each is followed, started again when it ends, and heard by one selector."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.model import Fix
from bridge.ports import Source, SourceOff
from bridge.rules.fix_choice import Selector

AGAIN_S_MIN, AGAIN_S_MAX = 1.0, 30.0


class Positions:
    """The bridge's `Location`: stamps each fix with the time of its arrival, and chooses among them.

    `on_off(name, why)` is called each time that a source ends, `on_fix(name)` at each fix: whoever tells
    people says the one once, until the other comes. `boottime_ms` is the clock that nobody sets.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        boottime_ms: Callable[[], int],
        on_off: Callable[[str, SourceOff], None],
        on_fix: Callable[[str], None],
    ) -> None:
        self._sources = sources
        self._selector = Selector([source.name for source in sources])
        self.latest = self._selector.latest  # the best fix by now: `ports.Location`
        self._boottime_ms, self._on_off, self._on_fix = boottime_ms, on_off, on_fix

    async def run(self) -> None:
        """Follow all sources until cancelled; return at once where there is none."""
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                group.create_task(self._keep(source))

    async def _keep(self, source: Source) -> None:
        again_s = AGAIN_S_MIN

        def report(fix: Fix) -> None:
            nonlocal again_s
            again_s = AGAIN_S_MIN
            if fix.arrived_ms is None:  # a source may know that it is older
                fix = replace(fix, arrived_ms=self._boottime_ms())
            self._selector.offer(fix)
            self._on_fix(source.name)

        while True:
            try:
                await source.run(report)
            except SourceOff as off:
                self._on_off(source.name, off)
            except Exception as error:  # somebody's hardware, somebody's service: the others go on
                text = f"the position source {source.name} failed: {type(error).__name__}"
                self._on_off(source.name, SourceOff("internal", text))
            await asyncio.sleep(again_s)
            again_s = min(2 * again_s, AGAIN_S_MAX)
