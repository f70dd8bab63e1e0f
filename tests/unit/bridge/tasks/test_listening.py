"""How the bridge keeps listening: what it tells and does where its radio hears nothing. In virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from bridge.ports import Link, Peer, RadioOff
from bridge.reporting.alerts import Alerts
from bridge.rules.expected_codes import ExpectedCodes
from bridge.rules.supervision import Supervision
from bridge.tasks.listening import Listening
from sim.virtual.time import Clock, Loop, Time

MINUTE_S = 60


class DeafRadio:
    """A scan that begins and hears nothing, until it was switched off and on as often as `cured_by` says."""

    mode = "active"

    def __init__(self, time: Time, filtered: bool = False, cured_by: int | None = None) -> None:
        self.filtered = filtered
        self.scans: list[float] = []
        self.cycles: list[float] = []
        self.advert_ms = 0
        self._time, self._cured_by = time, cured_by

    async def scan(self, codes: Sequence[str]) -> None:  # noqa: ARG002 -- the port's shape
        self.scans.append(self._time.now_s)
        if len(self.cycles) == self._cured_by:
            self._time.after(1.0, self._hear)

    def _hear(self) -> None:
        self.advert_ms = int(self._time.now_s * 1000)
        self._time.after(1.0, self._hear)

    async def power_cycle(self) -> bool:
        self.cycles.append(self._time.now_s)
        return True

    async def lost(self) -> RadioOff:
        await asyncio.Event().wait()
        raise AssertionError

    async def stop(self) -> None: ...

    @asynccontextmanager
    async def link(self, peer: Peer, code: bytes, on_lost: Callable[[], None]) -> AsyncGenerator[Link]:
        raise AssertionError(f"nobody to call: {peer}, {code.hex()}, {on_lost}")
        yield


def listen(time: Time, radio: DeafRadio, until_s: float) -> list[tuple[str, Any]]:
    """Listen by `radio`; return what was told, with its reason."""
    lines: list[tuple[str, Any]] = []
    mistakes: list[str] = []
    loop = Loop(time, lambda: 0.0, mistakes.append)  # type: ignore[abstract]  # asyncio has more than we use
    clock = Clock(time, 0)

    def log(what: str, **fields: Any) -> None:
        lines.append((what, fields.get("reason")))

    listening = Listening(
        radio,
        expected=ExpectedCodes(),
        supervision=Supervision(15),
        clock=clock,
        alerts=Alerts(clock, log, lambda _: None),
        log=log,
        buttons=1,
        last_advert_ms=lambda: radio.advert_ms,
    )
    loop.create_task(listening.run())
    time.run(until_s)
    loop.kill()
    assert not mistakes
    return lines


def test_silence_is_told_once_and_the_adapter_is_switched_off_and_on() -> None:
    """The scan is begun anew each minute; an hour of silence costs two power cycles, not sixty."""
    time = Time(Random(1))
    radio = DeafRadio(time)
    assert listen(time, radio, 60 * MINUTE_S) == [("scanning", None), ("trouble", "bluetooth_hears_nothing")]
    assert 50 <= len(radio.scans) <= 61
    assert [round(at_s / MINUTE_S) for at_s in radio.cycles] == pytest.approx([10, 30], abs=1)


def test_an_adapter_that_is_cured_is_said_to_be_well() -> None:
    """The first advert of anybody ends it, and nothing more is done."""
    time = Time(Random(1))
    radio = DeafRadio(time, cured_by=1)
    lines = listen(time, radio, 60 * MINUTE_S)
    assert lines == [("scanning", None), ("trouble", "bluetooth_hears_nothing"), ("well", None)]
    assert len(radio.cycles) == 1


def test_where_the_system_filters_silence_is_nothing_to_tell() -> None:
    """It hands over the codes on its list alone."""
    time = Time(Random(1))
    radio = DeafRadio(time, filtered=True)
    assert listen(time, radio, 600 * MINUTE_S) == [("scanning", None)]
    assert radio.cycles == []
