"""Visits to one button: connect while it can be heard, carry out what is to be said (rules/visit.py).

              advert of ours             connected               nothing more to say, or
    LISTENING --------------> CONNECTING ---------> VISITING --- a newer code is on the air --+
        ^                         |                    |                                      |
        +--- again, a bit later --+------- lost -------+--------------------------------------+

A lost link is ordinary.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Protocol

from bridge.model import Device, Key, Press
from bridge.ports import Clock, Link, LinkLost, Peer, Radio
from bridge.rules.expected_codes import Sighting
from bridge.rules.visit import Then, Visit, Wait, Write
from wire import codes, receipts, state
from wire.keys import InvalidMessage, Mac

# Systems report an advert once (BlueZ, as long as nothing in it changes), so silence says nothing:
# a code is tried for as long as the button may send it (protocol, "A press, from pin to silence").
PRESS_FRESH_S = 330.0
CONTACT_FRESH_S = 4.0
ATTEMPT_S_MIN = 2.0
AGAIN_S_MIN = 0.05
AGAIN_S_LOST_MAX = 1.0
AGAIN_S_IDLE_MAX = 8.0
# The button keeps a link 10 min after RECEIVED; one that outlives this is not alive.
VISIT_S_MAX = 15 * 60.0
LINKS_MAX = 4


class _BadState(LinkLost):
    """Who is linked knows the code that is on the air, and not the button's key."""


class Links:
    """At most LINKS_MAX at once; one that only awaits later stages makes room for one that waits."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LINKS_MAX)
        self._waiting = 0
        self._idle: dict[Visitor, None] = {}

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Wait for a link to be free, and hold it."""
        self._waiting += 1
        try:
            self._make_room()
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def idle(self, visitor: "Visitor") -> AsyncGenerator[None]:
        """Let `visitor` be sent away while this lasts."""
        self._idle[visitor] = None
        self._make_room()
        try:
            yield
        finally:
            self._idle.pop(visitor, None)

    def _make_room(self) -> None:
        if self._waiting and self._free.locked() and self._idle:
            visitor = next(iter(self._idle))
            del self._idle[visitor]
            visitor.leave()


class Host(Protocol):
    """What a visitor must know of presses, and whom it tells what it finds."""

    def press(self, key: Key) -> Press | None:
        """Return the row of this press, if there is one."""

    def is_kept(self, sighting: Sighting) -> bool:
        """Return whether the code is on disk, so that HEARD may be said."""

    def contact_read(self, sighting: Sighting, value: state.State) -> Key | None:
        """Take a CONTACT's state; return the press that is open."""

    def state_read(self, sighting: Sighting, value: state.State) -> None:
        """Take the state of a button that has a press on the air."""

    def written(self, key: Key, stage: int) -> None:
        """Take note that the button has answered the write of `stage`."""

    def refused(self, reason: str) -> None:
        """Count something on the air that was not what a button of ours sends."""


