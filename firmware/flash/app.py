"""`amr-button`: what an integrator does to a button."""

import argparse
import sys
from pathlib import Path

import segno

from firmware.flash.provision import Refused, provision


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amr-button",
        description="Make a button: give a simulated board its firmware, its identity and its keys.",
        epilog="Then: amr-centre buttons import REGISTRY, and amr-bridge enrol 'QR TEXT'.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    make = commands.add_parser(
        "provision",
        help="draw a device_id and keys, and write them with the firmware into a flash image",
        description="Draw a new device_id and root key, write them with the firmware into DIR/flash.img, "
        "append the button to the registry that the centre imports, and print the enrolment code.",
    )
    make.add_argument(
        "--image", type=Path, required=True, metavar="DIR", help="folder of the simulated board"
    )
    make.add_argument("--registry", type=Path, metavar="FILE", help="default: DIR/registry.jsonl")
    make.add_argument("--board", default="esp32", choices=["esp32"], help="which board (default: esp32)")
    make.add_argument("--centre", metavar="URL", help="the centre's address, for the label's QR")
    make.add_argument(
        "--ca", type=Path, metavar="FILE", help="the centre's CA certificate (PEM), for the label's QR"
    )
    make.add_argument("--hold-ms", type=int, help="how long a press is held (default: 2000)")
    make.add_argument("--alive-s", type=int, help="seconds between two signs of life (default: 900)")
    make.add_argument("--again", action="store_true", help="give a provisioned board a new identity")
    return parser


def main(argv: list[str]) -> int:
    """Run one command; 0 done, 1 refused with a sentence on stderr, 2 not understood."""
    options = _parser().parse_args(argv)
    given = {"hold_ms": options.hold_ms, "alive_period_s": options.alive_s}
    settings = {name: value for name, value in given.items() if value is not None}
    try:
        made = provision(
            options.image,
            registry=options.registry or options.image / "registry.jsonl",
            board=options.board,
            centre=options.centre,
            ca=options.ca,
            again=options.again,
            settings=settings,
        )
    except Refused as refused:
        print(f"amr-button: {refused}", file=sys.stderr)
        return 1
    print(f"button          {made.device_id}")
    print(f"registry        {made.registry}")
    print(f"enrolment code  {made.enrolment_code}  (works once, for 7 days)")
    if made.qr_text:
        print(f"QR text         {made.qr_text}")
        if sys.stdout.isatty():
            segno.make(made.qr_text).terminal(compact=True)
    return 0


def console() -> None:
    """The entry point of the `amr-button` command."""
    sys.exit(main(sys.argv[1:]))
