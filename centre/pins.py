"""The wearer's PINs: kept as slow hashes, checked in threads of their own, guessed at only slowly.

Whoever watches an answer, its time or the disk cannot tell the PIN from the duress PIN: both hashes are
computed at every try, and what follows is the same work (protocol, "POST /v1/call-offs").
"""

import asyncio
import hashlib
import hmac
import secrets
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import TypeVar

from centre.rules.refusals import Refused

_LOG2_N, _R, _P = 14, 8, 1  # scrypt (RFC 7914): 16 MiB and some 50 ms a try
AT_ONCE_MAX = 2
WAITING_MAX = 32
WAITING_PER_BUTTON_MAX = 4

FREE_TRIES = 4
LOCK_MS, LOCK_MS_MAX = 60_000, 3_600_000

T = TypeVar("T")


class Verdict(Enum):
    WRONG = 0
    RIGHT = 1
    DURESS = 2


def hash_pin(pin: str) -> str:
    """What is kept of a PIN: `scrypt$log2 n$r$p$salt$hash`. Slow on purpose; not for the store's thread."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_LOG2_N}${_R}${_P}${salt.hex()}${_scrypt(pin, salt, _LOG2_N, _R, _P).hex()}"


# Where no duress PIN was set the same work is done, against a hash that nothing has.
_NOBODYS = f"scrypt${_LOG2_N}${_R}${_P}${secrets.token_hex(16)}${secrets.token_hex(64)}"


def check_pin(pin: str, pin_hash: str, duress_pin_hash: str | None) -> Verdict:
    """Slow on purpose, and equally slow whatever comes out."""
    right, duress = _matches(pin, pin_hash), _matches(pin, duress_pin_hash or _NOBODYS)
    return Verdict.DURESS if duress else Verdict.RIGHT if right else Verdict.WRONG


def _matches(pin: str, kept: str) -> bool:
    _, log2_n, r, p, salt, digest = kept.split("$")
    tried = _scrypt(pin, bytes.fromhex(salt), int(log2_n), int(r), int(p))
    return hmac.compare_digest(tried, bytes.fromhex(digest))


def _scrypt(pin: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(pin.encode("utf-8", "surrogatepass"), salt=salt, n=2**log2_n, r=r, p=p)


def lock_ms(tries: int) -> int:
    """How long no PIN is checked after so many wrong ones in a row: 1 min from the fifth on, doubling to 1 h.

    At one try an hour, four digits last for half a year on average.
    """
    if tries <= FREE_TRIES:
        return 0
    return min(LOCK_MS << min(tries - FREE_TRIES - 1, 16), LOCK_MS_MAX)


class Checks:
    """Who may compute scrypt, and when: never the loop nor the store's thread, so that no alarm waits."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE_MAX, "pins")
        self._waiting: Counter[str] = Counter()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, device_id: str) -> AsyncGenerator[None]:
        """One try of a button after the other: tries at the same time could not be counted.

        Raises Refused("busy"): of all buttons together, or of this one, too many wait.
        """
        full = self._waiting.total() >= WAITING_MAX + AT_ONCE_MAX
        if full or self._waiting[device_id] > WAITING_PER_BUTTON_MAX:
            raise Refused("busy")
        self._waiting[device_id] += 1
        lock = self._locks.get(device_id)
        if lock is None:
            lock = self._locks[device_id] = asyncio.Lock()
        try:
            async with lock:
                yield
        finally:
            self._waiting[device_id] -= 1
            if not self._waiting[device_id]:
                del self._waiting[device_id]

    async def run(self, slow: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(slow, *arguments))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
