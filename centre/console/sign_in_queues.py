"""Who waits for the check of a password, and behind whom: known browsers, known networks, strangers.

Each kind has a queue, a thread and a rate of its own (rules/tries.py). So whoever guesses costs a little of
one processor, and other strangers their time, but never a user who has signed in from there before.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from centre.platform.password_hashing import Checks
from centre.rules import login_attempts
from centre.rules.refusals import Refused
from centre.rules.token_bucket import TokenBucket


class Queues:
    def __init__(self) -> None:
        self._of = {
            kind: (Checks(f"sign-in-{kind}", at_once=1), TokenBucket(*login_attempts.PER_S[kind]))
            for kind in login_attempts.KINDS
        }

    @asynccontextmanager
    async def turn(self, kind: str, login: str) -> AsyncGenerator[Checks]:
        """Wait for a turn. Raises Refused("busy"): of that kind too many try, or wait."""
        checks, flow = self._of[kind]
        if not flow.takes(int(asyncio.get_running_loop().time() * 1000)):
            raise Refused("busy")
        async with checks.turn(login):
            yield checks

    def close(self) -> None:
        for checks, _ in self._of.values():
            checks.close()
