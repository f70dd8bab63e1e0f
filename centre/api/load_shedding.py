"""Heartbeats beyond what the centre takes: refused before they are read, which costs next to nothing."""

import asyncio
import random

from centre.rules.refusals import Refused
from centre.rules.token_bucket import TokenBucket

HOLD_S = (1.0, 3.0)  # drawn between: those who came together do not return together
HELD_MAX = 1000
TOGETHER_S = 0.1  # for which heartbeats wait, to be stored in one commit


class LoadShedding:
    """A refusal is held back, as long as not too many are: who waits for an answer sends nothing meanwhile.

    The connection stays: a new one would cost us a TLS handshake, which is more than many refusals.
    """

    def __init__(self, per_s: int, retry_after_s: int) -> None:
        self._bucket = TokenBucket(per_s, burst=max(1, round(per_s * TOGETHER_S)))
        self._retry_after_s = retry_after_s
        self._held = 0

    async def pass_or_refuse(self) -> None:
        """Let one heartbeat pass, or raise Refused("shed")."""
        if self._bucket.takes(int(asyncio.get_running_loop().time() * 1000)):
            return
        if self._held < HELD_MAX:
            self._held += 1
            try:
                await asyncio.sleep(random.uniform(*HOLD_S))  # noqa: S311 -- nothing secret
            finally:
                self._held -= 1
        raise Refused("shed", retry_after_s=self._retry_after_s)

    @staticmethod
    async def until_the_next() -> None:
        """Wait for those that come within the same tenth of a second, to be committed with them.

        So the disk is left to alarms nine tenths of the time, however many heartbeats come.
        """
        await asyncio.sleep(TOGETHER_S - asyncio.get_running_loop().time() % TOGETHER_S)
