"""Whether the centre can be reached, as everybody finds who asks it for something."""

from collections.abc import Callable

from bridge.centre.errors import CentreError
from bridge.ports import Centre, Clock
from bridge.reporting.alerts import Alerts
from bridge.rules.supervision import Supervision
from bridge.tasks.background import Background

_KEPT = "presses are kept, and sent again"


class CentreReach:
    """Says so once when the centre is gone, and calls `on_back()` when it answers again."""

    def __init__(
        self,
        centre: Centre,
        supervision: Supervision,
        clock: Clock,
        alerts: Alerts,
        on_back: Callable[[], None],
    ) -> None:
        self._centre, self._supervision, self._clock = centre, supervision, clock
        self._alerts, self._on_back = alerts, on_back
        self._background = Background()
        self.is_ok: bool | None = None  # None: it has not been asked yet
        self.answered_at_ms: int | None = None  # since 1970

    def lives(self) -> None:
        """Take note that the centre has said something, be it no."""
        self._supervision.centre(True)
        self.is_ok, self.answered_at_ms = True, self._clock.now_ms()

    def answered(self) -> None:
        """Take note that the centre has taken something."""
        if "centre" in self._alerts:
            self._alerts.over("centre")
            self._on_back()
        self.lives()

    def heartbeat_failed(self, error: CentreError) -> None:
        """Take note that a heartbeat had no answer: one failure may be a wave in the network."""
        self.is_ok = False
        if not self._supervision.centre(False):
            self.unreachable(error)

    def unreachable(self, error: CentreError) -> None:
        """Say so now, and what is behind it as soon as that is known."""
        self._alerts.tell("centre", error.reason, f"{error}; {_KEPT}")
        self._background.spawn(self._explain(error))

    async def close(self) -> None:
        """End what is still being found out."""
        await self._background.cancel()

    async def _explain(self, error: CentreError) -> None:
        cause = await self._centre.explain(error)
        if cause is not error and "centre" in self._alerts:
            self._alerts.tell("centre", cause.reason, f"{cause}; {_KEPT}")
