"""The seeded air as a pure function: what it promises about loss, duty, distance and repetition."""

import subprocess
import sys
from itertools import pairwise

import pytest

from sim.physics.medium import PROFILES, Duty, Medium, Reception, press_events, share_heard


def hear(medium: Medium, duty: Duty, events: int = 4000) -> list[Reception | None]:
    return [medium.hears("button", "phone", event, event * 157_003, duty) for event in range(events)]


def at(metres: float) -> Medium:
    return Medium(1, distance_m=lambda _transmitter, _receiver: metres)


def share(medium: Medium, duty: Duty) -> float:
    heard = hear(medium, duty)
    return sum(reception is not None for reception in heard) / len(heard)


def test_same_seed_same_answer_in_any_order() -> None:
    """The same question gets the same answer, whatever was asked before."""
    duty = PROFILES["android-balanced"]
    forward = hear(Medium(7, 0.5), duty)
    again = Medium(7, 0.5)
    backward = [again.hears("button", "phone", e, e * 157_003, duty) for e in reversed(range(4000))]
    assert forward == backward[::-1]
    assert forward != hear(Medium(8, 0.5), duty)


def test_the_answer_survives_a_new_interpreter() -> None:
    """No hash randomisation in it, and no Bumble needed for it."""
    code = (
        "import sys; from sim.physics.medium import *; "
        "print([Medium(3, 0.5).hears('b', 'p', e, e * 25000, PROFILES['desktop']) for e in range(50)]); "
        "assert 'bumble' not in sys.modules"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in "ab"
    }
    assert len(runs) == 1


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.5, 0.9])
def test_loss_is_the_share_that_is_lost(loss: float) -> None:
    """Of what a listening scanner could hear, `loss` is missing."""
    assert share(Medium(1, loss), Duty(60_000, 60_000)) == pytest.approx(1 - loss, abs=0.03)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_duty_is_the_share_that_is_heard(profile: str) -> None:
    """A scanner hears adverts in proportion to the time it listens."""
    duty = PROFILES[profile]
    assert share(Medium(1), duty) == pytest.approx(duty.window_us / duty.interval_us, abs=0.05)


def test_a_sleeping_phone_hears_nothing_outside_its_window() -> None:
    """All that it hears lies in one window per interval."""
    medium, duty = Medium(1), PROFILES["android-sleeping"]
    times = [at for at in range(0, 60_000_000, 5_000) if medium.hears("button", "phone", at, at, duty)]
    assert times
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert {gap for gap in gaps if gap > 10_000} <= {*range(9_700_000, 9_750_000)}


def test_far_is_weak_and_too_far_is_silent() -> None:
    """RSSI falls with the distance until nothing is heard any more."""
    duty = PROFILES["android-low-latency"]
    means = []
    for metres in (1.0, 10.0, 50.0):
        heard = [r.rssi_dbm for r in hear(at(metres), duty, 300) if r]
        means.append(sum(heard) / len(heard))
    assert means == pytest.approx([-40, -65, -82.5], abs=1)
    assert not any(hear(at(1000.0), duty, 300))


def test_a_press_is_20_ms_for_30_s_then_152_5_ms() -> None:
    """The intervals that Apple names, plus 0 to 10 ms of advDelay."""
    times = [at_us for _, at_us in press_events(Medium(1), "button", 0, 60_000_000)]
    gaps = [(later - earlier, earlier) for earlier, later in pairwise(times)]
    assert all(20_000 <= gap < 30_000 for gap, at_us in gaps if at_us < 30_000_000)
    assert all(152_500 <= gap < 162_500 for gap, at_us in gaps if at_us >= 30_000_000)


def test_a_sleeping_android_hears_presses_as_the_model_says() -> None:
    """Half of the packets lost: a third of 3-second bursts, practically all within 11 s."""
    assert share_heard(300, within_ms=3_000) == pytest.approx(0.34, abs=0.06)
    assert share_heard(300) >= 0.99


@pytest.mark.parametrize("loss", [-0.1, 1.1])
def test_loss_is_a_share(loss: float) -> None:
    """Nonsense is refused."""
    with pytest.raises(ValueError, match="share"):
        Medium(1, loss)
