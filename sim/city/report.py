"""What came of a city, for people (a few lines, a page with one picture) and for programs (JSON)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader

from sim.city.city import BATTERY_MAH, BOARD, Outcome
from sim.city.statistics import CALLED_GONE_WRONGLY, SIGNS, percentile
from sim.judge.promises import INVENTED, LOST, ONCE
from wire.codes import ALARM, TEST

_TEMPLATES = Environment(loader=PackageLoader("sim.city", "."), autoescape=True, trim_blocks=True)
_PAGE = _TEMPLATES.get_template("report_page.html")
_MINUTES_AFTER = 5  # an outage
_BROKEN_MAX = 20  # lines
_STAGES = {
    "heard": "the phone has it on disk",
    "received": "the centre has it on disk",
    "confirmed": "proven to the button",
}


def figures(outcome: Outcome) -> dict[str, Any]:
    """All but `machine` is the same for the same plan."""
    plan, tally = outcome.plan, outcome.tally
    by_minute = sorted(tally.posts)
    a_day_mah = outcome.spent_mah / plan.buttons / plan.hours * 24
    simulated_s = plan.span_ms / 1000
    return {
        "buttons": plan.buttons,
        "hours": plan.hours,
        "seed": plan.seed,
        "holds": outcome.holds,
        "presses": {
            "alarms": tally.of(ALARM),
            "tests": tally.of(TEST),
            "tests_unanswered": tally.unheard_tests(),
            "lost": _count(outcome, LOST),
            "doubled": _count(outcome, ONCE),
            "invented": _count(outcome, INVENTED),
        },
        "latency_ms": {stage: _latency(tally.spans_ms(stage)) for stage in _STAGES},
        "posts_per_s": {
            "mean": round(sum(by_minute) / simulated_s, 2),
            "p99_of_a_minute": round(percentile(by_minute, 0.99) / 60, 2),
            "max_of_a_minute": round(by_minute[-1] / 60, 2),
            "max": max(tally.busiest),
        },
        "after_outage_per_s": _after_outage(outcome),
        "out_of_reach": _out_of_reach(outcome),
        "energy": {
            "board": BOARD,
            "battery_mah": BATTERY_MAH,
            "mah_per_button_and_day": round(a_day_mah, 3),
            "days_of_life": round(outcome.usable_mah / a_day_mah, 1),
        },
        "counts": {name: count for name, count in sorted(tally.counts.items()) if count},
        "machine": {
            "took_s": round(outcome.took_s, 1),
            "simulated_s_per_s": round(simulated_s / outcome.took_s, 1),
            "simulated_s_per_computed_s": round(simulated_s / outcome.computed_s, 1),
            # As if time were real: what share of one core the centre's own work takes.
            "centre_busy": round(outcome.busy_s / simulated_s, 5),
        },
    }


def _after_outage(outcome: Outcome) -> list[int]:
    """Of each minute after it, how many posts came in the busiest second."""
    if outcome.plan.outage_ms is None:
        return []
    first = -(-outcome.plan.outage_ms[1] // 60_000)
    return outcome.tally.busiest[first : first + _MINUTES_AFTER]


def _out_of_reach(outcome: Outcome) -> dict[str, Any]:
    """Return what operators were told of buttons that were gone, and of such that were not."""
    plan, watched, counts = outcome.plan, outcome.watched, outcome.tally.counts
    found_ms, absences = watched.found_after_ms(), sum(map(len, watched.absences.values()))
    return {
        "told": len(watched.losses),
        "wrongly": watched.wrong,
        "wrongly_per_button_and_day": round(watched.wrong / (plan.buttons * plan.hours / 24), 5),
        "wrongly_of_signs": round(counts[CALLED_GONE_WRONGLY] / max(1, counts[SIGNS]), 5),
        "absences": absences,
        "found_after_ms": _latency(found_ms),
    }


def _latency(spans_ms: Sequence[int]) -> dict[str, int]:
    if not spans_ms:
        return {"count": 0}
    shares = {"median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    found = {name: round(percentile(spans_ms, share)) for name, share in shares.items()}
    return {"count": len(spans_ms)} | found


def as_json(outcome: Outcome) -> str:
    broken = [asdict(one) for one in outcome.judgement.broken]
    not_seen = {one.promise: one.why for one in outcome.judgement.unseen}
    return json.dumps(figures(outcome) | {"broken": broken, "not_seen": not_seen}, indent=1) + "\n"


def _count(outcome: Outcome, promise: str) -> int:
    return sum(one.promise == promise for one in outcome.judgement.broken)


def lines(outcome: Outcome) -> Iterator[str]:
    """For the terminal."""
    rows = list(_rows(figures(outcome)))
    wide = max(len(name) for name, _ in rows) + 2
    yield from (f"{name:{wide}}{value}" for name, value in rows)
    yield from (f"holds: {promise}" for promise in outcome.judgement.kept())
    yield from (f"BROKEN: {one}" for one in outcome.judgement.broken[:_BROKEN_MAX])
    for why, promises in _not_seen(outcome):
        yield f"not seen, for {why}: {'; '.join(promises)}"


def _not_seen(outcome: Outcome) -> list[tuple[str, list[str]]]:
    """Return the promises that this world cannot show, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for one in outcome.judgement.unseen:
        by_reason.setdefault(one.why, []).append(one.promise)
    return list(by_reason.items())


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    presses, posts, energy = found["presses"], found["posts_per_s"], found["energy"]
    machine = found["machine"]
    yield "alarms, tests", f"{presses['alarms']:,}, {presses['tests']:,}"
    yield "alarms lost, presses doubled", f"{presses['lost']}, {presses['doubled']}"
    yield "tests that nobody answered", f"{presses['tests_unanswered']}: their hands felt it"
    yield from _rows_of_supervision(found["out_of_reach"], found["after_outage_per_s"])
    for stage, words in _STAGES.items():
        it = found["latency_ms"][stage]
        if it["count"]:
            times = (f"{name} {_seconds(it[name])}" for name in ("median", "p95", "p99", "max"))
            yield f"{stage}: {words}", ", ".join(times)
    yield (
        "posts to the centre, a second",
        f"mean {posts['mean']}, 99 % of minutes {posts['p99_of_a_minute']}, "
        f"worst minute {posts['max_of_a_minute']}, worst second {posts['max']}",
    )
    yield "the centre's own work, of a core", f"{machine['centre_busy']:.2%}"
    yield (
        f"energy ({energy['board']}, {energy['battery_mah']:g} mAh)",
        f"{energy['mah_per_button_and_day']} mAh a button and day: {energy['days_of_life']} days",
    )
    for name, count in found["counts"].items():
        yield name, f"{count:,}"
    yield (
        "took",
        f"{machine['took_s']} s: {machine['simulated_s_per_s']:g} simulated seconds in one, "
        f"{machine['simulated_s_per_computed_s']:g} in one of computing",
    )


