"""Signs of life beyond what the centre takes: refused before they are read, which costs next to nothing."""

import asyncio

from centre.rules.flow import Flow
from centre.rules.refusals import Refused

HOLD_S = 2.0
HELD_MAX = 1000


class Shedding:
    """A refusal is held back, as long as not too many are: who waits for an answer sends nothing meanwhile.

    The connection stays: a new one would cost us a TLS handshake, which is more than many refusals.
    """

    def __init__(self, per_s: int, retry_after_s: int) -> None:
        self._flow, self._retry_after_s = Flow(per_s), retry_after_s
        self._held = 0

    async def pass_or_refuse(self) -> None:
        """Raises Refused("shed")."""
        if self._flow.takes(int(asyncio.get_running_loop().time() * 1000)):
            return
        if self._held < HELD_MAX:
            self._held += 1
            try:
                await asyncio.sleep(HOLD_S)
            finally:
                self._held -= 1
        raise Refused("shed", retry_after_s=self._retry_after_s)
