"""`amr-sim replay`: a recording through the real bridge, and what the bridge made of it.

The bridge's own tasks, expected codes, journal and radio run; a tape takes the air's place. Its journal
is new. `fast` puts the same into virtual time: there a day takes as long as its adverts take to be looked up.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.centre.client import Centre as HttpsCentre
from bridge.centre.errors import CentreDown
from bridge.clock import System
from bridge.model import Device, Key
from bridge.ports import Centre, Clock
from bridge.radio.bleak_radio import BleakRadio
from bridge.rules.expected_codes import ExpectedCodes, Sighting
from bridge.store.home import Credentials, Home, HomeError
from bridge.store.journal import Journal, read_presses
from bridge.tasks.relay import Relay
from centre.rules import registry
from sim.radio.adverts import Heard, has_codes_form, uuids_128
from sim.recording.lines import Unreadable, read
from sim.recording.replay_backend import Playback, backends
from sim.virtual.time import Clock as VirtualClock
from sim.virtual.time import Loop, Time
from wire import codes
from wire.keys import derive

EPOCH_MS = 1_790_000_000_000  # where virtual time begins
DISK_S = 0.001  # what a write takes there
SETTLE_S = 10.0  # from the last advert until all must be on disk
STARTED_S = 30.0
_NO_TOKEN = "none"  # noqa: S105 -- opens nothing


class CannotReplay(Exception):
    """What was given cannot be used; the text is a sentence."""


@dataclass(slots=True)
class Event:
    """One event of a button, as the bridge heard it."""

    key: Key
    first_ms: float
    last_ms: float
    times: int = 1
    is_stale: bool = False  # a sign of life that came far from its due time
    is_told: bool = False  # the bridge has dealt with it
    on_disk: bool = False

    @property
    def is_press(self) -> bool:
        return self.key.event in codes.PRESSES


@dataclass(slots=True)
class Replayed:
    """What became of a recording. `old`: adverts of ours that count for nothing, as their counter is past."""

    adverts: int = 0
    length_ms: float = 0.0
    events: dict[Key, Event] = field(default_factory=dict)
    old: int = 0
    foreign: int = 0
    foreign_addresses: set[str] = field(default_factory=set)
    of_codes_form: int = 0
    received: set[Key] = field(default_factory=set)  # at the centre, where there is one
    mistakes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        kept = all(event.on_disk for event in self.events.values() if event.is_press)
        return kept and not self.mistakes


class Listening(ExpectedCodes):
    """The bridge's own watch, overheard: what it took each advert for."""

    def __init__(self, replayed: Replayed) -> None:
        super().__init__()
        self._replayed = replayed
        self.playing: Heard | None = None

    def hear(self, uuids: Sequence[str], now_ms: int) -> Sighting | None:
        sighting = super().hear(uuids, now_ms)
        if self.playing is not None:
            self._note(sighting, self.playing)
        return sighting

    def _note(self, sighting: Sighting | None, heard: Heard) -> None:
        told = self._replayed
        if sighting is None:
            told.foreign += 1
            told.foreign_addresses.add(heard.address)
            told.of_codes_form += any(map(has_codes_form, uuids_128(heard.data)))
        elif event := told.events.get(sighting.key):
            event.times += 1
            event.last_ms = heard.at_ms
        elif sighting.new:
            event = Event(sighting.key, heard.at_ms, heard.at_ms, is_stale=sighting.stale)
            told.events[sighting.key] = event
        else:
            told.old += 1


class NoCentre:
    """Nobody answers. A recording that is only listened to must not raise an alarm."""

    skew_s = None

    def prepare_alarm(self, _token: str) -> None:
        """Do nothing: there is nobody to connect to."""

    async def post_alarm(self, _token: str, _alarm: dict[str, Any]) -> Any:
        raise _down()

    async def post_call_off(self, _token: str, _call_off: dict[str, Any]) -> None:
        raise _down()

    async def post_fixes(self, _token: str, _incident: str, _fixes: Sequence[dict[str, Any]]) -> None:
        raise _down()

    async def post_alive(self, _token: str, _alive: dict[str, Any]) -> Any:
        raise _down()

    async def receipts(self, _token: str, _incident: str, _last_event_id: str | None) -> Any:
        raise _down()
        yield

    async def explain(self, error: Any) -> Any:
        return error


