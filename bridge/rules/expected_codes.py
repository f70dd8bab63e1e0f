"""Which codes may come: the dictionary that an advert is looked up in (protocol, "Prediction").

                     dropped   un-heard and heard,     highest    next 256       multiples of 32
    press stream   ----------|  256 behind it  --------|  H  |----------------|  .   .   .   .  |
    alive stream   ------------------------------------|  H  |--- as many as the time implies --|

Pure: no clock, no radio; times are those of a clock that nobody sets and that never sleeps. Keys are the
strings that bleak reports, so that a foreign advert costs one failed look-up and no conversion. A press that
is in no dictionary is not known to be one; the bounds are therefore chosen wide, and every one of them is a
constant here.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from bridge.model import Alive, Device, Key
from wire.codes import (
    ALARM,
    ALIVE,
    ALIVE_LOW,
    CONTACT,
    PRESSES,
    RESERVE,
    SPARE_COUNT,
    SPARE_FIRST,
    TEST,
    code,
    rhythm,
)
from wire.keys import Mac

AHEAD = 256
MULTIPLES = 64
# The window is moved once in so many counters and computed so much further, to move cheaply.
STRIDE = 16
# A late press (its bridge's log, a jammed burst) is taken while it is at most this far behind.
BEHIND = 256
# Alive codes computed ahead, one by one: four months of a fast button's slots at 15 min. Beyond,
# multiples of 32 (eight hours of waiting at most), for as long as a button may have been away.
ALIVE_AHEAD_MAX = 16_384
AWAY_MS_MAX = 2 * 365 * 86_400_000
MULTIPLES_MAX = 4096
# Later than its due time by this much and a share of the wait, an ALIVE is STALE. A press holds
# a slot up for 5.5 min; an ESP32's sleep clock is some percent off.
STALE_MS = 6 * 60_000
STALE_SHARE = 20
FILTER_NEXT = 4
# A press that is open and not heard of: its CONTACTs come every minute, so it may be at any of these.
CONTACT_MS = 60_000
FILTER_MISSED = 32
FILTER_MULTIPLES = 8
# Where nobody knows when it was heard last: as far as a filter looks.
UNKNOWN_MS = FILTER_MISSED * CONTACT_MS

_ALIVES = (ALIVE, ALIVE_LOW, CONTACT)


@dataclass(frozen=True)
class Window:
    """How much is expected at once, of each stream.

    Narrower than this is for thousands of bridges in one process (a simulated city): each dictionary would
    fill megabytes.
    """

    ahead: int = AHEAD
    multiples: int = MULTIPLES
    spare: int = SPARE_COUNT


WIDE = Window()


class Sighting(NamedTuple):
    """An advert of one of our buttons. `new`: never counted before. `stale`: far from its due time."""

    device_id: str
    event: int
    counter: int
    uuid: str
    new: bool
    stale: bool

    @property
    def code(self) -> bytes:
        """Return the code as it is on the air."""
        return bytes.fromhex(self.uuid.replace("-", ""))

    @property
    def key(self) -> Key:
        """Return what was said, and by whom."""
        return Key(self.device_id, self.event, self.counter)


def uuid_text(code_bytes: bytes) -> str:
    """Return a code as bleak writes service UUIDs: lower case, with hyphens."""
    h = code_bytes.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def quick_texts(k_code: bytes) -> Callable[[int, int], str]:
    """Return a function that makes the text of a code, in half of `uuid_text(wire.codes.code(...))`'s time.

    The padded keys are hashed once, and the version and variant are set in the text.
    """
    # HMAC (RFC 2104): the message comes after one block of key XOR ipad, the result after opad.
    padded = k_code.ljust(64, b"\0")
    inner_hash = hashlib.sha256(bytes(b ^ 0x36 for b in padded))
    outer_hash = hashlib.sha256(bytes(b ^ 0x5C for b in padded))
    pack = struct.Struct(">BI").pack

    def text(event: int, counter: int) -> str:
        inner = inner_hash.copy()
        inner.update(pack(event, counter))
        outer = outer_hash.copy()
        outer.update(inner.digest())
        h = outer.hexdigest()
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"

    return text


# RFC 9562, 4.1: the two highest bits of the digit are 10.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


# `texts(k_code)(event, counter)` is the code as a text; `quick_texts`, or something that remembers.
Texts = Callable[[bytes], Callable[[int, int], str]]


class _Stream:
    """One counter's part of the dictionary: a window that only moves up, a few codes at a time."""

    def __init__(
        self, book: "dict[str, _Entry]", button: "_Button", events: tuple[int, ...], behind: int
    ) -> None:
        self._book, self._button, self._events, self._behind = book, button, events, behind
        self._keys: dict[int, list[str]] = {}
        self._low = self._end = 1
        self._last_multiple = 0
        self._hinted: list[int] = []
        self.high = 0
        self.hint = 0
        self.move_at = 0

    def add(self, counters: Iterable[int]) -> None:
        book, keys, button, events = self._book, self._keys, self._button, self._events
        quick = button.text
        for counter in counters:
            if counter in keys:
                continue
            keys[counter] = texts = []
            for event in events:
                text = quick(event, counter)
                book[text] = (button, event, counter)
                texts.append(text)

    def _drop(self, counters: Iterable[int]) -> None:
        book, keys, accepted, events = self._book, self._keys, self._button.accepted, self._events
        for counter in counters:
            for event, text in zip(events, keys.pop(counter, ()), strict=False):
                del book[text]
                accepted.discard((event, counter))

    def move(self, high: int, ahead: int, multiples: int) -> None:
        """Let `high` be the highest heard, if it is; compute what may come next, forget the oldest."""
        self.high = high = max(self.high, high)
        self.move_at = high + STRIDE
        low = max(1, high - self._behind)
        end = min(high + 1 + ahead + STRIDE, SPARE_FIRST)
        self.add(range(max(self._end, low), end))
        self._end = max(self._end, end)
        block = high // RESERVE
        last = min((block + multiples + 1) * RESERVE, SPARE_FIRST - RESERVE)
        self.add(range(max(self._last_multiple, block * RESERVE) + RESERVE, last + 1, RESERVE))
        self._last_multiple = max(self._last_multiple, last)
        gone = range(self._low, low)
        self._drop(gone if len(gone) <= len(self._keys) else [c for c in self._keys if c < low])
        self._low = low

    def expect(self, hint: int) -> bool:
        """Expect what comes after `hint`, where it is by somebody's word; return whether that is news.

        They may be wrong: what was expected before stays so, and the window itself moves when we hear it.
        """
        if hint <= self.high or hint == self.hint:
            return False
        self.hint = hint
        self._drop([counter for counter in self._hinted if not self._in_window(counter)])
        block, window = (hint // RESERVE + 1) * RESERVE, self._button.window
        ahead = range(hint + 1, min(hint + 1 + window.ahead, SPARE_FIRST))
        multiples = range(block, min(block + window.multiples * RESERVE, SPARE_FIRST), RESERVE)
        self._hinted = [counter for counter in (*ahead, *multiples) if counter not in self._keys]
        self.add(self._hinted)
        return True

    def _in_window(self, counter: int) -> bool:
        multiple = counter % RESERVE == 0 and counter <= self._last_multiple
        return self._low <= counter < self._end or (multiple and counter >= self._low)

    def texts(self, counter: int, *events: int) -> list[str]:
        """Return the codes of `counter` for a scan filter, where there are any."""
        keys = self._keys.get(counter)
        return [keys[self._events.index(event)] for event in events] if keys else []


class _Button:
    """One button's two streams, its accepted presses, and when it was last alive on time."""

    def __init__(self, device: Device, book: "dict[str, _Entry]", texts: Texts, window: Window) -> None:
        self.device, self.window = device, window
        self.period_ms = device.alive_period_s * 1000
        self.mac = Mac(device.k_code)
        self.text = texts(device.k_code)
        self.accepted: set[tuple[int, int]] = set()
        self.press = _Stream(book, self, PRESSES, BEHIND)
        self.alive = _Stream(book, self, _ALIVES, 0)
        self.heard_at_ms: int | None = None
        self.on_time: tuple[int, int] | None = None  # counter, at_ms

    def implied(self, now_ms: int) -> tuple[int, int]:
        """Return how many alive codes, and multiples, the time since the last one implies."""
        away_ms = AWAY_MS_MAX if self.heard_at_ms is None else now_ms - self.heard_at_ms
        slots = min(max(away_ms, 0), AWAY_MS_MAX) * 5 // (self.period_ms * 4)  # at most 20 % early
        dense = 0 if self.heard_at_ms is None else slots
        ahead, multiples = self.window.ahead + dense, self.window.multiples + slots // RESERVE
        return min(ahead, ALIVE_AHEAD_MAX), min(multiples, MULTIPLES_MAX)

    def move_presses(self, high: int) -> None:
        self.press.move(high, self.window.ahead, self.window.multiples)

    def may_have_missed(self, now_ms: int) -> bool:
        """Return whether it was silent for so long that a CONTACT of an open press may have gone by."""
        return self.heard_at_ms is not None and now_ms - self.heard_at_ms > CONTACT_MS

    def missed(self, now_ms: int | None) -> tuple[list[int], int]:
        """Return the slots beyond the next at which it may be by now, and the last that can be.

        With a press open it is one a minute, from whenever it was pressed; with none, by its rhythm, which
        is the period 20 % more or less. `now_ms`: None where somebody else has heard it, nobody knows when.
        """
        away_ms = UNKNOWN_MS
        if self.heard_at_ms is not None and now_ms is not None:
            away_ms = min(max(now_ms - self.heard_at_ms, 0), AWAY_MS_MAX)
        by_contact = min(away_ms // CONTACT_MS + 2, FILTER_MISSED)
        first, last = away_ms * 5 // (self.period_ms * 6), away_ms * 5 // (self.period_ms * 4) + 2
        by_rhythm = range(max(first, by_contact) + 1, min(last, first + FILTER_MISSED) + 1)
        return [*range(2, by_contact + 1), *by_rhythm], max(by_contact, last)

    def is_stale(self, counter: int, now_ms: int) -> bool:
        """Return whether it is later than the rhythm allows. CONTACTs of an open press come earlier."""
        if self.on_time is None:
            return False
        since, at_ms = self.on_time
        waited_ms = now_ms - at_ms
        allowed_ms = STALE_MS + waited_ms // STALE_SHARE
        slots = counter - since
        if waited_ms <= slots * self.period_ms * 4 // 5 + allowed_ms:
            return False
        if slots > AHEAD:  # not worth the sum
            return waited_ms > slots * self.period_ms * 6 // 5 + allowed_ms
        due_ms = sum(rhythm(self.mac, c, self.period_ms)[0] for c in range(since, counter))
        return waited_ms > due_ms + allowed_ms


_Entry = tuple[_Button, int, int]


class ExpectedCodes:
    """The dictionary of all buttons of this bridge.

    `unknown` counts codes that nobody expects, `generation` changes whenever `filter_codes()` does.
    """

    def __init__(self, texts: Texts = quick_texts, window: Window = WIDE) -> None:
        self._texts, self._window = texts, window
        self._book: dict[str, _Entry] = {}
        self._buttons: dict[str, _Button] = {}
        self.unknown = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._book)

    def add(
        self,
        device: Device,
        now_ms: int,
        accepted: Iterable[tuple[int, int]] = (),
        alive: Alive | None = None,
    ) -> None:
        """Expect `device`, whose accepted presses and last ALIVE the journal remembers."""
        button = self._buttons[device.device_id] = _Button(device, self._book, self._texts, self._window)
        button.accepted.update(accepted)
        heard = [counter for _, counter in button.accepted if counter < SPARE_FIRST]
        for stream in (button.press, button.alive):
            stream.add(range(SPARE_FIRST, SPARE_FIRST + self._window.spare))
        button.move_presses(max([device.press_counter, *heard]))
        # Mostly they are the same. Else one may be damaged, and what comes after either is expected.
        counters = (alive.counter, alive.on_time_counter) if alive else (0,)
        if alive:
            # Nobody has listened since, and a clock that was set may hide how long: as far as a filter looks.
            button.heard_at_ms = min(alive.heard_at_ms, now_ms - UNKNOWN_MS)
            button.on_time = (min(counters), alive.on_time_at_ms)
        button.alive.move(max(device.alive_counter, min(counters)), *button.implied(now_ms))
        button.alive.expect(max(counters))
        self.generation += 1

    def hear(self, uuids: Sequence[str], now_ms: int) -> Sighting | None:
        """Return which event of ours an advert with these service UUIDs is, or None: the hot path."""
        book = self._book
        for uuid in uuids:
            entry = book.get(uuid)
            if entry is not None:
                button, event, counter = entry
                if event <= TEST:
                    new = self._press(button, event, counter)
                    return Sighting(button.device.device_id, event, counter, uuid, new, False)
                return self._alive(button, event, counter, uuid, now_ms)
            if uuid[14:15] == "4":  # has a code's shape (RFC 9562, version 4), so it may be a forged one
                self.unknown += 1
        return None

    def accept(self, device_id: str, event: int, counter: int) -> bool:
        """Take a press that was learnt another way (a *state* that was read); return whether it is new."""
        return self._press(self._buttons[device_id], event, counter)

    def known(self, device_id: str, event: int, counter: int) -> bool:
        return (event, counter) in self._buttons[device_id].accepted

    def code(self, device_id: str, event: int, counter: int) -> bytes:
        return code(self._buttons[device_id].mac, event, counter)

    def lives(self, device_id: str, now_ms: int) -> None:
        """Count the rhythm anew from here: the button has answered over a link."""
        button = self._buttons[device_id]
        button.heard_at_ms, button.on_time = now_ms, (button.alive.high, now_ms)

    def alive(self, device_id: str) -> Alive | None:
        """Return what the journal keeps of a button's alive stream."""
        button = self._buttons[device_id]
        if button.heard_at_ms is None:
            return None
        assert button.on_time is not None
        return Alive(device_id, button.alive.high, button.heard_at_ms, *button.on_time)

    def expect_after(self, device_id: str, press: int, alive: int) -> None:
        """Expect what comes after these counters, too: the centre knows of them from other bridges."""
        button = self._buttons[device_id]
        news = [button.press.expect(press), button.alive.expect(alive)]
        self.generation += any(news)

    def counters(self, device_id: str) -> tuple[int, int]:
        """Return the highest (press, alive) that this bridge knows of."""
        button = self._buttons[device_id]
        return button.press.high, button.alive.high

    def tick(self, now_ms: int) -> None:
        """Expect as many alive codes as the time implies. Once a minute, for filters."""
        for button in self._buttons.values():
            button.alive.move(0, *button.implied(now_ms))
            self.generation += button.may_have_missed(now_ms)

    def filter_codes(self, now_ms: int) -> list[str]:
        """Return the codes for a system's scan filter, most needed first; buttons take turns."""
        lists = [_filter(button, now_ms) for button in self._buttons.values()]
        return [text for turn in zip_longest(*lists) for texts in turn for text in texts or ()]

    def _press(self, button: _Button, event: int, counter: int) -> bool:
        if (event, counter) in button.accepted:
            return False
        button.accepted.add((event, counter))
        # The spare range is drawn from at random, so it says nothing about what comes next.
        press = button.press
        if press.high < counter < SPARE_FIRST:
            press.high = counter
            self.generation += 1
            if counter >= press.move_at:
                button.move_presses(counter)
        return True

    def _alive(self, button: _Button, event: int, counter: int, uuid: str, now_ms: int) -> Sighting:
        if counter >= SPARE_FIRST:
            # Its counters are lost: drawn at random, so neither forward nor due means anything.
            new = (event, counter) not in button.accepted
            button.accepted.add((event, counter))
            return Sighting(button.device.device_id, event, counter, uuid, new, False)
        new = counter > button.alive.high
        stale = new and button.is_stale(counter, now_ms)
        if new:
            button.heard_at_ms = now_ms
            # A series that was recorded stays as late as its first one: STALE does not move the rhythm.
            if not stale or button.on_time is None:
                button.on_time = (counter, now_ms)
            button.alive.move(counter, *button.implied(now_ms))
            self.generation += 1
        return Sighting(button.device.device_id, event, counter, uuid, new, stale)


def _filter(button: _Button, now_ms: int) -> list[list[str]]:
    press, alive = button.press, button.alive
    hints = _after_hint(alive, 1)
    return [
        *(press.texts(press.high + ahead, ALARM, TEST) for ahead in range(1, FILTER_NEXT + 1)),
        alive.texts(alive.high + 1, CONTACT, ALIVE),
        *(press.texts(ahead, ALARM, TEST) for ahead in _after_hint(press, FILTER_NEXT)),
        *(alive.texts(ahead, CONTACT, ALIVE) for ahead in hints),
        press.texts((press.high // RESERVE + 1) * RESERVE, ALARM, TEST),
        alive.texts((alive.high // RESERVE + 1) * RESERVE, CONTACT, ALIVE),
        # What is on the air just now, to find it again when a link is lost.
        press.texts(press.high, ALARM, TEST),
        alive.texts(alive.high, CONTACT),
        *_filter_of_missed(alive, alive.high, *button.missed(now_ms)),
        *(texts for _ in hints for texts in _filter_of_missed(alive, alive.hint, *button.missed(None))),
    ]


def _filter_of_missed(alive: _Stream, high: int, missed: list[int], last: int) -> Iterator[list[str]]:
    """Yield the codes of where it may be by now, if we were out of its reach since `high`.

    With each loss of power it goes on at the next multiple, and its open press calls from there, too.
    """
    multiples = range((high // RESERVE + 1) * RESERVE, high + last + 2 * RESERVE, RESERVE)
    losses = range(multiples[0], multiples[0] + FILTER_MULTIPLES * RESERVE, RESERVE)
    yield from (alive.texts(high + slots, CONTACT, ALIVE) for slots in missed)
    yield from (alive.texts(losses[0] + slots - 1, CONTACT, ALIVE) for slots in missed)
    yield from (alive.texts(multiple, CONTACT, ALIVE) for multiple in multiples[1:FILTER_MULTIPLES])
    again = [slots for slots in missed if slots <= RESERVE]
    yield from (alive.texts(loss + slots - 1, CONTACT) for slots in (1, *again) for loss in losses[1:])


def _after_hint(stream: _Stream, count: int) -> range:
    """Return the next counters by somebody else's word, where that is ahead of what we have heard."""
    hint = stream.hint if stream.hint > stream.high else 0
    return range(hint + 1, hint + 1 + count) if hint else range(0)
