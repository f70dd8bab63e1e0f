"""What the air does to an advert, without Bumble, clock or state.

Every answer is a pure function of the seed, the time and who sends to whom: the same run asked twice,
in any order, hears the same packets. Times are integer microseconds on the air's own time line.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# Core 6.0, Vol 6, Part B, 4.4.2: one advertising event sends the PDU on each of these, in this order.
CHANNELS = (37, 38, 39)
# Our 21 bytes in an ADV_IND at 1 Mbit/s: 8 x (1 + 4 + 2 + 6 + 21 + 3) us. Longer adverts are not told apart.
AIRTIME_US = 296
# From one channel's PDU to the next: airtime, the wait for a SCAN_REQ or CONNECT_IND, and the retune.
# Core allows up to 10 ms; this is what controllers in the field do, to within a factor of two.
CHANNEL_SPACING_US = 600
# Vol 6, Part B, 4.4.2.2.1: advDelay, drawn anew for each event.
ADV_DELAY_US_MAX = 10_000

# Log-distance path loss: free space at 1 m and 2.4 GHz, then a furnished room.
TX_DBM = 0
LOSS_1M_DB = 40
ROOM_EXPONENT = 2.5
FADING_DB = 4.0
SENSITIVITY_DBM = -96  # a phone's receiver at 1 Mbit/s
DISTANCE_M = 3.0

_UNIT = float(1 << 64)


@dataclass(frozen=True)
class Duty:
    """A scanner listens for `window_us` at the start of every `interval_us`, on one channel per interval."""

    window_us: int
    interval_us: int

    def __post_init__(self) -> None:
        if not 0 < self.window_us <= self.interval_us:
            raise ValueError("a scan window is more than nothing and fits in its interval")


# What the phone's system grants a scanning app, whatever the app would like.
# desktop: Linux, active discovery (DISCOV_LE_SCAN_INT/WIN, 0x12 x 0.625 ms): always listening.
# android-*: AOSP ScanManager's SCAN_MODE_* windows and intervals; "sleeping" is LOW_POWER, screen off.
PROFILES = {
    "desktop": Duty(11_250, 11_250),
    "android-low-latency": Duty(100_000, 100_000),
    "android-balanced": Duty(183_000, 730_000),
    "android-low-power": Duty(140_000, 1_400_000),
    "android-sleeping": Duty(512_000, 10_240_000),
}


@dataclass(frozen=True)
class Reception:
    """A PDU that arrived: on which channel, how strong, and how long after the event began."""

    channel: int
    rssi_dbm: int
    delay_us: int


def _default_distance(_transmitter: str, _receiver: str) -> float:
    return DISTANCE_M


@dataclass(frozen=True)
class Medium:
    """The seeded air: `loss` is the chance that a packet in range is lost anyway.

    `distance_m(transmitter, receiver)` must itself be a pure function.
    """

    seed: int = 0
    loss: float = 0.0
    distance_m: Callable[[str, str], float] = field(default=_default_distance)

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss <= 1.0:
            raise ValueError("loss is a share between 0 and 1")

    def hears(self, transmitter: str, receiver: str, event: int, at_us: int, duty: Duty) -> Reception | None:
        """What `receiver` gets of advertising event number `event`, begun at `at_us`; None: nothing."""
        phase_us = self._phase_us(receiver, duty)
        for index, channel in enumerate(CHANNELS):
            delay_us = index * CHANNEL_SPACING_US
            interval, into_us = divmod(at_us + delay_us + phase_us, duty.interval_us)
            # A scanner that never pauses retunes at once; one that does must hear the PDU to its end.
            end_us = into_us if duty.window_us == duty.interval_us else into_us + AIRTIME_US
            if end_us > duty.window_us or CHANNELS[interval % len(CHANNELS)] != channel:
                continue
            rssi_dbm = self.rssi_dbm(transmitter, receiver, event, channel)
            if rssi_dbm < SENSITIVITY_DBM or self.loses(transmitter, receiver, event, channel):
                continue
            return Reception(channel, rssi_dbm, delay_us + AIRTIME_US)
        return None

    def listens_at_us(self, receiver: str, at_us: int, duty: Duty) -> int:
        """When a window of `receiver` is open next: `at_us` itself, or when the next one opens."""
        into_us = (at_us + self._phase_us(receiver, duty)) % duty.interval_us
        return at_us if into_us < duty.window_us else at_us + duty.interval_us - into_us

    def _phase_us(self, receiver: str, duty: Duty) -> int:
        return int(self._draw("phase", receiver) * duty.interval_us * len(CHANNELS))

    def loses(self, transmitter: str, receiver: str, event: int, channel: int) -> bool:
        """Whether this one packet is lost on its way."""
        return self.loss > 0.0 and self._draw("loss", transmitter, receiver, event, channel) < self.loss

    def answers(self, transmitter: str, receiver: str, event: int) -> bool:
        """Whether an active scanner's SCAN_REQ and the SCAN_RSP both get through after `event`."""
        request_lost = self.loses(receiver, transmitter, event, 0)
        return not request_lost and not self.loses(transmitter, receiver, event, 0)

    def rssi_dbm(self, transmitter: str, receiver: str, event: int, channel: int) -> int:
        """Path loss over the distance, and a fading of a few dB that is new for each packet."""
        distance_m = max(0.1, self.distance_m(transmitter, receiver))
        mean_dbm = TX_DBM - LOSS_1M_DB - 10 * ROOM_EXPONENT * math.log10(distance_m)
        fading_db = (self._draw("fading", transmitter, receiver, event, channel) * 2 - 1) * FADING_DB
        return round(mean_dbm + fading_db)

    def adv_delay_us(self, transmitter: str, event: int) -> int:
        """The advDelay after advertising event number `event`."""
        return int(self._draw("delay", transmitter, event) * ADV_DELAY_US_MAX)

    def _draw(self, *what: str | int) -> float:
        """A number in [0, 1) that belongs to `what` under this seed and to nothing else."""
        text = repr((self.seed, *what)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / _UNIT


def press_events(medium: Medium, transmitter: str, start_us: int, until_us: int) -> Iterator[tuple[int, int]]:
    """`(event, at_us)` of a press on the air: 20 ms for 30 s, then 152.5 ms, each plus its advDelay."""
    event, at_us = 0, start_us
    while at_us < until_us:
        yield event, at_us
        interval_us = 20_000 if at_us < start_us + 30_000_000 else 152_500
        at_us += interval_us + medium.adv_delay_us(transmitter, event)
        event += 1


def share_heard(
    presses: int = 1000,
    *,
    within_ms: int = 11_000,
    loss: float = 0.5,
    duty: Duty = PROFILES["android-sleeping"],
    seed: int = 1,
) -> float:
    """The share of `presses` of which a phone with `duty` hears at least one packet `within_ms`.

    Each press is a button and a phone of its own, so that each falls anywhere in the phone's interval.
    """
    medium = Medium(seed, loss)
    return sum(_heard(medium, f"button {n}", f"phone {n}", within_ms, duty) for n in range(presses)) / presses


def _heard(medium: Medium, button: str, phone: str, within_ms: int, duty: Duty) -> bool:
    events = press_events(medium, button, 0, within_ms * 1000)
    return any(medium.hears(button, phone, event, at_us, duty) for event, at_us in events)
