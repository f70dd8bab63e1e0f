"""How much of something is taken: so many a second, whoever sends them. Pure: times are integers in ms."""


class TokenBucket:
    """A token bucket: `per_s` on the average, at once no more than `burst`."""

    def __init__(self, per_s: int, burst: int) -> None:
        assert per_s > 0 < burst
        self._per_s, self._burst = per_s, burst
        self._taken_until = 0  # in ms times `per_s`, so that nothing is lost by rounding

    def takes(self, now_ms: int) -> bool:
        """Whether one more fits; then it counts."""
        now = now_ms * self._per_s
        taken_until = max(self._taken_until, now) + 1000
        if taken_until > now + self._burst * 1000:
            return False
        self._taken_until = taken_until
        return True
