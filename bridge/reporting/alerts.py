"""What is not as it must be, now: said once when it begins or changes, and once when it is over."""

from collections.abc import Callable, Iterator

from bridge.model import Trouble
from bridge.ports import Clock, Log


class Alerts:
    """Keeps one trouble for each place (`where`).

    `on_change(trouble)` is called when one begins or changes, with None when one is over.
    """

    def __init__(self, clock: Clock, log: Log, on_change: Callable[[Trouble | None], None]) -> None:
        self._clock, self._log, self._on_change = clock, log, on_change
        self._now: dict[str, Trouble] = {}

    def __contains__(self, where: str) -> bool:
        return where in self._now

    def __iter__(self) -> Iterator[Trouble]:
        return iter(self._now.values())

    def tell(self, where: str, reason: str, text: str) -> None:
        """Say that something is wrong: `reason` is a word for programs, `text` a sentence for people."""
        before = self._now.get(where)
        if before is not None and before.reason == reason:
            return
        trouble = self._now[where] = Trouble(where, reason, text, self._clock.now_ms())
        self._log("trouble", where=where, reason=reason, text=text)
        self._on_change(trouble)

    def over(self, where: str) -> None:
        """Say that it is well again, where it was not."""
        if self._now.pop(where, None) is not None:
            self._log("well", where=where)
            self._on_change(None)
