"""amr-sim: the simulated world on the command line.

Each subcommand is imported when it is chosen: `amr-sim --help` needs no Bumble.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from sim.commands import city as city
from sim.commands.recording import add_record, add_replay
from sim.commands.stalk import add_stalk

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_EXTRAS = ("bumble", "micropython")  # what only the extra `sim` installs


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a share of packets lies between 0 and 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a time limit is more than 0 seconds")
    return value


def _level(text: str) -> tuple[int, int]:
    from sim.board.chip import GPIOS

    gpio, _, level = text.partition("=")
    if not gpio.isdecimal() or int(gpio) not in GPIOS or level not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"a pin of an ESP32 and its level are expected, as 0=1, not {text}")
    return int(gpio), int(level)


def _add_air_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="the air's chances (default 0)")
    parser.add_argument("--loss", type=_share, default=0.0, help="share of adverts lost, 0 to 1")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="amr-sim", description="Boards, phones and the air between them, on this machine."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

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
    demo.set_defaults(run=_demo)

    _add_run(commands)
    add_record(commands)
    add_replay(commands)
    add_stalk(commands)

    execute = commands.add_parser(
        "exec",
        help="run MicroPython scripts, one board each, on one air",
        description="Run MicroPython scripts unchanged, one simulated ESP32 each, on one air of real "
        "Bluetooth packets. Ends when all of them have ended: with 0 if all ended well, else with the exit "
        "code of the first script, in the order given, that failed.",
    )
    execute.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT.py")
    execute.add_argument(
        "--timeout", type=_seconds, metavar="S", help="give up after so many seconds (exit code 1)"
    )
    execute.add_argument("--heap-kib", type=int, metavar="N", help="each board's heap (default 2048)")
    _add_air_options(execute)
    execute.set_defaults(run=_exec)

    air = commands.add_parser(
        "air",
        help="keep an air open for `micropython` processes started elsewhere",
        description="Keep an air open until Ctrl-C and print, as shell commands, the two environment "
        "variables with which any `micropython` process becomes a board on it, and AMR_HCI, where radios "
        "(as `amr-sim record --air`) join it. A board's stdin and stdout stay its own.",
    )
    air.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1 (default: any free one)")
    _add_air_options(air)
    air.set_defaults(run=_air)

    board = commands.add_parser(
        "board",
        help="keep one board with a serial port, for `mpremote` and `amr-button`",
        description="Keep one board switched on until Ctrl-C. The first line printed is its serial port, for "
        "`mpremote connect PORT` and `amr-button ... --port PORT`; then what can be seen of the board. "
        "Lines on stdin (r: reset, u: unplug, p: plug in, GPIO=LEVEL) are its buttons and wires; "
        "SIGUSR1 is its reset button, too.",
    )
    board.add_argument(
        "--image", type=Path, required=True, metavar="DIR", help="its flash; an erased one is made if needed"
    )
    board.add_argument(
        "--gpio", type=_level, action="append", default=[], metavar="N=LEVEL", help="drive pin N to 0 or 1"
    )
    board.add_argument("--heap-kib", type=int, default=96, metavar="N", help="its heap (default 96)")
    board.add_argument(
        "--battery-mv",
        type=int,
        default=3900,
        metavar="N",
        help="its battery; GPIO 35 sees half (default 3900)",
    )
    board.set_defaults(run=_board)
    _add_explore(commands)
    city.add_to(commands)
    return top


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="play scenarios against the real bridge and the real centre, and judge them",
        description="Play scenarios (docs/testers.md says how to write one): the real firmware, bridge and "
        "centre, and what goes wrong around them. The exit code is the verdict: 0 every promise held, 1 one "
        "was broken, 2 a scenario is wrong and nothing was started.",
    )
    run.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="a TOML file, or a shipped one by name")
    run.add_argument("--all", action="store_true", help="all the shipped ones")
    run.add_argument("--list", action="store_true", help="name the shipped ones and end")
    run.add_argument("--describe", action="store_true", help="the same as pages of Markdown, and end")
    run.add_argument("--at-once", type=int, default=2, metavar="N", help="so many side by side (default 2)")
    for kind in ("junit", "json", "html"):
        run.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write a report as {kind}")
    run.add_argument("--keep", type=Path, metavar="DIR", help="leave the worlds' databases and images there")
    run.add_argument("--quiet", action="store_true", help="only what is broken, and the verdicts")
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sim.scenarios import run

    if arguments.list:
        for path in run.shipped():
            print(f"{path.stem:28}{run.load(path).title}")
        return OK
    if arguments.describe:
        print(run.described(), end="")
        return OK
    try:
        paths = [run.find(name) for name in arguments.scenarios] + (run.shipped() if arguments.all else [])
        if not paths:
            raise run.CannotRead("name a scenario, or --all; shipped ones: amr-sim run --list")
        kinds = ("junit", "json", "html")
        reports = {kind: path for kind in kinds if (path := getattr(arguments, kind)) is not None}
        return asyncio.run(
            run.run(
                paths,
                at_once=max(1, arguments.at_once),
                reports=reports,
                quiet=arguments.quiet,
                keep=arguments.keep,
            )
        )
    except run.CannotRead as error:
        print(f"amr-sim run: {error}", file=sys.stderr)
        return USAGE


def _add_explore(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    explore = commands.add_parser(
        "explore",
        help="thousands of random fault schedules in virtual time",
        description="Play random schedules of presses and faults in virtual time, on all cores, and stop at "
        "the first promise that breaks: with its seed, the smallest schedule that still breaks it, and the "
        "command that replays it. Exit codes: 0 all promises kept, 1 one is broken, 2 wrong usage.",
    )
    explore.add_argument("--seeds", type=_count, default=1000, metavar="N", help="how many (default 1000)")
    explore.add_argument(
        "--seed", type=_seed, default=1, metavar="S", help="the first of them (default 1); today: by the date"
    )
    explore.add_argument(
        "--minutes",
        type=_minutes,
        default=10.0,
        metavar="M",
        help="of each (default 10, at least 6)",
    )
    explore.add_argument("--for", type=_seconds, metavar="S", dest="for_s", help="end after so many seconds")
    explore.add_argument("--cores", type=_count, metavar="N", help="how many to use (default: all)")
    explore.add_argument("--play", metavar="SCHEDULE", help="one, as explore wrote it, with its trace")
    explore.set_defaults(run=_explore)


def _seed(text: str) -> int:
    """A number; `today` is another one every day."""
    return int(date.today().strftime("%Y%m%d00000")) if text == "today" else int(text)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _minutes(text: str) -> float:
    value = float(text)
    if not 6 <= value <= 600:
        raise argparse.ArgumentTypeError("a schedule lasts 6 to 600 minutes: faults must be over in time")
    return value


def _explore(arguments: argparse.Namespace) -> int:
    from sim.virtual import explore, fault_script

    if arguments.play is None:
        return explore.explore(
            arguments.seeds, arguments.seed, arguments.minutes, arguments.cores, arguments.for_s
        )
    try:
        given = fault_script.read(arguments.play)
    except ValueError as error:
        print(f"amr-sim: {error}", file=sys.stderr)
        return USAGE
    return explore.replay(given)


def _demo(arguments: argparse.Namespace) -> int:
    from sim.commands.demo import run

    return asyncio.run(run(once=arguments.once or arguments.json, as_json=arguments.json))


def _exec(arguments: argparse.Namespace) -> int:
    for script in arguments.scripts:
        if not script.is_file():
            print(f"amr-sim: there is no script {script}", file=sys.stderr)
            return USAGE
    from sim.commands.exec_air_board import execute

    return asyncio.run(
        execute(
            arguments.scripts,
            seed=arguments.seed,
            loss=arguments.loss,
            timeout_s=arguments.timeout,
            heap_kib=arguments.heap_kib,
        )
    )


def _air(arguments: argparse.Namespace) -> int:
    from sim.commands.exec_air_board import keep_air

    try:
        return asyncio.run(keep_air(arguments.port, seed=arguments.seed, loss=arguments.loss))
    except OSError as error:
        print(f"amr-sim: port {arguments.port} cannot be opened: {error.strerror}", file=sys.stderr)
        return FAILED


def _board(arguments: argparse.Namespace) -> int:
    from sim.commands.exec_air_board import keep_board

    try:
        return asyncio.run(
            keep_board(
                arguments.image,
                arguments.gpio,
                _level,
                heap_kib=arguments.heap_kib,
                battery_mv=arguments.battery_mv,
            )
        )
    except OSError as error:
        print(f"amr-sim: {arguments.image}: {error.strerror or error}", file=sys.stderr)
        return FAILED


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRAS:
            raise
        print(f"amr-sim: {missing.name} is not installed: pip install '.[sim]'", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def console() -> None:
    sys.exit(main())


if __name__ == "__main__":
    console()
