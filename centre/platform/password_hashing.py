"""What is slow on purpose: hashes of PINs and passwords, computed in threads of their own, few at once.

Argon2id (RFC 9106) by argon2-cffi; its C code lets go of the interpreter meanwhile.
"""

import asyncio
import secrets
import unicodedata
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from centre.rules.refusals import Refused

AT_ONCE_MAX = 2
WAITING_MAX = 32
WAITING_EACH_MAX = 4

# 19 MiB and two passes: OWASP's least for argon2id, some 30 ms a try.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
T = TypeVar("T")


def hash_of(secret: str) -> str:
    """Return what is kept of a PIN or a password: `$argon2id$...`, with its salt and cost."""
    return _HASHER.hash(_bytes(secret))


def matches(secret: str, secret_hash: str) -> bool:
    """Return whether `secret_hash` was made of `secret`."""
    try:
        return _HASHER.verify(secret_hash, _bytes(secret))
    except VerifyMismatchError:
        return False


def _bytes(secret: str) -> bytes:
    """Return the same bytes for every keyboard: an é is one character or two (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", secret).encode("utf-8", "surrogatepass")


# Where nothing is kept the same work is done, against a hash that nothing has.
NOBODYS = hash_of(secrets.token_hex())


class Checks:
    """Who may compute slow hashes, and when: not the loop nor the store's thread, so that no alarm waits."""

    def __init__(self, name: str, at_once: int = AT_ONCE_MAX) -> None:
        self._pool = ThreadPoolExecutor(at_once, name)
        self._waiting: Counter[str] = Counter()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, of: str) -> AsyncGenerator[None]:
        """One try of a button, or of a login, after the other: tries at the same time could not be counted.

        Raises Refused("busy"): of all together, or of this one, too many wait.
        """
        full = self._waiting.total() >= WAITING_MAX + AT_ONCE_MAX
        if full or self._waiting[of] > WAITING_EACH_MAX:
            raise Refused("busy")
        self._waiting[of] += 1
        lock = self._locks.get(of)
        if lock is None:
            lock = self._locks[of] = asyncio.Lock()
        try:
            async with lock:
                yield
        finally:
            self._waiting[of] -= 1
            if not self._waiting[of]:
                del self._waiting[of]

    async def run(self, slow: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(slow, *arguments))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