def _down() -> CentreDown:
    return CentreDown("no_centre", "a replay has no centre")


# -- whose buttons -----------------------------------------------------------------------------------


def registered(path: Path, counters: tuple[int, int]) -> list[Device]:
    """The buttons of a registry, whose highest (press, alive) counters are known. Raises CannotReplay."""
    try:
        found = registry.read(path.read_text("utf-8"))
    except OSError as error:
        raise CannotReplay(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotReplay(f"{path} is not text") from None
    except registry.Malformed as error:
        raise CannotReplay(f"{path}: {error}") from None
    return [device_of(one.device_id, one.root, one.alive_period_s, counters) for one in found]


def device_of(
    device_id: str, root: bytes, alive_period_s: int = 900, counters: tuple[int, int] = (0, 0)
) -> Device:
    """A button as a bridge would know it that was enrolled now."""
    code, heard, state = (derive(root, label) for label in ("code", "heard", "state"))
    return Device(device_id, 0, code, heard, state, alive_period_s, *counters, token=_NO_TOKEN)


def enrolled(path: Path) -> Credentials:
    """What a bridge keeps in its home; its journal is left alone. Raises CannotReplay."""
    try:
        credentials = Home(path).read()
    except HomeError as error:
        raise CannotReplay(str(error)) from None
    if credentials is None:
        raise CannotReplay(f"no button is enrolled in {path}")
    return credentials


# -- playing -----------------------------------------------------------------------------------------


def checked(path: Path) -> None:
    """All of it can be played: nothing is, before that is known. Raises CannotReplay with the line."""
    for _ in _opened(path):
        pass


def _opened(path: Path) -> Iterator[Heard]:
    try:
        with path.open("rb") as file:
            yield from read(file)
    except Unreadable as error:
        raise CannotReplay(f"{path}: {error}; nothing was played") from None
    except OSError as error:
        raise CannotReplay(f"{path}: {error.strerror}") from None


def replay(
    path: Path, devices: Sequence[Device], journal: Path, *, fast: bool, centre: tuple[str, str] | None = None
) -> Replayed:
    """`centre`: its address and its CA; it lives in real time. Raises CannotReplay."""
    assert not (fast and centre)
    checked(path)
    played = Replayed()

    def play(clock: Clock) -> Coroutine[Any, Any, None]:
        return _play(_opened(path), devices, journal, centre, clock, played)

    if fast:
        _in_virtual_time(play, played.mistakes)
    else:
        asyncio.run(play(System()))
    on_disk = {press.key for press in read_presses(journal)}
    for event in played.events.values():
        if event.is_press:
            event.on_disk = event.key in on_disk
    return played


def _in_virtual_time(play: Callable[[Clock], Coroutine[Any, Any, None]], mistakes: list[str]) -> None:
    time = Time(random.Random(0))  # noqa: S311 -- to be the same again
    loop = Loop(time, lambda: DISK_S, mistakes.append)  # type: ignore[abstract]
    task = loop.create_task(play(VirtualClock(time, EPOCH_MS)))
    while not task.done():
        time.run(time.now_s + 10)
    task.result()


async def _play(
    adverts: Iterator[Heard],
    devices: Sequence[Device],
    journal: Path,
    centre: tuple[str, str] | None,
    clock: Clock,
    played: Replayed,
) -> None:
    tape, watch = Playback(), Listening(played)
    scanner, client = backends(tape)
    news = asyncio.Event()

    def log(what: str, **fields: Any) -> None:
        _note_log(played, what, fields)
        news.set()

    def playing(heard: Heard) -> None:
        watch.playing = heard
        played.adverts += 1

    async with _centre(centre) as the_centre:
        relay = Relay(
            devices,
            journal=Journal(journal),
            centre=the_centre,
            radio=lambda on_advert: BleakRadio(on_advert, scanner, client, filtered=False),
            log=log,
            random=random.SystemRandom().random,
            clock=clock,
            expected=watch,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        try:
            played.length_ms = await tape.play(adverts, playing)
            watch.playing = None
            await _settled(played, news, with_centre=centre is not None)
        finally:
            stop.set()
            await running


@asynccontextmanager
async def _centre(named: tuple[str, str] | None) -> AsyncGenerator[Centre]:
    if named is None:
        yield NoCentre()
        return
    async with HttpsCentre(*named) as centre:
        yield centre


def _note_log(played: Replayed, what: str, fields: dict[str, Any]) -> None:
    if what == "heard" and (event := played.events.get(_key(fields))):
        event.is_told, event.on_disk = True, fields.get("on_disk", True)
    elif what == "received":
        played.received.add(_key(fields))
    elif what == "trouble" and fields.get("reason") == "internal":
        played.mistakes.append(fields["text"])


def _key(fields: dict[str, Any]) -> Key:
    return Key(fields["device_id"], fields["event"], fields["counter"])


async def _settled(played: Replayed, news: asyncio.Event, with_centre: bool) -> None:
    """Until the bridge has dealt with all that it heard, and taken presses to the centre; or long enough."""
    try:
        async with asyncio.timeout(SETTLE_S):
            while True:
                events = list(played.events.values())
                told = all(event.is_told for event in events)
                there = all(event.key in played.received for event in events if event.is_press)
                if told and (there or not with_centre):
                    return
                news.clear()
                await news.wait()
    except TimeoutError:
        return


# -- what is told --------------------------------------------------------------------------------------


def as_text(played: Replayed, devices: Sequence[Device], with_centre: bool) -> str:
    lines = [f"{played.adverts} adverts in {played.length_ms / 1000:.1f} s"]
    lines += [_line(event, played, with_centre) for event in played.events.values()]
    heard = {key.device_id for key in played.events}
    lines += [f"nothing of {device.device_id}" for device in devices if device.device_id not in heard]
    if played.old:
        lines.append(f"old: {played.old} advert(s) of ours that count for nothing: their counter is past")
    foreign = f"foreign: {played.foreign} advert(s) of {len(played.foreign_addresses)} address(es)"
    if played.of_codes_form:
        foreign += f", {played.of_codes_form} of them with a UUID of the form that codes have"
    lines.append(foreign)
    lines += [f"the bridge's own mistake: {text}" for text in played.mistakes]
    return "\n".join(lines)


def _line(event: Event, played: Replayed, with_centre: bool) -> str:
    name, counter = codes.NAMES[event.key.event], event.key.counter
    line = f"{event.first_ms / 1000:9.3f} s  {name} {counter} of {event.key.device_id}"
    line += f", {event.times} time(s) until {event.last_ms / 1000:.3f} s"
    if event.is_stale:
        line += ", STALE"
    if event.is_press:
        line += ", on disk" if event.on_disk else ", NOT ON DISK"
        if with_centre:
            line += ", at the centre" if event.key in played.received else ", not at the centre"
    return line


def as_json(played: Replayed) -> str:
    return (
        json.dumps(
            {
                "adverts": played.adverts,
                "length_ms": played.length_ms,
                "events": [
                    event.key._asdict()
                    | {
                        "name": codes.NAMES[event.key.event],
                        "first_ms": event.first_ms,
                        "last_ms": event.last_ms,
                        "times": event.times,
                        "stale": event.is_stale,
                        "on_disk": event.on_disk,
                        "at_centre": event.key in played.received,
                    }
                    for event in played.events.values()
                ],
                "old": played.old,
                "foreign": played.foreign,
                "foreign_addresses": len(played.foreign_addresses),
                "of_codes_form": played.of_codes_form,
                "mistakes": played.mistakes,
            },
            indent=1,
        )
        + "\n"
    )
