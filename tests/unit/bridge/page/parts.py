"""What the tests of the page share: words that betray, and a bridge in which a test lets things happen."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bridge.model import ButtonStatus, CallOff, Fix, Key, PressStatus, Status, Trouble
from wire import codes, receipts

# In any language: what somebody who looks over a shoulder, or into the browser, must not read.
FORBIDDEN = re.compile(
    r"alarm|alert|emergen|urgen|\bnood|notruf|notfall|notlage|112|\bsos\b|police|politi|polizei"
    r"|\bhelp|hulp|hilfe|\baide|secours|\bcentre|centra|meldkamer|zentral|leitstelle|danger|gevaar|gefahr"
    r"|victim|slachtoffer|opfer\b|stalk|harcel|panic|paniek|panik|duress|dwang|zwang|contrainte|threat|menace"
    r"|bedreig|bedroh|rescue|distress|safety|incident|operator|dispatch",
    re.IGNORECASE,
)

SECRET = "a-secret-of-a-test-0123456789"  # noqa: S105 -- opens nothing
TAG = "DEVICEA" + "A" * 9
NOW_MS = 1_793_266_930_000  # 2026-10-29, 10:42:10 in Brussels


class FakeBridge:
    """A bridge in which a test lets things happen; `ports.PageBridge`.

    `pins` are what the centre would take; `reached` is whether it can be asked.
    """

    def __init__(self, *pins: str) -> None:
        self.pins = pins
        self.reached = True
        self.tries: list[tuple[Key, str]] = []
        self.checks = 0
        self.broken = False  # it meets a mistake of its own
        self.outcome: CallOff | None = None  # instead of what the PIN would give
        self.hold: asyncio.Event | None = None  # a call-off waits for it
        self._changed = asyncio.Event()
        button = ButtonStatus(TAG, NOW_MS - 130_000, True, False, 3940, (), None, None)
        fix = Fix(50.8466, 4.3528, 18.0, 0.95, "GNSS", "2026-10-29T09:41:55.000Z", "gpsd")
        self.now = Status(1, NOW_MS, (button,), True, NOW_MS - 40_000, True, 64, fix, ())

    def becomes(self, **changes: Any) -> None:
        self.now = replace(self.now, generation=self.now.generation + 1, **changes)
        self._changed.set()
        self._changed = asyncio.Event()

    def button(self, **changes: Any) -> None:
        self.becomes(buttons=(replace(self.now.buttons[0], **changes), *self.now.buttons[1:]))

    def press(self, counter: int, event: int = codes.ALARM, **changes: Any) -> None:
        """Let a press be heard, or what is known of it change."""
        name = "last_press" if event == codes.ALARM else "last_test"
        before = getattr(self.now.buttons[0], name)
        if before is None or before.counter != counter:
            before = PressStatus(
                TAG, event, counter, self.now.now_ms, 0, 0, CallOff.NONE, event == codes.ALARM
            )
        self.button(**{name: replace(before, **changes), "in_reach": True, "heard_at_ms": self.now.now_ms})

    def trouble(self, *troubles: tuple[str, str]) -> None:
        self.becomes(troubles=tuple(Trouble(where, why, "", self.now.now_ms) for where, why in troubles))

    # -- ports.PageBridge ---------------------------------------------------------------------------

    def status(self) -> Status:
        return self.now

    async def changed(self, seen: int) -> None:
        while self.now.generation == seen:
            await self._changed.wait()

    async def call_off(self, key: Key, pin: str) -> CallOff:
        self.tries.append((key, pin))
        if self.broken:
            raise RuntimeError(f"cannot send {pin}")
        if self.hold is not None:
            await self.hold.wait()
        outcome = CallOff.DONE if pin in self.pins else CallOff.WRONG_PIN
        if self.outcome is not None:
            outcome = self.outcome
        self.press(key.counter, call_off=outcome, can_call_off=outcome not in (CallOff.DONE, CallOff.KEPT))
        return outcome

    async def check(self) -> bool:
        self.checks += 1
        return self.reached


def at_dispatched(bridge: FakeBridge, counter: int = 7) -> None:
    """Let a press be heard, and felt all that follows up to DISPATCHED."""
    bridge.press(counter)
    for stage in (receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.DISPATCHED):
        bridge.press(counter, stage=stage, delivered=stage)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds; the test's own time limit is the bound."""
    while not condition():  # noqa: ASYNC110 -- nobody signals what a server has heard
        await asyncio.sleep(0.01)