def _rows_of_supervision(gone: dict[str, Any], after_outage: list[int]) -> Iterator[tuple[str, str]]:
    yield (
        "buttons beside their phone, called out of reach",
        f"{gone['wrongly']:,}: {gone['wrongly_per_button_and_day']:.2%} of buttons a day, "
        f"{gone['wrongly_of_signs']:.3%} of signs of life",
    )
    it, found = gone["found_after_ms"], f"{gone['found_after_ms']['count']} of {gone['absences']}"
    if it["count"]:
        found += f", after {_hours(it['median'])} (median), {_hours(it['p95'])} (p95)"
    yield "buttons left behind or empty, found while so", found
    if after_outage:
        yield (
            "busiest second of each minute after the outage",
            ", ".join(f"{posts:,}" for posts in after_outage),
        )


def _hours(ms: float) -> str:
    return f"{ms // 3_600_000} h {ms % 3_600_000 // 60_000:02} min"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms < 600_000 else f"{ms / 60_000:.0f} min"


# -- the page ----------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 900, 260, 56, 20, 34
_RIGHT = 26  # half of the last hour's width
_POINTS_MAX = 720


def as_html(outcome: Outcome) -> str:
    """Return one page: the verdict, the centre's load as a curve, all figures."""
    return _PAGE.render(
        plan=outcome.plan,
        outcome=outcome,
        rows=list(_rows(figures(outcome))),
        not_seen=_not_seen(outcome),
        curve=_curve(outcome),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
    )


def _curve(outcome: Outcome) -> dict[str, Any]:
    """Return posts a second over the hours; of long times each point is the busiest minute of several."""
    posts, hours = outcome.tally.posts, outcome.plan.hours
    step = -(-len(posts) // _POINTS_MAX)
    rates = [max(posts[at : at + step]) / 60 for at in range(0, len(posts), step)]
    most = _round_up(max(*rates, 1.0))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(hour: float) -> float:
        return _LEFT + wide * min(1.0, hour / hours)

    def y(rate: float) -> float:
        return _TOP + high * (1 - rate / most)

    outage = [x(ms / 3_600_000) for ms in outcome.plan.outage_ms or ()]
    return {
        "outage": (outage[0], max(1.0, outage[1] - outage[0]), high) if outage else None,
        "rates": [(y(most * part / 4), f"{most * part / 4:g}") for part in range(5)],
        "hours": [(x(hours * part / 6), _clock(hours * part / 6)) for part in range(7)],
        "points": " ".join(f"{x(n * step / 60):.1f},{y(rate):.1f}" for n, rate in enumerate(rates)),
        "label": f"posts a second over {hours:g} hours, at most {max(rates):.1f}",
    }


def _round_up(value: float) -> float:
    """To 1, 2 or 4 times a power of ten, so that a quarter of it is a round number, too."""
    unit = 1.0
    while unit * 10 < value:
        unit *= 10
    return next(unit * times for times in (1, 2, 4, 6, 8, 10) if unit * times >= value)


def _clock(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60}:{minutes % 60:02}"
