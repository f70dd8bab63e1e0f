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
        "acknowledges it and ends: with 0, or with 1 and the step that did not happen within 30 s. With "
        "--direct the phone is off, and three presses reach the centre one after the other: by the datagrams "
        "of the button's Wi-Fi, over TLS, and by its modem.",
    )
    demo.add_argument("--once", action="store_true", help="one press, acknowledged, then the end")
    demo.add_argument(
        "--json", action="store_true", help="the timeline as a JSON object on the last line; implies --once"
    )
    demo.add_argument(
        "--direct", action="store_true", help="the phone is off: each way of the button's own; implies --once"
    )
    demo.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sim.realtime import demo, demo_direct

    once = arguments.once or arguments.json or arguments.direct
    prepare = demo_direct.prepare if arguments.direct else demo.prepare
    return asyncio.run(demo.run(once=once, as_json=arguments.json, prepare=prepare))
