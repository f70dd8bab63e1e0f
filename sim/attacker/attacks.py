"""What a stalker makes of adverts: is it the product, which are one button's, was there a press? Pure.

The stalker knows this project's source and has no key. Each attack looks at one thing, so that the report
says what gives the product away; the last of each kind puts them together. What is heard comes in *bursts*:
adverts of one address without a long pause.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from sim.attacker.scores import shares
from sim.radio.adverts import FLAGS, UUID_LISTS, Heard, has_codes_form, structures, uuids_128

PAUSE_MS = 10_000
ADV_DELAY_MS = 5.0  # advDelay's mean
FAST_MS, SLOW_MS = 20.0 + ADV_DELAY_MS, 152.5 + ADV_DELAY_MS  # wire/SPEC.md, "Advert"
BURST_MS = 3_000
AT_ONCE_MS = 1_000  # from the first advert to RECEIVED, where a phone is near
PERIOD_MS, PERIOD_SHARE = 900_000, 0.2
CONTACT_MS, CONTACT_SLACK_MS = 60_000, 4_000
NEAR_CODES_BITS = 40  # of 122 that are random, two have 61 in common; less than this never happens


@dataclass(frozen=True, slots=True)
class Burst:
    address: str
    address_type: str
    kind: str
    data: bytes
    start_ms: float
    end_ms: float
    count: int
    interval_ms: float  # of its quickest tenth
    rssi_dbm: float  # mean

    @property
    def length_ms(self) -> float:
        return self.end_ms - self.start_ms


def bursts(heard: Sequence[Heard]) -> list[Burst]:
    """In the order of their beginnings."""
    open_: dict[tuple[str, bytes], list[Heard]] = {}
    done: list[list[Heard]] = []
    for one in sorted(heard):
        key = (one.address, one.data)
        if key in open_ and one.at_ms - open_[key][-1].at_ms > PAUSE_MS:
            done.append(open_.pop(key))
        open_.setdefault(key, []).append(one)
    done += open_.values()
    return sorted(map(_burst, done), key=lambda burst: (burst.start_ms, burst.address))


def _burst(heard: list[Heard]) -> Burst:
    first, last = heard[0], heard[-1]
    gaps = sorted(b.at_ms - a.at_ms for a, b in pairwise(heard))
    quick_ms = fmean(gaps[: max(1, len(gaps) // 10)]) if gaps else 0.0
    return Burst(
        first.address,
        first.address_type,
        first.kind,
        first.data,
        first.at_ms,
        last.at_ms,
        len(heard),
        quick_ms,
        fmean(one.rssi_dbm for one in heard),
    )


Score = Callable[[Sequence[Burst]], list[float]]
Group = Callable[[Sequence[Burst]], list[int]]


def _each(look: Callable[[Burst], float]) -> Score:
    return lambda all_: [float(look(burst)) for burst in all_]


def _together(*scores: Score) -> Score:
    """Each one's opinion counts the same."""

    def score(all_: Sequence[Burst]) -> list[float]:
        opinions = [shares(one(all_)) for one in scores]
        return [fmean(of_one) for of_one in zip(*opinions, strict=True)]

    return score


# -- is it the product? ------------------------------------------------------------------------------


def _is_static(burst: Burst) -> bool:
    return burst.address_type == "random" and int(burst.address[:2], 16) >> 6 == 3


def _lists_a_code(burst: Burst) -> bool:
    return any(map(has_codes_form, uuids_128(burst.data)))


def _has_our_shape(burst: Burst) -> bool:
    kinds = [(kind, len(value)) for kind, value in structures(burst.data)]
    return kinds == [(FLAGS, 1), (0x07, 16)] and UUID_LISTS[0x07] == 16


def _has_our_interval(burst: Burst) -> float:
    return -min(abs(burst.interval_ms - FAST_MS), abs(burst.interval_ms - SLOW_MS))


def _is_as_long_as_ours(burst: Burst) -> float:
    return -abs(burst.length_ms - BURST_MS)


def _is_scannable_only(burst: Burst) -> bool:
    """MicroPython's way to be not connectable; few others choose it."""
    return burst.kind == "ADV_SCAN_IND"


def _never_seen_again(all_: Sequence[Burst]) -> list[float]:
    """One short burst of an address, and nothing before or after it."""
    times: dict[str, int] = {}
    for burst in all_:
        times[burst.address] = times.get(burst.address, 0) + 1
    return [float(times[burst.address] == 1 and burst.length_ms < 2 * BURST_MS) for burst in all_]


