"""`amr-sim city`: what is asked, checked before anything starts; progress; reports; the exit code."""

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

BUTTONS_MAX, HOURS_MAX, PRESSES_MAX, SEED_MAX = 20_000, 24 * 31, 100_000, 2**31
HELD, BROKEN, USAGE = 0, 1, 2
_TELL_S, _TELL_SHARE = 1.0, 0.1
# As `amr-button life` takes it: two presses a month and button.
_PRESSES_A_DAY = 2 / 30.4


class CannotPlay(Exception):
    """What was asked cannot be; the text is a sentence."""


def _number(least: float, most: float, *, whole: bool = False) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            raise argparse.ArgumentTypeError(
                f"{text!r} will not do: {kind} from {least:.15g} to {most:.15g} will"
            )
        return value

    return read


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    city = commands.add_parser(
        "city",
        help="a country's worth of buttons on one centre, in virtual time",
        description="Thousands of buttons, each with a phone, live on one centre in virtual time: how long "
        "presses take, how busy the centre is, how long batteries last, and that nothing is lost. Exit "
        "codes: 0 no alarm was lost and no press doubled, 1 one was, 2 wrong usage.",
    )
    number = _number(1, BUTTONS_MAX, whole=True)
    city.add_argument("--buttons", type=number, default=1000, metavar="N", help="how many (default 1000)")
    hours = _number(0.1, HOURS_MAX)
    city.add_argument("--hours", type=hours, default=24.0, metavar="H", help="simulated (default 24)")
    seed = _number(0, SEED_MAX, whole=True)
    city.add_argument("--seed", type=seed, default=1, metavar="S", help="all chances (default 1)")
    city.add_argument(
        "--presses-per-day",
        type=_number(0, PRESSES_MAX),
        metavar="P",
        help="of all buttons together, tests included (default: two a month and button)",
    )
    city.add_argument(
        "--outage-at", type=_number(0, HOURS_MAX), metavar="H", help="when phones lose the network"
    )
    city.add_argument(
        "--outage-min", type=_number(0.1, HOURS_MAX * 60), metavar="M", help="for so many minutes"
    )
    city.add_argument(
        "--own-way",
        type=_number(0, 1),
        default=0.0,
        metavar="SHARE",
        help="of the buttons that reach the centre without a phone, too (default 0)",
    )
    for kind in ("json", "html"):
        city.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write a report as {kind}")
    city.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code. Raises KeyboardInterrupt."""
    from sim.city import report
    from sim.city.city import City, Plan

    try:
        _check(options)
    except CannotPlay as error:
        print(f"amr-sim city: {error}", file=sys.stderr)
        return USAGE
    presses = options.buttons * _PRESSES_A_DAY if options.presses_per_day is None else options.presses_per_day
    plan = Plan(
        int(options.buttons),
        options.hours,
        int(options.seed),
        presses,
        options.outage_at,
        options.outage_min or 0.0,
        own_way=options.own_way,
    )
    print(f"{plan.buttons:,} buttons are made and enrolled ...", file=sys.stderr, flush=True)
    city = City(plan)
    try:
        outcome = city.run(_teller(plan.span_ms))
    finally:
        city.close()
    for line in report.lines(outcome):
        print(line)
    print("no alarm was lost, no press doubled" if outcome.holds else "BROKEN: see above")
    for path, text in ((options.json, report.as_json), (options.html, report.as_html)):
        try:
            if path is not None:
                path.write_text(text(outcome), "utf-8")
        except OSError as error:
            print(f"amr-sim city: {path}: {error.strerror}", file=sys.stderr)
            return BROKEN
    return HELD if outcome.holds else BROKEN


def _check(options: argparse.Namespace) -> None:
    """Check what was asked. Raises CannotPlay."""
    if (options.outage_at is None) != (options.outage_min is None):
        raise CannotPlay("an outage needs both, --outage-at and --outage-min")
    if options.outage_at is not None and options.outage_at + options.outage_min / 60 > options.hours:
        raise CannotPlay(f"the outage ends after the {options.hours:g} hours that are simulated")
    for path in filter(None, (options.json, options.html)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise CannotPlay(f"{path}: no report can be written there")


def _teller(span_ms: int) -> Callable[[int, int], None]:
    """Tells on stderr how far it is: in place on a terminal, else ten lines in all."""
    begun_s = told_s = time.monotonic()
    told_share, in_place = 0.0, sys.stderr.isatty()

    def tell(done_ms: int, presses: int) -> None:
        nonlocal told_s, told_share
        now_s, share = time.monotonic(), done_ms / span_ms
        if (now_s - told_s < _TELL_S and share < 1) if in_place else (share - told_share < _TELL_SHARE):
            return
        told_s, told_share = now_s, share
        hours, pace = done_ms / 3_600_000, done_ms / 1000 / max(now_s - begun_s, 0.001)
        line = f"{hours:7.1f} h of {span_ms / 3_600_000:g}: {presses:,} presses, {pace:,.0f} s in one"
        print(line, end="\r" if in_place and share < 1 else "\n", file=sys.stderr, flush=True)

    return tell