class Visitor:
    """Visits one button. `note` and `wake` are called by others, `run` is its task."""

    def __init__(self, device: Device, host: Host, radio: Radio, links: Links, clock: Clock) -> None:
        self._host, self._radio, self._links, self._clock = host, radio, links, clock
        self._mac_heard, self._mac_state = Mac(device.k_heard), Mac(device.k_state)
        self._signal = asyncio.Event()
        self._latest: tuple[float, Peer, Sighting] | None = None  # heard at, from whom, what
        self._visit: tuple[asyncio.Timeout, str, str] | None = None  # its limit, code and address
        self._checked_in = ""  # the CONTACT that had nothing open: calling again would tell nothing new
        self._asked = ""  # the code whose press was asked for its age: once is enough
        self._linked = False
        self._patience_s = 0.0  # until then an attempt to connect is not given up for another address
        self._leaving = False
        self._progress = False

    def note(self, peer: Peer, sighting: Sighting) -> None:
        """Take an advert of this button, connectable or not, straight from the scan callback."""
        if sighting.event in (codes.ALIVE, codes.ALIVE_LOW) or sighting.uuid == self._checked_in:
            return
        self._latest = (self._clock.monotonic_s(), peer, sighting)
        if self._visit is None:
            self._signal.set()
            return
        # A fresh code: the radio session we are at is over. The same from another address may be that
        # too, or somebody who repeats it, so it ends no link that is up, and no attempt before its time.
        # An old code may be a system's memory.
        limit, uuid, address = self._visit
        now_s = asyncio.get_running_loop().time()
        if sighting.uuid != uuid:
            elsewhere = sighting.new
        else:
            elsewhere = peer.address != address and not self._linked and now_s >= self._patience_s
        if elsewhere and not limit.expired():
            limit.reschedule(now_s)

    def wake(self) -> None:
        """Look again: a press may be on disk, a receipt may be here."""
        self._signal.set()

    def leave(self) -> None:
        """End the visit: others need the link more."""
        self._leaving = True
        self._signal.set()

    async def run(self) -> None:
        """Visit the button whenever it is heard, until cancelled."""
        again_s = AGAIN_S_MIN
        done_s = 0.0  # what was heard before is dealt with
        while True:
            self._signal.clear()
            latest = self._latest
            if latest is None or latest[0] <= done_s or not self._is_fresh(latest):
                await self._signal.wait()
                continue
            self._progress = False
            try:
                async with self._links.one():
                    await self._call_on(latest[1], latest[2])
                done_s, ceiling_s = self._clock.monotonic_s(), AGAIN_S_IDLE_MAX
            except LinkLost:
                if self._is_received(latest[2]):
                    done_s = latest[0]  # what comes later is brought at the next CONTACT
                ceiling_s = AGAIN_S_LOST_MAX
            again_s = AGAIN_S_MIN if self._progress else min(again_s * 2, ceiling_s)
            await self._pause(again_s, latest)

    def _is_fresh(self, heard: tuple[float, Peer, Sighting]) -> bool:
        heard_s, _, sighting = heard
        fresh_s = CONTACT_FRESH_S if sighting.event == codes.CONTACT else PRESS_FRESH_S
        return self._clock.monotonic_s() - heard_s < fresh_s

    def _is_received(self, sighting: Sighting) -> bool:
        press = self._host.press(sighting.key)
        return press is not None and press.delivered >= receipts.RECEIVED

    async def _pause(self, limit_s: float, but: tuple[float, Peer, Sighting]) -> None:
        """Wait, unless another code or address is heard."""
        try:
            async with asyncio.timeout(limit_s):
                while self._latest is None or self._latest[1:] == but[1:]:
                    self._signal.clear()
                    await self._signal.wait()
        except TimeoutError:
            return

    async def _call_on(self, peer: Peer, sighting: Sighting) -> None:
        code_on_air = sighting.code
        self._leaving = False
        try:
            async with asyncio.timeout(VISIT_S_MAX) as limit:
                self._visit = (limit, sighting.uuid, peer.address)
                self._patience_s = asyncio.get_running_loop().time() + ATTEMPT_S_MIN
                async with self._radio.link(peer, code_on_air, self.wake) as link:
                    self._linked = True
                    await self._converse(link, sighting, code_on_air)
        except TimeoutError:
            raise LinkLost("over") from None
        finally:
            self._visit = None
            self._linked = False

    async def _converse(self, link: Link, sighting: Sighting, code_on_air: bytes) -> None:
        visit = Visit(sighting, was_asked=sighting.uuid == self._asked)
        while not self._leaving:
            self._signal.clear()
            press = None if visit.key is None else self._host.press(visit.key)
            step = visit.next(press, self._host.is_kept(sighting))
            if step is Then.LEAVE:
                if visit.was_check_in:
                    self._checked_in = sighting.uuid
                return
            if not link.is_up:
                raise LinkLost("link_lost")
            match step:
                case Write(stage):
                    await self._write(link, sighting, press, stage)
                    visit.wrote(stage)
                case Then.READ_STATE:
                    value = await self._state(link, code_on_air)
                    visit.contact_read(self._host.contact_read(sighting, value))
                case Wait(limit_ms, is_idle):
                    async with self._links.idle(self) if is_idle else nullcontext():
                        is_called = await self._called(None if limit_ms is None else limit_ms / 1000)
                    if not is_called:
                        visit.asked()
                        await self._ask_age(link, sighting, code_on_air)

    async def _called(self, limit_s: float | None) -> bool:
        """Return whether there is news, within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._signal.wait()
        except TimeoutError:
            return False
        return True

    async def _write(self, link: Link, sighting: Sighting, press: Press | None, stage: int) -> None:
        if stage == receipts.HEARD:
            await link.write_receipt(receipts.value(self._mac_heard, stage, sighting.event, sighting.counter))
            return
        assert press is not None, "a proven stage is a press's"
        await link.write_receipt(bytes((stage,)) + press.proof)
        self._progress |= stage > press.delivered
        self._host.written(press.key, stage)

    async def _ask_age(self, link: Link, sighting: Sighting, code_on_air: bytes) -> None:
        """Ask how old the press is. A wrong answer costs no link: what has come is brought all the same."""
        self._asked = sighting.uuid
        with suppress(_BadState):
            self._host.state_read(sighting, await self._state(link, code_on_air))

    async def _state(self, link: Link, code_on_air: bytes) -> state.State:
        try:
            return state.unseal(self._mac_state, code_on_air, await link.read_state())
        except InvalidMessage:
            self._host.refused("bad_state")
            raise _BadState("bad_state") from None
