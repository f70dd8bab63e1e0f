"""What the bridge's parts hand to each other, as it is kept and sent."""

import pytest

from bridge.model import FIX_AGE_S_MAX, Fix, fix_to_keep, fix_to_send

FIX = Fix(50.8, 4.37, 8.0, 95.0, "GNSS", "2026-11-23T10:15:03.000Z", "gpsd", ("jump",), 5_000)


def test_a_fix_comes_back_as_it_was_kept() -> None:
    """By a run of the bridge; what the journal holds has lost the clock that begins anew with the machine."""
    assert Fix.from_json(FIX.as_json()) == FIX
    kept = fix_to_keep(FIX.as_json())
    assert "arrived_ms" not in kept
    assert Fix.from_json(kept).arrived_ms is None


@pytest.mark.parametrize(
    ("later_ms", "age_s"),
    [(0, 0), (999, 0), (61_000, 61), (FIX_AGE_S_MAX * 1000, FIX_AGE_S_MAX), (-9_000, 0)],
)
def test_a_fix_is_sent_with_its_age_by_then(later_ms: int, age_s: int) -> None:
    """However long it has waited for the centre."""
    fields = fix_to_send(FIX.as_json(), 5_000 + later_ms)
    assert fields == fix_to_keep(FIX.as_json()) | {"age_s": age_s}


def test_an_age_that_nobody_knows_or_believes_is_left_out() -> None:
    """Of a fix that came before the bridge was started, and of one that is older than a week."""
    for fix, now_ms in ((fix_to_keep(FIX.as_json()), 9_000), (FIX.as_json(), (FIX_AGE_S_MAX + 9) * 1000)):
        assert fix_to_send(fix, now_ms) == fix_to_keep(FIX.as_json())
