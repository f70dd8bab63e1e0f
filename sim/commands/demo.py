"""`amr-sim demo`: one press, all the way to the centre and back to the hand, before your eyes."""

import argparse
import asyncio


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo` to the parser."""
    demo = commands.add_parser(
        "demo",
        help="one press, all the way to the centre and back to the hand",
        description="Run a button, a bridge and a centre on this machine. Space or Enter presses the button, "
        "t is a silent test, a lets an operator acknowledge, q ends. Without a terminal it makes one press, "
        "acknowledges it and ends: with 0, or with 1 and the step that did not happen within 30 s.",
    )
    demo.add_argument("--once", action="store_true", help="one press, acknowledged, then the end")
    demo.add_argument(
        "--json", action="store_true", help="the timeline as a JSON object on the last line; implies --once"
    )
    demo.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sim.realtime.demo import run

    return asyncio.run(run(once=arguments.once or arguments.json, as_json=arguments.json))
