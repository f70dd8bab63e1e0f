"""`amr-button`: what an integrator does to a button."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.board.config import SETTINGS
from firmware.board.direct_config import PROFILES
from firmware.flash import battery, carriers, direct, label, networks
from firmware.flash.build import compile_firmware, sizes
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import KINDS, check_image, write_interpreter
from firmware.flash.printing import run_printing
from firmware.flash.provision import Provisioned, known_button, provision, provision_board
from firmware.flash.registry import default_registry

if TYPE_CHECKING:
    from firmware.flash.remote import Link
    from firmware.flash.selftest import Item, Report

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_RESTART_S = 30  # for a port to come back after its board was programmed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amr-button",
        description="Make a button out of a board: compile, flash, provision, self-test.",
        epilog="Then: amr-centre buttons import REGISTRY, and amr-bridge enrol - --pin --duress-pin.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('amr')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("firmware", help="compile the firmware and print its sizes")
    build.add_argument("--board", default="esp32", choices=list(KINDS), help="which board (default: esp32)")
    build.add_argument("--out", type=Path, metavar="DIR", help="default: build/BOARD")
    build.set_defaults(run=_firmware)

    flash = commands.add_parser(
        "flash",
        help="write MicroPython and the firmware to a board, and read them back",
        description="With --image, write the interpreter first (esptool, pyocd, or a copy to the XIAO's "
        "drive); then our files, by mpremote. What is on the board already and right is not written again.",
    )
    _add_port(flash)
    _add_flash_options(flash)
    flash.set_defaults(run=_flash)

    make = commands.add_parser(
        "provision",
        help="draw a device_id and keys for a board, or for the image of a simulated one",
        description="Draw a new device_id and root key, write them to the board (or, with the firmware, into "
        "DIR/flash.img), append the button to the registry that the centre imports, and make its label.",
    )
    target = make.add_mutually_exclusive_group(required=True)
    target.add_argument("--image", type=Path, metavar="DIR", help="folder of the simulated board")
    _add_port(target, required=False)
    _add_identity_options(make)
    make.add_argument(
        "--label", type=Path, metavar="FILE.png", help="default: DEVICE_ID.png beside the registry"
    )
    make.set_defaults(run=_provision)

    test = commands.add_parser("selftest", help="let a board try its own parts; pass or fail per line")
    _add_port(test)
    test.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    test.set_defaults(run=_selftest)

    many = commands.add_parser(
        "fleet",
        help="flash, provision and self-test many boards in a row",
        description="One board after the other, whatever became of the one before; a line of the table for "
        "each. Ends with 0 if every board is ready. A board that is in the registry already keeps its "
        "identity, so a second run finishes what the first could not.",
    )
    many.add_argument("--ports", nargs="+", required=True, metavar="PORT")
    many.add_argument("--table", type=Path, required=True, metavar="FILE.csv", help="lines are added to it")
    _add_flash_options(many)
    _add_identity_options(many, board=False)
    many.set_defaults(run=_fleet)

    direct.add_to(commands, _add_port, _link)
    networks.add_to(commands, _add_port, _link)
    carriers.add_to(commands, _add_port, _link)
    battery.add_to(commands)
    return parser


def _add_port(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    parser.add_argument("--port", required=required, metavar="PORT", help="/dev/ttyUSB0, /dev/ttyACM0, COM3")


def _add_flash_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="esp32", choices=list(KINDS), help="which board (default: esp32)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="MicroPython for it: .bin, .hex, .uf2")
    parser.add_argument("--erase", action="store_true", help="with --image: erase all first, identity too")
    parser.add_argument("--drive", type=Path, metavar="DIR", help="the XIAO's drive (default: looked for)")


def _add_identity_options(parser: argparse.ArgumentParser, *, board: bool = True) -> None:
    if board:
        parser.add_argument(
            "--board", choices=list(KINDS), help="which board (default: what it was flashed as)"
        )
    parser.add_argument(
        "--registry",
        type=Path,
        metavar="FILE",
        help=f"never in a git work tree (default: {default_registry()}; with --image, DIR/registry.jsonl)",
    )
    parser.add_argument(
        "--centre", type=_address, metavar="URL", help="the centre's https:// address, for the label's QR"
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="the centre's CA certificate (PEM), for the label's QR and for HTTPS without a phone",
    )
    parser.add_argument(
        "--hold-ms", type=_within("hold_ms"), metavar="N", help="how long a press is held (default: 2000)"
    )
    parser.add_argument(
        "--alive-s",
        type=_within("alive_period_s"),
        metavar="N",
        help="seconds between two signs of life (default: 900)",
    )
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=N",
        help="any setting of the button, such as button_gpio=4; more than once",
    )
    parser.add_argument("--again", action="store_true", help="give a provisioned board a new identity")
    parser.add_argument(
        "--direct",
        choices=PROFILES,
        help="reach the centre without a phone: as a backup, always, or not (default: off)",
    )
    direct.add_options(parser)


def _address(text: str) -> str:
    """As bridges take it up from a label (bridge/centre/client.py)."""
    if not re.fullmatch(r"https://[^\s#?]+", text):
        raise argparse.ArgumentTypeError(f"https://HOST:PORT is expected, not {text}")
    return text


def _within(name: str) -> Callable[[str], int]:
    return lambda number: _setting(f"{name}={number}")[1]


# -- the commands --------------------------------------------------------------------------


def _firmware(options: argparse.Namespace) -> int:
    out = options.out or Path("build") / options.board
    try:
        files = compile_firmware(out, options.board)
    except OSError as error:
        raise CommandError(f"cannot write {error.filename or out}: {error.strerror}") from None
    except subprocess.CalledProcessError:
        raise CommandError("the firmware does not compile; mpy-cross says above where") from None
    for name, content in files.items():
        print(f"{len(content):7}  {name}")
    for what, size in sizes(files).items():
        print(f"{size:7}  loaded {what}")
    print(f"{sum(map(len, files.values())):7}  in all, in {out}")
    return DONE


def _flash(options: argparse.Namespace) -> int:
    _write_interpreter(options, options.port)
    with _link(options.port, just_written=bool(options.image)) as link:
        _write_files(options, link)
    return DONE


def _write_interpreter(options: argparse.Namespace, port: str) -> None:
    if options.erase and not options.image:
        raise CommandError("--erase leaves no interpreter on the board: give one with --image")
    if options.image:
        write_interpreter(
            options.board, port, options.image, erase=options.erase, drive=options.drive, say=_say
        )


def _write_files(options: argparse.Namespace, link: "Link") -> None:
    from firmware.flash.files import write_files

    write_files(link, options.board, _say)


def _provision(options: argparse.Namespace) -> int:
    if options.image:
        made = provision(
            options.image,
            registry=options.registry or options.image / "registry.jsonl",
            board=options.board or "esp32",
            centre=options.centre,
            ca=options.ca,
            again=options.again,
            settings=_settings(options),
            alone=direct.asked(options),
        )
        _print_made(made)
    else:
        alone = direct.asked(options)
        with _link(options.port) as link:
            _print_made(_provision_board(options, link, options.label, alone))
    return DONE


def _provision_board(
    options: argparse.Namespace, link: "Link", label_file: Path | None, alone: direct.Direct | None
) -> Provisioned:
    return provision_board(
        link,
        registry=options.registry or default_registry(),
        board=options.board,
        centre=options.centre,
        ca=options.ca,
        again=options.again,
        settings=_settings(options),
        alone=alone,
        label_file=label_file,
        say=_say,
    )


def _settings(options: argparse.Namespace) -> dict[str, int]:
    given = {"hold_ms": options.hold_ms, "alive_period_s": options.alive_s, **dict(options.set)}
    return {name: value for name, value in given.items() if value is not None}


def _setting(text: str) -> tuple[str, int]:
    """`NAME=N`, within what the button takes; it would fall back to its default."""
    name, _, number = text.partition("=")
    if name not in SETTINGS:
        raise argparse.ArgumentTypeError(f"there is no setting {name!r}: {', '.join(SETTINGS)}")
    _, least, most = SETTINGS[name]
    if not number.isdecimal() or not least <= int(number) <= most:
        raise argparse.ArgumentTypeError(f"{name} is a number from {least} to {most}")
    return name, int(number)


def _print_made(made: Provisioned) -> None:
    print(f"button          {made.device_id}")
    print(f"registry        {made.registry}")
    print(f"enrolment code  {made.enrolment_code}  (works once, for 7 days)")
    if made.label:
        print(f"label           {made.label}")
    if made.qr_text:
        print(f"QR text         {made.qr_text}")
        label.show(made.qr_text)


def _selftest(options: argparse.Namespace) -> int:
    from firmware.flash.selftest import save

    with _link(options.port) as link:
        report = _test(link)
        if options.json:
            save(report, options.json)
        lacks = sorted(name for name, has in report.capabilities.items() if not has)
        if lacks:
            print(f"this kind of board has no {', no '.join(lacks)}".replace("_", " "))
        if report.passed:
            print("passed")
    if not report.passed:
        print(f"FAILED: {', '.join(report.failed())}")
    return DONE if report.passed else FAILED


def _test(link: "Link") -> "Report":
    from firmware.flash.selftest import selftest

    return selftest(link, _print_item)


def _print_item(item: "Item") -> None:
    print(f"{item.result:5} {item.name:8} {item.detail}".rstrip(), flush=True)


def _fleet(options: argparse.Namespace) -> int:
    from firmware.flash.fleet import Steps, fleet

    if options.image:
        check_image(options.board, options.image)
    alone = direct.asked(options)
    steps = Steps(
        interpreter=lambda port: _write_interpreter(options, port),
        link=lambda port: _link(port, just_written=bool(options.image)),
        files=lambda link: _write_files(options, link),
        provision=lambda link: _made_or_known(options, link, alone),
        selftest=_test,
    )
    rows = fleet(options.ports, options.table, steps, _say)
    ready = sum(not row.trouble for row in rows)
    print(f"{ready} of {len(rows)} boards are ready; {options.table} has a line for each")
    return DONE if ready == len(rows) else FAILED


def _made_or_known(options: argparse.Namespace, link: "Link", alone: direct.Direct | None) -> str:
    """The device_id of a board: its own if the registry has it, else a new one."""
    known = "" if options.again else known_button(link, options.registry or default_registry())
    if known:
        _say(f"{link.port} is button {known} already, and keeps its identity")
        return known
    made = _provision_board(options, link, None, alone)
    _print_made(made)
    return made.device_id


def _link(port: str, *, just_written: bool = False) -> "Link":
    from firmware.flash.remote import Link

    return Link(port, wait_s=_RESTART_S if just_written else 0, say=_say)


def _say(text: str) -> None:
    print(text, flush=True)


def main(argv: list[str]) -> int:
    """Run one command; 0 done, 1 refused with a sentence on stderr, 2 not understood."""
    parser = _parser()
    options = parser.parse_args(argv)
    if "centre" in options and not _are_together(options):
        parser.error("--centre and --ca belong together: the label names both")
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except CommandError as refused:
        print(f"amr-button: {refused}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("amr-button: interrupted; run it again and it finishes what it began", file=sys.stderr)
        return INTERRUPTED


def _are_together(options: argparse.Namespace) -> bool:
    """Whether the label gets both or neither; HTTPS without a phone needs the CA alone."""
    has_host = options.direct and options.host
    return (options.centre is None) == (options.ca is None) or (options.ca is not None and bool(has_host))


def console() -> None:
    """The entry point of the `amr-button` command."""
    sys.exit(run_printing("amr-button", lambda: main(sys.argv[1:])))
