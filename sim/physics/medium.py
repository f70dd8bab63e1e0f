"""What the air does to an advert, without Bumble, clock or state.

Every answer is a pure function of the seed, the time and who sends to whom: the same run asked twice,
in any order, hears the same packets. Times are integer microseconds on the air's own time line.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sim.physics.scan_profiles import PROFILES, Duty

__all__ = ["PROFILES", "Duty", "Medium", "Reception", "overlap", "press_events", "share_heard"]

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

# Slow fading (shadowing): two readings this far apart in space or time have little to do with each other.
# Gudmundson (Electronics Letters 27, 1991) has the shape; indoors it is metres, and people who move seconds.
SHADOW_M = 2.0
SHADOW_US = 10_000_000
# Core 6.0, Vol 6, Part A, 4.2: a receiver copes with a rival on its channel that is 21 dB weaker.
CO_CHANNEL_DB = 21
# How often somebody of a crowd advertises, on average: between the 0.1 s of a headset that wants to be found
# and the 2 s of a tag (*assumed*). Their packets are taken to be as long as ours.
CROWD_INTERVAL_US = 1_000_000
# A Wi-Fi burst, frame and answer (*assumed*): what matters is that it is longer than our packet.
BURST_US = 1_500

_ANY_CHANNEL = 0  # the one of the advert that is answered
_UNIT = float(1 << 64)


@dataclass(frozen=True)
class Reception:
    """A PDU that arrived: on which channel, how strong, and how long after the event began."""

    channel: int
    rssi_dbm: int
    delay_us: int


def _default_distance(_transmitter: str, _receiver: str) -> float:
    return DISTANCE_M


def _nothing_between(_transmitter: str, _receiver: str) -> float:
    return 0.0


def survives_crowd(advertisers: int, interval_us: int = CROWD_INTERVAL_US) -> float:
    """Return the chance that nobody of so many speaks into our packet, on one channel: pure ALOHA.

    Abramson, "The ALOHA System" (AFIPS 1970): whoever begins within a packet's length before or after ours
    collides, and each of them is on each channel once per interval. No capture: whoever is near is louder, so
    this is the worst case.
    """
    return math.exp(-2 * advertisers * AIRTIME_US / interval_us)


def survives_wifi(busy: float) -> float:
    """Return the chance that a packet meets no burst on a channel that Wi-Fi fills to the share `busy`.

    It must begin in a pause, and the pause must last. Pauses take `BURST_US` x (1 - busy) / busy
    on average, exponentially.
    """
    if busy in (0.0, 1.0):
        return 1 - busy
    return (1 - busy) * math.exp(-AIRTIME_US * busy / (BURST_US * (1 - busy)))


def overlap(at_us: int, other_us: int) -> bool:
    """Whether two advertising events that began then meet: both walk the same channels at the same pace."""
    return abs(at_us - other_us) < AIRTIME_US


@dataclass(frozen=True)
class Medium:
    """The seeded air: `loss` is the chance that a packet in range is lost anyway.

    `distance_m` and `between_db` (what walls and bodies take), each of (transmitter, receiver), must
    themselves be pure functions. `shadow_db` is the slow fading's standard deviation, `crowd` the number of
    foreign advertisers in reach, `wifi` the share of time that Wi-Fi fills of each channel.
    """

    seed: int = 0
    loss: float = 0.0
    distance_m: Callable[[str, str], float] = field(default=_default_distance)
    between_db: Callable[[str, str], float] = field(default=_nothing_between)
    shadow_db: float = 0.0
    crowd: int = 0
    wifi: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _lost: dict[int, float] = field(init=False, repr=False, compare=False)  # by channel, all causes together

    def __post_init__(self) -> None:
        if not all(0.0 <= share <= 1.0 for share in (self.loss, *self.wifi)):
            raise ValueError("loss is a share between 0 and 1")
        crowd = survives_crowd(self.crowd)
        chances = [(1 - self.loss) * crowd * survives_wifi(busy) for busy in self.wifi]
        lost = {channel: 1 - chance for channel, chance in zip(CHANNELS, chances, strict=True)}
        lost[_ANY_CHANNEL] = 1 - sum(chances) / len(chances)
        object.__setattr__(self, "_lost", lost)  # the dataclass is frozen

    def hears(
        self,
        transmitter: str,
        receiver: str,
        event: int,
        at_us: int,
        duty: Duty,
        rivals: Sequence[tuple[str, int]] = (),
    ) -> Reception | None:
        """Return what `receiver` gets of advertising event number `event`, begun at `at_us`; None: nothing.

        `rivals` are others of this air and when they begin to send, about that time.
        """
        phase_us = self._phase_us(receiver, duty)
        for index, channel in enumerate(CHANNELS):
            delay_us = index * CHANNEL_SPACING_US
            interval, into_us = divmod(at_us + delay_us + phase_us, duty.interval_us)
            # A scanner that never pauses retunes at once; one that does must hear the PDU to its end.
            end_us = into_us if duty.window_us == duty.interval_us else into_us + AIRTIME_US
            if end_us > duty.window_us or CHANNELS[interval % len(CHANNELS)] != channel:
                continue
            rssi_dbm = self.rssi_dbm(transmitter, receiver, event, channel, at_us)
            if rssi_dbm < SENSITIVITY_DBM or self.loses(transmitter, receiver, event, channel):
                continue
            if any(
                overlap(at_us, other_us) and self.drowns(rssi_dbm, other, receiver, event, channel, at_us)
                for other, other_us in rivals
            ):
                continue
            return Reception(channel, rssi_dbm, delay_us + AIRTIME_US)
        return None

    def listens_at_us(self, receiver: str, at_us: int, duty: Duty) -> int:
        """When a window of `receiver` is open next: `at_us` itself, or when the next one opens."""
        into_us = (at_us + self._phase_us(receiver, duty)) % duty.interval_us
        return at_us if into_us < duty.window_us else at_us + duty.interval_us - into_us

    def _phase_us(self, receiver: str, duty: Duty) -> int:
        return int(_drawn(self.seed, "phase", receiver) * duty.interval_us * len(CHANNELS))

    def drowns(self, rssi_dbm: int, rival: str, receiver: str, event: int, channel: int, at_us: int) -> bool:
        """Whether a packet that comes with `rssi_dbm` is drowned by the rival's at the same time."""
        return rssi_dbm - self.rssi_dbm(rival, receiver, event, channel, at_us) < CO_CHANNEL_DB

    def loses(self, transmitter: str, receiver: str, event: int, channel: int) -> bool:
        """Whether this one packet is lost on its way."""
        lost = self._lost[channel]
        return lost > 0.0 and self._draw("loss", transmitter, receiver, event, channel) < lost

    def answers(self, transmitter: str, receiver: str, event: int) -> bool:
        """Whether an active scanner's SCAN_REQ and the SCAN_RSP both get through after `event`."""
        request_lost = self.loses(receiver, transmitter, event, _ANY_CHANNEL)
        return not request_lost and not self.loses(transmitter, receiver, event, _ANY_CHANNEL)

    def rssi_dbm(self, transmitter: str, receiver: str, event: int, channel: int, at_us: int = 0) -> int:
        """Path loss, what stands between, slow fading, and a fast one of a few dB, new for each packet."""
        fading_db = (self._draw("fading", transmitter, receiver, event, channel) * 2 - 1) * FADING_DB
        return round(self._mean_dbm(transmitter, receiver, at_us) + fading_db)

    def reaches(self, transmitter: str, receiver: str, at_us: int) -> bool:
        """Whether anything at all would get through, at the best moment of the fast fading."""
        return self._mean_dbm(transmitter, receiver, at_us) + FADING_DB >= SENSITIVITY_DBM

    def _mean_dbm(self, transmitter: str, receiver: str, at_us: int) -> float:
        distance_m = max(0.1, self.distance_m(transmitter, receiver))
        mean_dbm = TX_DBM - LOSS_1M_DB - 10 * ROOM_EXPONENT * math.log10(distance_m)
        mean_dbm -= self.between_db(transmitter, receiver)
        if self.shadow_db:
            mean_dbm -= self.shadow_db * self._shadow(transmitter, receiver, distance_m, at_us)
        return mean_dbm

    def _shadow(self, one: str, other: str, distance_m: float, at_us: int) -> float:
        """Return a normal number of variance 1: half of it changes with the place, the other with time."""
        pair = min(one, other), max(one, other)  # the same both ways
        place = self._wave(("place", *pair), distance_m / SHADOW_M)
        return math.sqrt(0.5) * (place + self._wave(("time", *pair), at_us / SHADOW_US))

    def _wave(self, what: tuple[str, ...], at: float) -> float:
        """Return a normal number for every `at`, of variance 1, that little by little becomes another."""
        before = math.floor(at)
        angle = (at - before) * math.pi / 2  # sin^2 + cos^2 = 1 keeps the variance
        return math.cos(angle) * self._normal(*what, before) + math.sin(angle) * self._normal(
            *what, before + 1
        )

    def _normal(self, *what: str | int) -> float:
        """Box and Muller, "A note on the generation of random normal deviates" (1958)."""
        far = math.sqrt(-2 * math.log(1 - self._draw("far", *what)))
        return far * math.cos(2 * math.pi * self._draw("angle", *what))

    def adv_delay_us(self, transmitter: str, event: int) -> int:
        """Return the advDelay after advertising event number `event`."""
        return int(self._draw("delay", transmitter, event) * ADV_DELAY_US_MAX)

    def _draw(self, *what: str | int) -> float:
        """Return a number in [0, 1) that belongs to `what` under this seed and to nothing else."""
        return _draw(self.seed, *what)


def _draw(*what: str | int) -> float:
    text = repr(what).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / _UNIT


_drawn = lru_cache(maxsize=65_536)(_draw)  # of what is asked again for every packet


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
    """Return the share of `presses` of which a phone with `duty` hears at least one packet `within_ms`.

    Each press is a button and a phone of its own, so that each falls anywhere in the phone's interval.
    """
    medium = Medium(seed, loss)
    return sum(_heard(medium, f"button {n}", f"phone {n}", within_ms, duty) for n in range(presses)) / presses


def _heard(medium: Medium, button: str, phone: str, within_ms: int, duty: Duty) -> bool:
    events = press_events(medium, button, 0, within_ms * 1000)
    return any(medium.hears(button, phone, event, at_us, duty) for event, at_us in events)
