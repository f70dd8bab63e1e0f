"""Visits to one button: connect while it can be heard, carry out what is to be said.

              advert of ours             connected               nothing more to say, or
    LISTENING --------------> CONNECTING ---------> VISITING --- a newer code is on the air --+
        ^                         |                    |                                      |
        +--- again, a bit later --+------- lost -------+--------------------------------------+

A lost link is ordinary. When to connect is rules/calls.py's to say, and what to say rules/visit.py's.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Protocol

from bridge.model import Device, Key, Press
from bridge.ports import Clock, Link, LinkLost, Peer, Radio
from bridge.rules.calls import ADDRESSES_MAX, Calls, Reaction
from bridge.rules.expected_codes import Sighting
from bridge.rules.visit import Then, Visit, Wait, Write
from wire import codes, receipts, state
from wire.keys import InvalidMessage, Mac

# The button keeps a link 10 min after RECEIVED; one that outlives this is not alive.
VISIT_S_MAX = 15 * 60.0
LINKS_MAX = 4


class _BadState(LinkLost):
    """Whoever is linked knows the code that is on the air, and not the button's key."""


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

    def taken(self, key: Key, stage: int) -> None:
        """Take note that the button itself has taken `stage`."""

    def refused(self, reason: str) -> None:
        """Count something on the air that was not what a button of ours sends."""


class Visitor:
    """Visits one button. `note` and `wake` are called by others, `run` is its task."""

    def __init__(self, device: Device, host: Host, radio: Radio, links: Links, clock: Clock) -> None:
        self._host, self._radio, self._links, self._clock = host, radio, links, clock
        self._mac_heard, self._mac_state = Mac(device.k_heard), Mac(device.k_state)
        self._signal = asyncio.Event()
        self._calls = Calls()
        self._peers: dict[str, Peer] = {}  # by address, the last one at the end
        self._limit: asyncio.Timeout | None = None  # of the visit that goes on
        self._leaving = False

    def note(self, peer: Peer, sighting: Sighting, rssi: int) -> None:
        """Take an advert of this button, connectable or not, straight from the scan callback."""
        reaction = self._calls.heard(peer.address, sighting, rssi, self._clock.monotonic_ms())
        if reaction is Reaction.NOTHING:
            return
        self._peers[peer.address] = peer
        if len(self._peers) > 2 * ADDRESSES_MAX:
            self._forget_peers()
        self._signal.set()
        if reaction is Reaction.END:
            self._end_in(0)
        else:
            self._bound()

    def _forget_peers(self) -> None:
        """Forget whom nobody will visit."""
        self._peers = {address: peer for address, peer in self._peers.items() if address in self._calls}

    def _bound(self) -> None:
        """End the visit in time, where others have the same code and it has not shown its state."""
        until_ms = self._calls.until_ms()
        if until_ms is not None:
            self._end_in(until_ms - self._clock.monotonic_ms())

    def _end_in(self, ms: int) -> None:
        now_s = asyncio.get_running_loop().time()
        ends_s = None if self._limit is None or self._limit.expired() else self._limit.when()
        if self._limit is not None and ends_s is not None and ends_s > now_s:  # else it is over
            self._limit.reschedule(now_s + max(ms, 0) / 1000)

    def wake(self) -> None:
        """Look again: a press may be on disk, a receipt may be here."""
        self._signal.set()

    def leave(self) -> None:
        """End the visit: others need the link more."""
        self._leaving = True
        self._signal.set()

    async def run(self) -> None:
        """Visit the button whenever it is heard, until cancelled."""
        calls = self._calls
        while True:
            self._signal.clear()
            if not calls.is_due(self._clock.monotonic_ms()):
                await self._signal.wait()
                continue
            latest = calls.latest
            address, sighting = calls.begin(self._clock.monotonic_ms())
            peer, is_lost = self._peers[address], False
            try:
                async with self._links.one():
                    await self._call_on(peer, sighting)
            except LinkLost:
                is_lost = True
            self._forget_peers()
            press = self._host.press(sighting.key)
            is_received = press is not None and press.delivered >= receipts.RECEIVED
            await self._pause(calls.ended(is_lost, is_received) / 1000, latest)

    async def _pause(self, limit_s: float, but: tuple[str, str] | None) -> None:
        """Wait, unless another code or address is heard."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._calls.latest == but:
                    self._signal.clear()
                    await self._signal.wait()

    async def _call_on(self, peer: Peer, sighting: Sighting) -> None:
        self._leaving = False
        try:
            async with asyncio.timeout(VISIT_S_MAX) as self._limit:
                self._calls.connecting(peer.address, self._clock.monotonic_ms())
                self._bound()
                async with self._radio.link(peer, sighting.code, self.wake) as link:
                    await self._converse(link, sighting)
        except _BadState:
            self._calls.is_false(peer.address)
            raise
        except TimeoutError:
            raise LinkLost("over") from None
        finally:
            self._limit = None
            self._calls.disconnected()

    async def _converse(self, link: Link, sighting: Sighting) -> None:
        visit = Visit(sighting)
        while not self._leaving:
            self._signal.clear()
            press = None if visit.key is None else self._host.press(visit.key)
            step = visit.next(press, self._host.is_kept(sighting), self._calls.is_contested())
            if step is Then.LEAVE:
                if visit.was_check_in:
                    self._calls.was_check_in(sighting)
                return
            if not link.is_up:
                raise LinkLost("link_lost")
            match step:
                case Write(stage):
                    await self._write(link, sighting, press, stage)
                    visit.wrote(stage)
                    self._count(visit)
                case Then.READ_STATE:
                    await self._prove(link, sighting, visit)
                case Wait(limit_ms, is_idle):
                    async with self._links.idle(self) if is_idle else nullcontext():
                        is_called = await self._called(None if limit_ms is None else limit_ms / 1000)
                    if not is_called:
                        await self._prove(link, sighting, visit)

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

    def _count(self, visit: Visit) -> None:
        """Count what was said as taken, once it is known who took it."""
        press = None if visit.key is None else self._host.press(visit.key)
        if press is None or visit.taken is None:
            return
        self._calls.taken(self._clock.monotonic_ms(), is_news=visit.taken > press.delivered)
        self._host.taken(press.key, visit.taken)

    async def _prove(self, link: Link, sighting: Sighting, visit: Visit) -> None:
        """Read the state: it shows who is linked, and how old the press is."""
        try:
            value = state.unseal(self._mac_state, sighting.code, await link.read_state())
        except InvalidMessage:
            self._host.refused("bad_state")
            raise _BadState("bad_state") from None
        self._calls.proved()
        self._end_in(int(VISIT_S_MAX * 1000))
        if sighting.event == codes.CONTACT:
            visit.contact_read(self._host.contact_read(sighting, value))
        else:
            self._host.state_read(sighting, value)
            visit.proved()
        self._count(visit)
