"""What the bridge needs of the world, as Protocols. Only `app.py` constructs what stands behind them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from bridge.model import Alive, Fix, Press


class Peer(Protocol):
    """Whoever sent an advert; the radio knows what else is in it."""

    @property
    def address(self) -> str: ...


# `on_advert(peer, service_uuids, rssi)`, called for each advert in the loop's thread.
OnAdvert = Callable[[Peer, Sequence[str], int], None]


class RadioOff(Exception):
    """There is no radio to listen with; `reason` is a word for programs, the text a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class LinkLost(Exception):
    """The button is not (or no longer) at the other end. Ordinary: it is tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Log(Protocol):
    """What the bridge says; the events and their fields are in log.py."""

    def __call__(self, what: str, **fields: Any) -> None: ...


class Store(Protocol):
    """The journal. Called in one thread; `write` returns None or the reason why it must wait."""

    def load(self) -> tuple[list[Press], list[Alive], str | None]: ...

    def write(self, *rows: Press | Alive) -> str | None: ...

    def close(self) -> None: ...


class Answer(Protocol):
    """The centre has the press on disk."""

    @property
    def incident(self) -> str: ...
    @property
    def stage(self) -> int: ...
    @property
    def proof(self) -> bytes: ...
    @property
    def known(self) -> bool: ...
    @property
    def dropped(self) -> Sequence[str]: ...


class Receipt(Protocol):
    """A later stage, from the centre's stream."""

    @property
    def event_id(self) -> str: ...
    @property
    def stage(self) -> int: ...
    @property
    def proof(self) -> bytes: ...


class Centre(Protocol):
    """The emergency communication centre. Everything raises `https.CentreError`."""

    async def post_alarm(self, token: str, alarm: dict[str, Any]) -> Answer: ...

    def receipts(self, token: str, incident: str, last_event_id: str | None) -> AsyncGenerator[Receipt]: ...


class Link(Protocol):
    """A connection to a button. Everything raises LinkLost; every wait is bounded."""

    async def write_receipt(self, value: bytes) -> None: ...

    async def read_state(self) -> bytes: ...

    @property
    def is_up(self) -> bool: ...


class Radio(Protocol):
    """Hears adverts (the callback goes into the constructor) and connects to whom it heard."""

    filtered: bool  # scans by a list of codes, which must be renewed

    async def scan(self, codes: Sequence[str]) -> None:
        """Start, or start again where the system filters by these codes. Raises RadioOff."""

    async def stop(self) -> None: ...

    def link(
        self, peer: Peer, code: bytes, on_lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[Link]: ...


class Location(Protocol):
    """A source of positions. Never waits: the alarm does not."""

    def latest(self, now_ms: int) -> Fix | None:
        """The best fix at hand at `now_ms` (since 1970), with the time it was taken."""
