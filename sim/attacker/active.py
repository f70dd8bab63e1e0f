"""What a stalker tries in a running world: replays, forges, jams and replays, connects, reads, writes.

The stalker has heard everything up to here. Whether an attempt succeeded is read off the events: the centre's
incidents, and what the button says it has taken.
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from bridge.rules.expected_codes import uuid_text
from bridge.store.home import Home
from bridge.store.journal import read_presses
from sim.attacker.questions import truth
from sim.judge.events import WorldEvent
from sim.radio.adverts import Heard, uuids_128
from sim.radio.bleak_backend import backends
from sim.radio.fake_button import FakeButton
from sim.realtime.world import Trouble, World
from sim.recording.record import host_port
from sim.recording.replay import registered
from wire import codes, receipts, state
from wire.codes import RECEIPT_XOR, STATE_XOR, characteristic
from wire.keys import Mac

NAME = "attacker"
FORGED = 12
SAID_S, FORGED_S, JAMMED_S = 3.0, 0.12, 4.0
CONNECT_S, TAKE_S = 10.0, 30.0
FAR_M = 100_000.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """`succeeded` None: it could not be tried here."""

    what: str
    came: str
    succeeded: bool | None


class Attacker:
    """A stalker who also sends. `heard` grows while the stalker listens."""

    def __init__(self, world: World, heard: Sequence[Heard]) -> None:
        self._world, self._heard = world, heard
        self._scanner, self._client = backends(*host_port(world.hci), f"{NAME}-phone")
        self._fake_button = FakeButton(world.air, NAME)
        self._normal = world.air.medium.distance_m
        self._phones = [name for name in world.programs if name != "centre"]
        self._button = next(iter(world.buttons.values()))
        registry = world.home / self._button.name / "registry.jsonl"
        self._devices = registered(registry, (0, 0))
        self.attempts: list[Attempt] = []

    async def attack(self) -> None:
        """Try everything, one after the other; afterwards what must always hold, must still hold."""
        before = self._last_press()
        await self._replay(before)
        await self._forge(before)
        self._jam(True)
        try:
            code = await self._press(before)
            if code is not None:
                await self._read_and_write(code)
                await self._deliver_late(code)
        finally:
            self._jam(False)
        if code is not None:
            await self._stop()

    # -- replay and forge -----------------------------------------------------------------------------

    def _last_press(self) -> bytes | None:
        """Return the code of the last press that was heard (the truth is only to know which one to use)."""
        whose = truth(list(self._heard), self._devices)
        found = [data for data, (_, event) in whose.items() if event in codes.PRESSES]
        return next(uuids_128(found[-1])) if found else None

    async def _replay(self, code: bytes | None) -> None:
        what = "replays the code of a press that was heard earlier"
        if code is None:
            self._tried(what, "no press was on the air that could have been heard", None)
            return
        since = len(self._world.events)
        await self._say(code, SAID_S)
        new = self._counted(since)
        wrote = len(self._fake_button.written)
        lured = f"; the phone came and left {wrote} receipt(s) of that press there" if wrote else ""
        self._tried(what, f"{_events(new)}{lured}", bool(new))

    async def _forge(self, code: bytes | None) -> None:
        since = len(self._world.events)
        for number in range(FORGED):
            forged = _drawn() if code is None or number % 2 else _flipped(code)
            await self._say(forged, FORGED_S)
        new = self._counted(since)
        what = f"forges {FORGED} codes, half of them a heard one with a bit changed"
        self._tried(what, _events(new), bool(new))

    async def _say(self, code: bytes, for_s: float) -> None:
        try:
            await self._fake_button.show(code)
            await asyncio.sleep(for_s)
        finally:
            self._fake_button.silence()

    # -- jam ------------------------------------------------------------------------------------------

    def _jam(self, on: bool) -> None:
        """Keep the phones and the button from hearing each other; the stalker hears both."""
        normal = self._normal

        def jammed(one: str, other: str) -> float:
            apart = {one, other} & set(self._phones) and {one, other} & set(self._world.buttons)
            return FAR_M if apart else normal(one, other)

        self._world.air.change(distance_m=jammed if on else normal)
        self._world.record(NAME, "jams" if on else "stops jamming")

    async def _press(self, before: bytes | None) -> bytes | None:
        """Press while the stalker jams, and return the code that the stalker hears."""
        self._pressed_at_s = time.monotonic()
        self._since = len(self._world.events)
        self._world.record("hand", "acts", button=self._button.name, does="press")
        try:
            await self._button.press()
        except Trouble:
            self._tried("jams a press", "the button did not take one: it is off, or broken", None)
            return None
        for _ in range(100):
            code = self._last_press()
            if code not in (None, before):
                await asyncio.sleep(JAMMED_S)
                return code
            await asyncio.sleep(0.1)
        self._tried("jams a press", "the stalker did not hear it either", None)
        return None

    async def _deliver_late(self, code: bytes) -> None:
        what = "jams a press, and replays it later"
        since = len(self._world.events)
        if self._counted(self._since):
            self._tried(what, "it came before it could be jammed, or by another way", None)
            return
        await self._say(code, SAID_S)
        new = self._counted(since)
        if not new:
            self._tried(what, "the phone did not take it: it is off, or away", None)
            return
        late_s = time.monotonic() - self._pressed_at_s
        ages = {self._age(e) for e in new if e.what == "heard"}
        told = "its age is told as unknown" if ages == {None} else f"its age is told as {ages}"
        self._tried(what, f"the button's own press came, {late_s:.0f} s late; {told}", ages != {None})

    def _age(self, heard: WorldEvent) -> int | None:
        journal = Home(self._world.home / heard.by).journal
        key = (self._button.device_id, heard.data["event"], heard.data["counter"])
        return next((press.age_s for press in read_presses(journal) if press.key == key), -1)

    # -- connect --------------------------------------------------------------------------------------

    async def _read_and_write(self, code: bytes) -> None:
        """Read and write while the press is open and nobody else is near."""
        await self._read(code)
        await self._write(code, "a made-up proof that the centre has received it", _made_up())
        for told, value in self._overheard():
            await self._write(code, told, value)

    def _overheard(self) -> Iterator[tuple[str, bytes]]:
        """Yield receipts of the press before, which went over a link that is not encrypted."""
        for name in self._phones:
            for press in read_presses(Home(self._world.home / name).journal):
                if press.device_id == self._button.device_id and press.proof:
                    mac = Mac(self._devices[0].k_heard)
                    heard = receipts.proof(mac, receipts.HEARD, press.event, press.counter)
                    received = bytes((receipts.RECEIVED,))
                    yield "a HEARD that was overheard, passed off as RECEIVED", received + heard
                    yield "the centre's own receipt, of the press before", bytes((press.stage,)) + press.proof
                    return

    async def _read(self, code: bytes) -> None:
        what = "connects and reads the state"
        values = []
        for _ in range(2):
            async with _Link(self, code) as link:
                if link is not None:
                    values.append(await link.read(STATE_XOR))
        read = [value for value in values if value]
        if not read:
            self._tried(what, "the stalker did not get through", None)
            return
        counter = self._counter().to_bytes(4, "big")
        plain = any(counter in value[4:] or len(value) != state.VALUE_BYTES for value in read)
        same = len(read) > 1 and read[0][4:] == read[1][4:] and read[0][:4] != read[1][:4]
        self._tried(what, f"{len(read[0])} sealed bytes, without the counter in them", plain or same)

    async def _write(self, code: bytes, told: str, value: bytes) -> None:
        what = f"writes {told}"
        since = len(self._world.events)
        async with _Link(self, code) as link:
            if link is None:
                self._tried(what, "the stalker did not get through", None)
                return
            await link.write(value)
        await asyncio.sleep(0.3)
        mine = [e for e in self._world.events[since:] if e.by == self._button.name]
        felt = [e for e in mine if e.what == "receipt" and e.data["args"][0] != "0"]
        refused = sum(e.what == "refused" for e in mine)
        self._tried(
            what, "felt as a receipt" if felt else f"refused {refused} time(s), nothing felt", bool(felt)
        )

    def _counter(self) -> int:
        said = [e for e in self._world.events if e.by == self._button.name and e.what == "advert"]
        return next(int(e.data["args"][1]) for e in reversed(said) if int(e.data["args"][0]) in codes.PRESSES)

    # -- afterwards -----------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Stop jamming: the press that was jammed is confirmed, once."""
        what = "stops jamming"
        name = self._button.name
        try:
            await self._world.wait_for(
                lambda e: e.by == name and e.what == "receipt" and e.data["args"][0] == "1",
                since=self._since,
                timeout_s=TAKE_S,
            )
            came = "the centre has the press, and the button its receipt"
        except Trouble:
            came = f"within {TAKE_S:g} s the press was not confirmed: the phone is off, or has no network"
        broken = [str(one) for one in self._world.judge().broken]
        self._tried(what, "; ".join([came, *broken]), bool(broken))

    def _tried(self, what: str, came: str, succeeded: bool | None) -> None:
        self.attempts.append(Attempt(what, came, succeeded))
        self._world.record(NAME, "tried", attempt=what, came=came)

    def _counted(self, since: int) -> list[WorldEvent]:
        """Return presses new to a phone or to the centre; one that comes again with its age is known."""
        return [
            e
            for e in self._world.events[since:]
            if e.data.get("event") in codes.PRESSES
            and (
                (e.what == "heard" and e.by in self._phones)
                or (e.what == "received" and e.by == "centre" and not e.data["known"])
            )
        ]

    async def connect(self, code: bytes) -> BleakClient | None:
        wanted = uuid_text(code)
        try:
            device = await BleakScanner.find_device_by_filter(
                lambda _, data: wanted in data.service_uuids, timeout=CONNECT_S, backend=self._scanner
            )
            if device is None:
                return None
            client = BleakClient(device, timeout=CONNECT_S, backend=self._client)
            await client.connect()
        except (BleakError, TimeoutError, OSError):
            return None
        return client


