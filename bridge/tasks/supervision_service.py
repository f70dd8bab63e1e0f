"""Supervision at work: heartbeats to the centre, and what is lost told to the protected person.

What counts as lost, and after how long, is supervision.py's. The centre is asked at the pace that it
sets, and never while an alarm waits for its answer.
"""

import asyncio
import contextlib
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.centre.errors import CentreError, CentreRefused
from bridge.model import ButtonStatus, Device, Health, Press, rfc3339
from bridge.ports import AliveAnswer, Centre, Clock, Log
from bridge.reporting.alerts import Alerts
from bridge.rules.expected_codes import ExpectedCodes, Sighting
from bridge.rules.supervision import BATTERY_POLL_S, CENTRE_AGAIN_S, Supervision
from bridge.tasks.centre_reach import CentreReach
from wire import codes, state

LOOK_S = 5.0
PACE_S = 60
ALARM_FIRST_S_MAX = 15.0
# Not before: the first thing that a bridge does is to listen, and to send what waits.
FIRST_ALIVE_S = 2.0
BATTERY_MV_STEP = 20
CHECK_S_MAX = 30.0
TROUBLES_TOLD_MAX = 16
# Whoever stops us will not wait.
GOODBYE_S_MAX = 2.0

_FAULTS = (
    (state.PIN_STUCK, "stuck", "the button of {id} is pressed all the time: something sits on it"),
    (state.COUNTERS_LOST, "counters_lost", "{id} has lost its counters: have it provisioned again"),
    (state.CONFIG_DEFAULTED, "configuration", "a setting of {id} is wrong and was replaced"),
)


