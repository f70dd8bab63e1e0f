"""The air against theory: what its formulas say, within four standard errors."""

import math
from itertools import pairwise
from statistics import correlation, fmean, pstdev

import pytest

from sim.physics.medium import (
    AIRTIME_US,
    CO_CHANNEL_DB,
    CROWD_INTERVAL_US,
    FADING_DB,
    Medium,
    survives_crowd,
    survives_wifi,
)
from sim.physics.scan_profiles import PROFILES, Duty
from sim.scenarios.model import read
from sim.scenarios.places import Places

ALWAYS = Duty(1_000_000, 1_000_000)
N = 4000


def four_errors(p: float, n: int = N) -> float:
    """A true share `p` of `n` draws is further off once in 16,000 times."""
    return 4 * math.sqrt(p * (1 - p) / n)


def share(medium: Medium, duty: Duty = ALWAYS, n: int = N) -> float:
    """Heard of `n` adverts, at times that have nothing to do with the scanner's own."""
    return sum(medium.hears("b", "p", e, e * 157_003, duty) is not None for e in range(n)) / n


@pytest.mark.parametrize("advertisers", [10, 300, 1000, 5000])
def test_a_crowd_collides_as_pure_aloha_does(advertisers: int) -> None:
    """exp(-2 G), G being the load of so many packets in an interval."""
    p = math.exp(-2 * advertisers * AIRTIME_US / CROWD_INTERVAL_US)
    assert survives_crowd(advertisers) == pytest.approx(p)
    assert share(Medium(1, crowd=advertisers)) == pytest.approx(p, abs=four_errors(p))


def test_pure_aloha_is_what_a_crowd_played_out_gives() -> None:
    """A thousand advertisers, each at any moment of an interval: how often nobody speaks into ours."""
    medium, crowd, rounds = Medium(3), 1000, 300
    quiet = sum(
        all(
            abs(CROWD_INTERVAL_US / 2 - medium._draw("begins", one, turn) * CROWD_INTERVAL_US) >= AIRTIME_US
            for one in range(crowd)
        )
        for turn in range(rounds)
    )
    p = survives_crowd(crowd)
    assert quiet / rounds == pytest.approx(p, abs=four_errors(p, rounds))


@pytest.mark.parametrize("busy", [0.0, 0.3, 0.8, 1.0])
def test_wifi_takes_its_share_of_each_channel(busy: float) -> None:
    """What begins in a burst or meets one is lost; the other two channels are as they were."""
    kept = survives_wifi(busy)
    assert kept <= 1 - busy
    p = (kept + 1 + 1) / 3  # a scanner is on each channel for a third of the time
    heard = share(Medium(2, wifi=(0.0, 0.0, busy)))
    assert heard == pytest.approx(p, abs=four_errors(p) + 0.002)  # some adverts span two of its intervals


def test_all_that_can_go_wrong_multiplies() -> None:
    """Loss, crowd and Wi-Fi know nothing of each other."""
    p = 0.8 * survives_crowd(500) * survives_wifi(0.4)
    assert share(Medium(4, 0.2, crowd=500, wifi=(0.4, 0.4, 0.4))) == pytest.approx(p, abs=four_errors(p))


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_each_system_hears_the_share_of_its_window(profile: str) -> None:
    """A window that is not always open must hold the packet to its end."""
    duty = PROFILES[profile]
    paused = duty.window_us < duty.interval_us
    p = (duty.window_us - AIRTIME_US * paused) / duty.interval_us
    # Times from the golden ratio's multiples fall evenly into any interval.
    times = [round(n * duty.interval_us * 0.618_033_988_75) for n in range(N)]
    heard = sum(Medium(5).hears("b", "p", n, at_us, duty) is not None for n, at_us in enumerate(times)) / N
    # An event walks three channels in 1.2 ms: where the window is short, one of them is often just outside.
    assert heard == pytest.approx(p, abs=four_errors(p) + 1200 / duty.interval_us * (1 if paused else 6))


