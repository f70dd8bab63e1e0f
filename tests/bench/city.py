"""A country's buttons on one centre in virtual time: how fast, and whether any press was lost."""

from sim.city import report
from sim.city.city import City, Plan

_BUTTONS, _HOURS_MAX = 5000, 0.5
_PRESSES_PER_DAY = 2000.0  # six times what is usual, so that a short run has some


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    hours = min(_HOURS_MAX, max(0.1, runs / 60))
    city = City(Plan(_BUTTONS, hours, 1, _PRESSES_PER_DAY))
    try:
        outcome = city.run(lambda _done_ms, _presses: None)
    finally:
        city.close()
    assert outcome.holds, "no press may be lost or doubled"
    found = report.figures(outcome)
    machine, heard = found["machine"], found["latency_ms"]["received"]
    note = (
        f"{machine['simulated_s_per_computed_s']:g} where it has a core to itself; {heard['count']} presses, "
        f"none lost, at the centre after {heard['median'] / 1000:.1f} s (median)"
    )
    what = f"simulated seconds in a real one, {_BUTTONS} buttons for {hours * 60:.0f} min"
    return [(what, f"{machine['simulated_s_per_s']:g}", ">= 200", note)]
