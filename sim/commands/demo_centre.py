"""`amr-sim demo-centre`: a centre with life in it, for training and for pictures."""

import argparse
from pathlib import Path


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo-centre` to the parser."""
    parser = commands.add_parser(
        "demo-centre",
        help="fill a new centre with ten invented cases and an alarm in each state",
        description="Fill a new home of the centre with invented people: alarms that wait, that are taken, "
        "sent to, called off, under duress, closed for each reason; an old position, a silent phone, a low "
        "battery. With --serve it is served as well, its phones live on, and it prints an address for each "
        "role; Ctrl-C ends it. A home that holds a centre already is refused.",
    )
    parser.add_argument(
        "--home", type=Path, required=True, metavar="DIR", help="a directory that is not there yet"
    )
    parser.add_argument("--serve", action="store_true", help="serve it, and let its phones live on")
    parser.add_argument(
        "--port", type=int, default=8443, help="with --serve (default: %(default)s; 0: any free one)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sim.realtime.demo_centre_serving import run

    return run(arguments.home, arguments.port, serve=arguments.serve)
