"""Devices that pass for a button: they send its code, take the link and answer writes."""

import secrets

from sim.radio.air import Air
from sim.radio.fake_button import FakeButton
from sim.realtime.world import World
from wire import state


class Impostor(FakeButton):
    """`shows`: one of faults.SHOWN, what whoever reads its state gets."""

    def __init__(self, air: Air, name: str, shows: str) -> None:
        super().__init__(air, name)
        self._shows = shows

    def _shown(self) -> bytes:
        if self._shows == "echo":
            return self.written[-1] if self.written else b""
        return secrets.token_bytes(state.VALUE_BYTES) if self._shows == "rubbish" else b""


async def impersonate(world: World, button: str, shows: str, count: int) -> None:
    """Send each code of `button` from `count` addresses more, from the one that is on the air on."""
    impostors = [Impostor(world.air, f"impostor-{number}", shows) for number in range(count)]
    try:
        async for e in world.stream():
            if e.what == "session" and e.data["button"] == button:
                for impostor in impostors:
                    await impostor.show(bytes.fromhex(e.data["code"]))
    finally:
        for impostor in impostors:
            impostor.silence()
