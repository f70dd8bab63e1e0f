"""The `life` command of `amr-button`: what is asked, the table, where its numbers are from."""

import argparse
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from firmware.board.config import SETTINGS
from firmware.flash import direct_life, life
from firmware.flash.plot import draw

_PERIOD_S = SETTINGS["alive_period_s"][1:]


def _number(text: str, units: dict[str, float], least: float, most: float, example: str) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]*)", text.strip())
    factor = units.get(found[2].lower()) if found else None
    if not found or factor is None or not least <= float(found[1]) * factor <= most:
        raise argparse.ArgumentTypeError(f"{text!r} will not do: {example}")
    return float(found[1]) * factor


def battery(text: str) -> float:
    """mAh."""
    return _number(text, {"mah": 1, "ah": 1000}, 10, 100_000, "write 500mAh or 0.5Ah, from 10mAh to 100Ah")


def period(text: str) -> float:
    """Seconds, as far as the button's setting goes."""
    example = f"write 900s, 15min or 1h, from {_PERIOD_S[0]}s to {_PERIOD_S[1] // 3600}h"
    return _number(text, {"s": 1, "min": 60, "h": 3600}, *_PERIOD_S, example)


def _presses(text: str) -> float:
    return _number(text, {"": 1}, 0, 1000, "write a number from 0 to 1000")


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} will not do: the curve is a PNG, so name it FILE.png")
    return Path(text)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `life` command of `amr-button`."""
    parser = commands.add_parser(
        "life",
        help="estimate how long a battery lasts",
        description="An estimate, from currents that others published and times measured in the simulator.",
    )
    boards = list(tomllib.loads(life.CURRENTS.read_text())["boards"])
    parser.add_argument("--board", default="esp32", choices=boards, help="which board (default: esp32)")
    parser.add_argument(
        "--battery", type=battery, required=True, metavar="SIZE", help="as in 500mAh or 1.2Ah"
    )
    parser.add_argument(
        "--alive", type=period, default=900.0, metavar="TIME", help="as in 15min (the default)"
    )
    parser.add_argument("--presses-per-month", type=_presses, default=2.0, metavar="N", help="default: 2")
    parser.add_argument(
        "--direct",
        action="append",
        default=[],
        choices=direct_life.WAYS,
        metavar="WAY",
        help=f"how it reaches the centre without a phone: {', '.join(direct_life.WAYS)}; more than once",
    )
    parser.add_argument("--plot", type=_png, metavar="FILE.png", help="draw life over the time between signs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the estimate, and draw it. Raises CommandError."""
    currents = life.Currents(options.board)
    ways = dict.fromkeys(options.direct)
    rows = life.estimate(currents, options.battery, options.alive, options.presses_per_month, ways)
    shortest, typical, longest = life.days_of(currents, options.battery, rows)
    print(f"{'mAh a day':34}{'times a day':>12}{'awake each':>12}{'low':>9}{'typical':>9}{'high':>9}")
    sums: life.Triple = tuple(sum(row.mah[level] for row in rows) for level in life.LEVELS)  # type: ignore[assignment]
    for row in [*rows, life.Row("all together", None, None, sums)]:
        times = "" if row.a_day is None else f"{row.a_day:.2f}"
        each = "" if row.each_s is None else f"{row.each_s:.1f} s"
        print(f"{row.what:34}{times:>12}{each:>12}" + "".join(f"{mah:9.3f}" for mah in row.mah))
    spoken = [f"{days:.0f}" if days >= 10 else f"{days:.1f}" for days in (typical, shortest, longest)]
    print("\nlife of {:g} mAh: {} days ({} to {})\n".format(options.battery, *spoken))
    _print_sources(currents, ways)
    if options.plot:
        curve = life.curve(currents, options.battery, options.presses_per_month, *_PERIOD_S, ways)
        draw(options.plot, curve, (options.alive, typical), _title(options))
        print(f"curve in {options.plot}")
    return 0


def _print_sources(currents: life.Currents, ways: Iterable[str]) -> None:
    print(f"{'from':24}{'low':>9}{'typical':>9}{'high':>9}")
    for where, entries in (("", currents.entries), *((f"{way} ", currents.direct[way]) for way in ways)):
        for name, value in entries.items():
            if not name.endswith("_from"):
                numbers = "".join(f"{number:9g}" for number in value)
                print(f"{where + name:24}{numbers}  {entries[name + '_from']}")
    told = currents.awake
    over_ms, computed_ms = (told["events"]["ALIVE"][key] for key in ("over_ms", "cpu_ms"))
    print(f"""
Awake times: by make bench in the MicroPython VM on {told["measured"]} ({told["runs"]} runs), not just now.
An ALIVE is awake {over_ms:g} ms over its advertising time and computes for {computed_ms:g} ms before it.
A chip computes 'slower' times as long. How often and how long it advertises is the firmware's own
state machine, in virtual time.""")


def _title(options: argparse.Namespace) -> str:
    return f"{options.board}, {options.battery:g} mAh, {options.presses_per_month:g} presses a month"
