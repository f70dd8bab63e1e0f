"""Supervision: who is still there, and within how long a loss is told. Pure; times are monotonic ms.

| what is gone | told within |
|---|---|
| the button: out of reach, or dead | as many of its periods as reception.py says, each 20 % late, and 1 min |
| the button's battery | its next heartbeat: 18 min at 15 min |
| this phone's battery | 1 min |
| the centre, or the network to it | 2 min, where the centre asks for a heartbeat every minute |
| Bluetooth | 5 s (tasks/listening.py) |

The monotonic clock stands still while the machine sleeps, and so does the button's time here: nobody
listened. The same holds while Bluetooth is off.
"""

from dataclasses import dataclass, field

from bridge.rules.reception import Reception

REACH_SLACK_MS = 60_000
# One failure may be a wave in the network; the second is news.
CENTRE_FAILURES = 2
CENTRE_AGAIN_S = 10
BATTERY_POLL_S = 60
BATTERY_BACK_PERCENT = 5


@dataclass(slots=True)
class _Button:
    period_s: int
    counted_from_ms: int  # the last heartbeat, or the start of listening
    heard: bool = False
    counter: int | None = None  # of the last heartbeat; None: who knows how many nobody listened to since
    hearing: Reception = field(default_factory=Reception)

    @property
    def lost_after_ms(self) -> int:
        return self.hearing.missed_max * self.period_s * 1200 + REACH_SLACK_MS


class Supervision:
    """What is known of buttons, centre and phone. `phone_low_percent`: below it the battery is told."""

    def __init__(self, phone_low_percent: int) -> None:
        self._phone_low_percent = phone_low_percent
        self._buttons: dict[str, _Button] = {}
        self._deaf_since_ms: int | None = 0
        self._centre_failures = 0
        self._phone_low = False
        self.battery_percent: int | None = None

    def add(self, device_id: str, alive_period_s: int, now_ms: int) -> None:
        self._buttons[device_id] = _Button(alive_period_s, now_ms)

    def learnt(self, device_id: str) -> tuple[float, ...]:
        """Return how well it is heard, to be kept."""
        return self._buttons[device_id].hearing.learnt

    def resume(self, device_id: str, learnt: tuple[float, ...]) -> None:
        self._buttons[device_id].hearing = Reception(*learnt)

    def listening(self, yes: bool, now_ms: int) -> None:
        """Take note that the radio hears again, or no more."""
        if not yes:
            self._deaf_since_ms = now_ms if self._deaf_since_ms is None else self._deaf_since_ms
        elif self._deaf_since_ms is not None:
            for button in self._buttons.values():
                # What it may have said meanwhile nobody heard.
                button.counted_from_ms += now_ms - max(self._deaf_since_ms, button.counted_from_ms)
                button.counter = None
            self._deaf_since_ms = None

    @property
    def is_listening(self) -> bool:
        return self._deaf_since_ms is None

    def heard(self, device_id: str, now_ms: int, counter: int | None = None) -> None:
        """Take note that it lives; `counter`: its alive counter, where that was what was heard."""
        button = self._buttons[device_id]
        button.counted_from_ms, button.heard = now_ms, True
        if counter is not None:
            if button.counter is not None and counter > button.counter:
                button.hearing.heard(counter - button.counter - 1)
            button.counter = counter

    def lost_after_s(self, device_id: str) -> int:
        """Return after how long without a heartbeat it is taken for out of reach."""
        return -(-self._buttons[device_id].lost_after_ms // 1000)

    def in_reach(self, device_id: str, now_ms: int) -> bool | None:
        """Return whether it is in reach; None: not known (not listening, or not long enough yet)."""
        button = self._buttons[device_id]
        if self._deaf_since_ms is not None:
            return None
        if now_ms - button.counted_from_ms > button.lost_after_ms:
            return False
        return True if button.heard else None

    def centre(self, answered: bool) -> bool:
        """Take note that a post was answered, or not; return whether the centre counts as reachable."""
        self._centre_failures = 0 if answered else self._centre_failures + 1
        return self._centre_failures < CENTRE_FAILURES

    def phone(self, battery_percent: int | None) -> bool:
        """Take what the phone's battery has; return whether it is low. It must rise a little to be well."""
        self.battery_percent = battery_percent
        if battery_percent is not None:
            limit = self._phone_low_percent + (BATTERY_BACK_PERCENT if self._phone_low else 0)
            self._phone_low = battery_percent < limit
        return self._phone_low