class SupervisionService:
    """Looks after buttons, phone and centre. `battery()`: this phone's in percent, None: nobody knows."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        *,
        supervision: Supervision,
        expected: ExpectedCodes,
        calm: Callable[[], Awaitable[None]],
        centre: Centre,
        reach: CentreReach,
        clock: Clock,
        alerts: Alerts,
        log: Log,
        battery: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._devices, self._expected, self._calm = devices, expected, calm
        self._centre, self._reach = centre, reach
        self._clock, self._alerts, self._log, self._battery = clock, alerts, log, battery
        self.rules = supervision
        for device in devices.values():
            self.rules.add(device.device_id, device.alive_period_s, clock.monotonic_ms())
        self.healths = {device_id: Health(device_id) for device_id in devices}
        self.stale: set[str] = set()
        self.heard_at_ms: dict[str, int] = {}
        self._running_since = rfc3339(clock.now_ms())

    # -- what others hand in ------------------------------------------------------------------------

    def heard(self, sighting: Sighting, now_ms: int) -> None:
        """Take a button of ours that was heard, for the first time with this code."""
        device_id = sighting.device_id
        if sighting.stale:
            self.stale.add(device_id)
            text = f"a heartbeat of {device_id} came far from its time: it may be a recording"
            self._alerts.tell(f"button {device_id} stale", "stale", text)
            return
        counts = sighting.event not in codes.PRESSES and sighting.counter < codes.SPARE_FIRST
        self._lives(device_id, now_ms, sighting.counter if counts else None)
        if sighting.event in (codes.ALIVE, codes.ALIVE_LOW):
            self._know(replace(self.healths[device_id], low=sighting.event == codes.ALIVE_LOW))

    def state_read(self, device_id: str, value: state.State, now_ms: int) -> Health:
        """Take what a button said over a link; return what is known of it now."""
        self._lives(device_id, now_ms)
        battery_mv = value.battery_20mv * BATTERY_MV_STEP or None
        faults = tuple(word for flag, word, _ in _FAULTS if value.flags & flag)
        self._know(replace(self.healths[device_id], battery_mv=battery_mv, faults=faults))
        return self.healths[device_id]

    def resume(self, health: Health) -> None:
        """Take what the journal tells of a button."""
        self.rules.resume(health.device_id, health.hearing)
        self._know(health)

    def _lives(self, device_id: str, now_ms: int, counter: int | None = None) -> None:
        self.rules.heard(device_id, self._clock.monotonic_ms(), counter)
        learnt = self.rules.learnt(device_id)
        self.healths[device_id] = replace(self.healths[device_id], hearing=learnt)
        self.heard_at_ms[device_id] = now_ms
        self.stale.discard(device_id)
        self._alerts.over(f"button {device_id} stale")
        self._alerts.over(f"button {device_id} reach")

    def _know(self, health: Health) -> None:
        self.healths[health.device_id] = health
        where = f"button {health.device_id}"
        if health.low:
            text = f"the battery of {health.device_id} is low: charge it"
            self._alerts.tell(f"{where} battery", "battery_low", text)
        else:
            self._alerts.over(f"{where} battery")
        for _, word, text in _FAULTS:
            if word in health.faults:
                self._alerts.tell(f"{where} {word}", word, text.format(id=health.device_id))
            else:
                self._alerts.over(f"{where} {word}")

    def _faults(self, device_id: str) -> tuple[str, ...]:
        """Return what it says of itself, and what we see of it."""
        stale = ("stale",) if device_id in self.stale else ()
        return (*self.healths[device_id].faults, *stale)

    def button(self, device_id: str, presses: Iterable[Press]) -> ButtonStatus:
        """Return what its protected person may see; `presses` are all that there are, of whatever button."""
        health = self.healths[device_id]
        last: dict[int, Press] = {}
        for press in presses:
            if press.device_id == device_id:
                last[press.event] = max(press, last.get(press.event, press), key=lambda it: it.heard_at_ms)
        has_pin = self._devices[device_id].has_pin
        alarm, test = last.get(codes.ALARM), last.get(codes.TEST)
        return ButtonStatus(
            device_id,
            self.heard_at_ms.get(device_id),
            self.rules.in_reach(device_id, self._clock.monotonic_ms()),
            health.low,
            health.battery_mv,
            self._faults(device_id),
            None if alarm is None else alarm.status(has_pin),
            None if test is None else test.status(has_pin),
        )

    # -- looking around -----------------------------------------------------------------------------

    async def look(self) -> None:
        """Look every few seconds who has not been heard of for too long."""
        battery_ms = 0
        while True:
            for device_id in self._devices:
                if self.rules.in_reach(device_id, self._clock.monotonic_ms()) is False:
                    text = f"{device_id} has not been heard for too long: is it near, and charged?"
                    self._alerts.tell(f"button {device_id} reach", "out_of_reach", text)
            if self._clock.monotonic_ms() >= battery_ms:
                battery_ms = self._clock.monotonic_ms() + BATTERY_POLL_S * 1000
                await self._look_at_phone()
            self._look_at_clock()
            await asyncio.sleep(LOOK_S)

    async def _look_at_phone(self) -> None:
        percent = await self._battery()
        if self.rules.phone(percent):
            text = f"the battery of this phone is low ({percent} %): charge it"
            self._alerts.tell("battery", "phone_battery_low", text)
        else:
            self._alerts.over("battery")

    def _look_at_clock(self) -> None:
        skew_s = self._centre.skew_s
        if skew_s is None:
            self._alerts.over("clock")
        else:
            direction = "slow" if skew_s > 0 else "fast"
            text = f"this machine's clock is {abs(skew_s) / 60:.0f} min {direction}: set it by the network"
            self._alerts.tell("clock", "clock_wrong", text)

    # -- heartbeats to the centre ------------------------------------------------------------------------

    async def alive(self) -> None:
        """Send heartbeats at the centre's pace. What it answers moves the prediction up."""
        await asyncio.sleep(FIRST_ALIVE_S)
        while True:
            pace_s = await self._report()
            await asyncio.sleep(pace_s)

    async def goodbye(self) -> None:
        """Send the shutdown notice: we are being stopped, and have not died. Alarms go on meanwhile."""
        if self._reach.is_ok is not True:
            return
        tokens = dict.fromkeys(device.token for device in self._devices.values())
        posts = (self._centre.post_alive(token, self._alive(token) | {"leaving": True}) for token in tokens)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S_MAX):
                await asyncio.gather(*posts, return_exceptions=True)

    async def check(self) -> bool:
        """Ask the centre now; return whether it answered."""
        try:
            async with asyncio.timeout(CHECK_S_MAX):
                await self._report()
        except TimeoutError:
            return False
        return self._reach.is_ok is True

    async def _report(self) -> float:
        """Send one heartbeat; return the seconds until the next one."""
        # An alarm's answer tells more than ours would. One that is refused for good must not silence us.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ALARM_FIRST_S_MAX):
                await self._calm()
        pace_s = PACE_S
        for token in dict.fromkeys(device.token for device in self._devices.values()):
            try:
                answer = await self._centre.post_alive(token, self._alive(token))
            except (
                CentreRefused
            ) as error:  # it lives, and has no time for us, or does not know this enrolment
                self._reach.lives()
                if error.permanent:
                    text = f"{error}; heartbeats are not taken"
                    self._alerts.tell("supervision", error.reason, text)
            except CentreError as error:
                self._reach.heartbeat_failed(error)
                return CENTRE_AGAIN_S
            else:
                pace_s = answer.next_in_s
                self._answered(answer)
        now_ms = self._clock.monotonic_ms()
        near = sum(self.rules.in_reach(device_id, now_ms) is True for device_id in self._devices)
        self._log("alive", buttons=len(self._devices), in_reach=near, next_in_s=pace_s)
        return pace_s

    def _answered(self, answer: AliveAnswer) -> None:
        for device_id, (press, alive) in answer.counters.items():
            if device_id in self._devices:
                self._expected.expect_after(device_id, press, alive)
        self._alerts.over("supervision")
        self._reach.answered()

    def _alive(self, token: str) -> dict[str, Any]:
        own = [device for device in self._devices.values() if device.token == token]
        battery = self.rules.battery_percent
        reasons = dict.fromkeys(trouble.reason for trouble in self._alerts)
        return {
            "buttons": [self._button(device.device_id) for device in own],
            "phone": {"battery_percent": battery, "model": platform.system() or None},
            "troubles": list(reasons)[:TROUBLES_TOLD_MAX],
            "running_since": self._running_since,
        }

    def _button(self, device_id: str) -> dict[str, Any]:
        health, heard_at_ms = self.healths[device_id], self.heard_at_ms.get(device_id)
        press, alive = self._expected.counters(device_id)
        return {
            "device_id": device_id,
            "heard_at": None if heard_at_ms is None else rfc3339(heard_at_ms),
            "battery_mv": health.battery_mv,
            "low": health.low,
            "in_reach": self.rules.in_reach(device_id, self._clock.monotonic_ms()),
            "lost_after_s": self.rules.lost_after_s(device_id),
            "press_counter": press,
            "alive_counter": alive,
            "faults": list(self._faults(device_id)),
        }
