"""`amr-sim stalk`, as one types it."""

import argparse
from pathlib import Path

HOURS_MAX = 10.0  # what a virtual world is made for


def _hours(text: str) -> float:
    value = float(text)
    if value != 0 and not 0.5 <= value <= HOURS_MAX:
        raise argparse.ArgumentTypeError(f"0 or 0.5 to {HOURS_MAX:g} hours")
    return value


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    stalk = commands.add_parser(
        "stalk",
        help="a stalker beside a scenario: what a stalker can tell, and can do",
        description="Play a scenario with a stalker beside it, who hears everything among other people's "
        "devices, and has no key. Tells how well the stalker can say which adverts are the product's, which "
        "are one button's, and whether there was a press, next to chance; then the stalker replays, forges, "
        "jams, connects, reads and writes. Exit codes: 0 nothing succeeded, 1 something did, 2 wrong usage.",
    )
    stalk.add_argument("scenario", metavar="SCENARIO", help="a TOML file, or a shipped one by name")
    stalk.add_argument(
        "--hours",
        type=_hours,
        default=2.0,
        metavar="H",
        help="then so long beside three protected persons, in virtual time (default 2; 0: not)",
    )
    stalk.add_argument("--seed", type=int, default=1, help="of all that is left to chance there (default 1)")
    stalk.add_argument("--json", type=Path, metavar="FILE", help="write the same for programs")
    stalk.set_defaults(run=_stalk)


def _stalk(arguments: argparse.Namespace) -> int:
    from sim.attacker import stalk

    return stalk.main(arguments.scenario, arguments.hours, arguments.seed, arguments.json)
