"""Trouble that goes on is told now and then, not each time: who reads the log finds the other lines too."""

import time

from centre.platform.log import Log

EVERY_S = 60.0


class LogThrottle:
    """`trouble(reason, text)`: at most once a minute and reason. Reasons are few, and ours."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told_s: dict[str, float] = {}

    def __call__(self, reason: str, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s.get(reason, -EVERY_S) >= EVERY_S:
            self._told_s[reason] = now_s
            self._log("trouble", reason=reason, text=text)

    def over(self, reason: str, text: str) -> None:
        """Tell that it is over, where it was told."""
        if self._told_s.pop(reason, None) is not None:
            self._log("trouble", reason=reason, text=text, over=True)
