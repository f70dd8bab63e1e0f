"""How much of something is taken: so many a second, whoever sends them. Pure: times are integers in ms."""

BURST_S = 1


class Flow:
    """A token bucket: `per_s` on the average, and what one second brings at once."""

    def __init__(self, per_s: int) -> None:
        assert per_s > 0
        self._per_s = per_s
        self._taken_until = 0  # in ms times `per_s`, so that nothing is lost by rounding

    def takes(self, now_ms: int) -> bool:
        """Whether one more fits; then it counts."""
        now = now_ms * self._per_s
        taken_until = max(self._taken_until, now) + 1000
        if taken_until > now + BURST_S * 1000 * self._per_s:
            return False
        self._taken_until = taken_until
        return True