PRODUCT: dict[str, Score] = {
    "address": _each(_is_static),
    "code": _each(_lists_a_code),
    "shape of the data": _each(_has_our_shape),
    "interval": _each(_has_our_interval),
    "length of the burst": _each(_is_as_long_as_ours),
    "rhythm (a burst, and never again)": _never_seen_again,
    "strength": _each(lambda burst: burst.rssi_dbm),
    "connectability": _each(_is_scannable_only),
    "all together": _together(
        _each(_has_our_shape), _each(_is_static), _never_seen_again, _each(_has_our_interval)
    ),
}

# -- was there a press? ------------------------------------------------------------------------------


def _is_fast(burst: Burst) -> float:
    """Three adverts are enough to see it."""
    return -abs(burst.interval_ms - FAST_MS) if burst.count > 1 else -1e6


def _is_followed(all_: Sequence[Burst]) -> list[float]:
    """Score whether somebody of our shape begins a minute after: the CONTACT of an open press."""
    begins = [burst.start_ms for burst in all_ if _has_our_shape(burst) and burst.kind == "ADV_IND"]
    return [
        float(any(abs(at_ms - burst.end_ms - CONTACT_MS) < CONTACT_SLACK_MS for at_ms in begins))
        for burst in all_
    ]


def _looks_like_a_press(burst: Burst) -> float:
    """Score what is all ours, connectable, and fast; or over at once, because a phone was near."""
    ours = _has_our_shape(burst) and _is_static(burst) and burst.kind == "ADV_IND"
    quick = burst.length_ms < AT_ONCE_MS or abs(burst.interval_ms - FAST_MS) < ADV_DELAY_MS
    return 1 / (1 + burst.length_ms) if ours and quick else 0.0


PRESS: dict[str, Score] = {
    "address": _each(_is_static),
    "code": _each(_lists_a_code),
    "shape of the data": _each(_has_our_shape),
    "interval (20 ms)": _each(_is_fast),
    "length of the burst": _each(lambda burst: -burst.length_ms),
    "rhythm (something of our shape a minute later)": _is_followed,
    "strength": _each(lambda burst: burst.rssi_dbm),
    "connectability": _each(lambda burst: burst.kind == "ADV_IND"),
    "all together": _each(_looks_like_a_press),
}

# -- which are one button's? -------------------------------------------------------------------------


def _alike(values: Sequence[object]) -> list[int]:
    numbers: dict[object, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def _by_code(all_: Sequence[Burst]) -> list[int]:
    """Link by the same code, or by two that have more in common than chance allows."""
    codes = [int.from_bytes(next(uuids_128(burst.data), burst.data), "big") for burst in all_]
    labels = list(range(len(all_)))
    for later, code in enumerate(codes):
        for earlier in range(later):
            if (code ^ codes[earlier]).bit_count() < NEAR_CODES_BITS:
                labels[later] = labels[earlier]
                break
    return labels


def by_strength(buttons: int) -> Group:
    """Make as many groups of one size as there are buttons (which is told): the nearest, the next, ..."""

    def group(all_: Sequence[Burst]) -> list[int]:
        return [int(share * buttons - 1e-9) for share in shares([burst.rssi_dbm for burst in all_])]

    return group


def _by_rhythm(all_: Sequence[Burst]) -> list[int]:
    """Chains: the next sign of life is due 12 to 18 min after the last one, the next CONTACT in a minute."""
    labels: list[int] = []
    ends: list[Burst] = []  # of each chain
    for burst in all_:
        fits = [(miss, chain) for chain, end in enumerate(ends) if (miss := _misses(end, burst)) is not None]
        if fits:
            chain = min(fits)[1]
            ends[chain] = burst
        else:
            chain = len(ends)
            ends.append(burst)
        labels.append(chain)
    return labels


def _misses(end: Burst, burst: Burst) -> float | None:
    """How far from its due time `burst` would be, as a share of what is allowed; None: further."""
    waited_ms = burst.start_ms - end.start_ms
    contact = abs(waited_ms - CONTACT_MS) / CONTACT_SLACK_MS
    alive = abs(waited_ms - PERIOD_MS) / (PERIOD_MS * PERIOD_SHARE)
    best = min(contact, alive)
    return best if best <= 1 else None


def linking(buttons: int) -> dict[str, Group]:
    """Return the attacks on bursts that are known to be the product's."""
    return {
        "address": lambda all_: _alike([burst.address for burst in all_]),
        "code": _by_code,
        "shape of the data": lambda all_: _alike([(len(burst.data), burst.data[:5]) for burst in all_]),
        "interval": lambda all_: _alike([burst.interval_ms < 50 for burst in all_]),
        "length of the burst": lambda all_: _alike([round(burst.length_ms / 500) for burst in all_]),
        "connectability": lambda all_: _alike([burst.kind for burst in all_]),
        "rhythm (due times)": _by_rhythm,
        "strength (place)": by_strength(buttons),
    }


UNLINKABLE = ("address", "code")  # what the protocol promises