class _Link:
    """One connection to the button, if it can be made; ends with the block."""

    def __init__(self, attacker: Attacker, code: bytes) -> None:
        self._attacker, self._code = attacker, code
        self._client: BleakClient | None = None

    async def __aenter__(self) -> "_Link | None":
        self._client = await self._attacker.connect(self._code)
        return self if self._client else None

    async def __aexit__(self, *_: object) -> None:
        if self._client:
            await self._client.disconnect()

    async def read(self, xor: int) -> bytes:
        return await _quietly(self._reading(xor))

    async def _reading(self, xor: int) -> bytes:
        assert self._client
        return bytes(await self._client.read_gatt_char(uuid_text(characteristic(self._code, xor))))

    async def write(self, value: bytes) -> None:
        await _quietly(self._writing(value))

    async def _writing(self, value: bytes) -> bytes:
        assert self._client
        name = uuid_text(characteristic(self._code, RECEIPT_XOR))
        await self._client.write_gatt_char(name, value, response=True)
        return b""


async def _quietly(work: Awaitable[bytes]) -> bytes:
    """Wait for an answer; a button that hangs up gives an empty one."""
    try:
        return await work
    except (BleakError, TimeoutError, OSError):
        return b""


def _drawn() -> bytes:
    """Return what somebody without a key can say: any UUID of version 4."""
    return uuid.uuid4().bytes


def _flipped(code: bytes) -> bytes:
    """Return `code` with one random bit changed, and still of the form that codes have."""
    place = secrets.choice([place for place in range(16) if place not in (6, 8)])
    return code[:place] + bytes((code[place] ^ 1 << secrets.randbelow(8),)) + code[place + 1 :]


def _made_up() -> bytes:
    return bytes((receipts.RECEIVED,)) + secrets.token_bytes(16)


def _events(new: Sequence[WorldEvent]) -> str:
    if not new:
        return "nothing was counted, no incident"
    return "; ".join(f"{e.by}: {e.what} {e.data['event']} {e.data['counter']}" for e in new)
