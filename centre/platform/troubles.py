"""The one list of what is wrong: what stderr is told of, the administrator's page shows."""

from dataclasses import dataclass, replace
from typing import Any

from centre.platform.log import Log, now_ms

KEPT_MS = 7 * 86_400_000  # what was told once, and not again


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was told as `trouble`: since when, how often, and the last words."""

    reason: str
    text: str
    since_ms: int
    told_ms: int
    count: int = 1


class TroubleLog(Log):
    """A log that remembers its troubles. Reasons are few, and ours; of each the last words are kept."""

    def __init__(self, log: Log) -> None:
        """Write to `log`, whoever closes it."""
        self._log = log
        self._told: dict[str, Trouble] = {}

    def __call__(self, what: str, *, at_ms: float | None = None, **fields: Any) -> None:
        """Queue one line. A `trouble` with `over` ends the trouble of that reason."""
        if what == "trouble":
            self._remember(str(fields["reason"]), str(fields["text"]), bool(fields.get("over")))
        self._log(what, at_ms=at_ms, **fields)

    def _remember(self, reason: str, text: str, is_over: bool) -> None:
        before, at_ms = self._told.pop(reason, None), int(now_ms())
        if is_over:
            return
        if before is None:
            self._told[reason] = Trouble(reason, text, at_ms, at_ms)
        else:
            self._told[reason] = replace(before, text=text, told_ms=at_ms, count=before.count + 1)

    @property
    def troubles(self) -> list[Trouble]:
        """Return what is wrong, or was within the last days; what was told last comes first."""
        since_ms = int(now_ms()) - KEPT_MS
        self._told = {reason: one for reason, one in self._told.items() if one.told_ms >= since_ms}
        return sorted(self._told.values(), key=lambda one: -one.told_ms)

    def close(self) -> None:
        """Close what it writes to."""
        self._log.close()
