"""A button on the air, for tests of the bridge alone: says codes, keeps what is written."""

import asyncio

from bumble.device import Connection

from sim.radio.air import Air
from sim.radio.fake_button import FakeButton
from wire import codes, state
from wire.keys import Mac, derive


class AirButton(FakeButton):
    """Its root is 32 times its number, as `parts.device` has it; an impostor can seal no state with it."""

    def __init__(self, air: Air, number: int = 1, name: str = "button", *, is_impostor: bool = False) -> None:
        super().__init__(air, name)
        self.root = bytes([number]) * 32
        self._is_impostor = is_impostor
        self._own: bytes | None = None  # its state
        self._news = asyncio.Event()

    async def say(self, event: int, counter: int) -> bytes:
        """Put its code for that on the air, and return it."""
        code = codes.code(Mac(derive(self.root, "code")), event, counter)
        if not self._is_impostor:
            # No press is open by it, so that nobody learns an age from it.
            self._own = self.sealed(code, state.State(150, 0, state.AGE_UNKNOWN, counter))
        await self.show(code)
        return code

    def sealed(self, code: bytes, value: state.State) -> bytes:
        """Return what it shows while `code` is on the air."""
        return state.seal(Mac(derive(self.root, "state")), code, 1, value)

    def _shown(self) -> bytes:
        return super()._shown() if self.state is not None or self._own is None else self._own

    async def took(self, stage: int, count: int = 1, limit_s: float = 60) -> bytes:
        """Return the `count`th value written with this stage."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    news = self._news
                    found = [value for value in self.written if value[0] == stage]
                    if len(found) >= count:
                        return found[count - 1]
                    await news.wait()
        except TimeoutError:
            raise AssertionError(f"stage {stage} was not written; only {self.written}") from None

    def _on_write(self, connection: Connection, value: bytes) -> None:
        super()._on_write(connection, value)
        self._news.set()
        self._news = asyncio.Event()