def test_ten_times_as_far_is_25_db_weaker() -> None:
    """The exponent of a furnished room, in the middle of the fading."""
    means = {}
    for metres in (1.0, 10.0):
        medium = Medium(6, distance_m=lambda _one, _other, m=metres: m)  # type: ignore[misc]
        means[metres] = fmean(medium.rssi_dbm("b", "p", event, 37) for event in range(N))
    error_db = FADING_DB / math.sqrt(3) / math.sqrt(N)  # of an even distribution's mean
    assert means[1.0] - means[10.0] == pytest.approx(25, abs=8 * error_db)


def test_a_wall_and_a_body_take_what_they_are_said_to() -> None:
    """Only who has the wall between them, and only as long as it is between."""
    places = Places(
        read("""
title = "t"
about = "a"
[[button]]
name = "b"
[[phone]]
name = "p"
button = "b"
place = [4.0, 0.0]
body_db = 10
[[wall]]
corners = [2.0, -3.0, 2.0, 3.0]
loss_db = 25
[[move]]
who = "b"
at_ms = 1_000
for_ms = 1_000
to = [3.0, 0.0]
""")
    )
    assert [places.between_db("b", "p", at_ms) for at_ms in (0, 1500, 1900, 2000)] == [35, 35, 10, 10]
    assert places.between_db("p", "b", 0) == 35
    assert places.distance_m("b", "p", 2000) == 1.0


def test_slow_fading_has_its_deviation_and_stays_for_a_while() -> None:
    """Normal over many places; alike a second later, another after a minute; the same both ways."""
    medium = Medium(7, shadow_db=6.0)
    values = [medium._shadow(f"b{n}", "p", 3.0, 0) for n in range(N)]
    assert fmean(values) == pytest.approx(0, abs=4 / math.sqrt(N))
    assert pstdev(values) == pytest.approx(1, abs=4 / math.sqrt(2 * N))
    soon = [medium._shadow(f"b{n}", "p", 3.0, 1_000_000) for n in range(N)]
    late = [medium._shadow(f"b{n}", "p", 9.0, 60_000_000) for n in range(N)]
    assert correlation(values, soon) > 0.95
    assert abs(correlation(values, late)) < 4 / math.sqrt(N)
    assert medium._shadow("a", "b", 3.0, 5) == medium._shadow("b", "a", 3.0, 5)
    walk = [medium._shadow("b", "p", cm / 100, 0) for cm in range(0, 1000, 5)]
    assert all(abs(after - before) < 0.5 for before, after in pairwise(walk))  # it does not jump


def test_two_of_our_own_radios_collide_exactly_when_their_packets_meet() -> None:
    """One microsecond further apart, both are heard; and a rival that is 21 dB weaker is none."""
    medium = Medium(8)

    def heard(offset_us: int, medium: Medium = medium) -> int:
        return sum(
            medium.hears("b", "p", e, e * 157_003, ALWAYS, [("rival", e * 157_003 + offset_us)]) is not None
            for e in range(50)
        )

    assert [heard(AIRTIME_US), heard(-AIRTIME_US)] == [50, 50]
    assert [heard(0), heard(AIRTIME_US - 1), heard(1 - AIRTIME_US)] == [0, 0, 0]
    far_m = 3.0 * 10 ** ((CO_CHANNEL_DB + 2 * FADING_DB + 1) / 25)
    far = Medium(8, distance_m=lambda one, _other: far_m if one == "rival" else 3.0)
    assert heard(0, far) == 50


def test_who_sends_hears_nothing_meanwhile() -> None:
    """A radio has one antenna: its own packet drowns all others."""
    medium = Medium(9, distance_m=lambda one, other: 0.0 if one == other else 1.0)
    assert medium.hears("b", "p", 1, 0, ALWAYS, [("p", 100)]) is None
    assert medium.hears("b", "p", 1, 0, ALWAYS, [("p", 1000)]) is not None


def test_nothing_of_it_hangs_on_the_order_of_questions() -> None:
    """With everything switched on, too."""
    whole = {"shadow_db": 6.0, "crowd": 500, "wifi": (0.1, 0.2, 0.3)}
    one, other = Medium(10, 0.1, **whole), Medium(10, 0.1, **whole)  # type: ignore[arg-type]
    forward = [one.hears("b", "p", e, e * 90_001, ALWAYS) for e in range(300)]
    assert forward == [other.hears("b", "p", e, e * 90_001, ALWAYS) for e in reversed(range(300))][::-1]
    assert len(set(forward)) > 10
