"""`amr-sim record` and `amr-sim replay`, as one types them."""

import argparse
import asyncio
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

OK, FAILED, USAGE = 0, 1, 2


def _host_port(text: str) -> str:
    match = re.fullmatch(r"[^\s:]+:([0-9]{1,5})", text, re.ASCII)
    if not match or not 0 < int(match[1]) < 65536:
        raise argparse.ArgumentTypeError(f"HOST:PORT is expected, not {text!r}")
    return text


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 31 * 86_400:
        raise argparse.ArgumentTypeError("more than 0 seconds and at most 31 days")
    return value


def _counters(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,10}),([0-9]{1,10})", text, re.ASCII)
    if not match or max(map(int, match.groups())) >= 0x80000000:
        raise argparse.ArgumentTypeError(f"the press counter and the alive counter, as 12,4000, not {text!r}")
    return int(match[1]), int(match[2])


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands to the parser."""
    _add_record(commands)
    _add_replay(commands)


def _add_record(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    record = commands.add_parser(
        "record",
        help="write down what an adapter or the simulated air hears",
        description="Write adverts with their times to a file that `amr-sim replay` plays. No key is in it; "
        "addresses, names and contents are pseudonyms, but for UUIDs of the form that codes have. Exit "
        "codes: 0 recorded, 1 it could not be, 2 wrong usage.",
    )
    source = record.add_mutually_exclusive_group(required=True)
    source.add_argument("--adapter", action="store_true", help="this machine's own Bluetooth")
    source.add_argument("--air", type=_host_port, metavar="HOST:PORT", help="where an air serves HCI")
    source.add_argument(
        "--scenario", metavar="SCENARIO", help="a TOML file, or a shipped one by name: all of it"
    )
    source.add_argument("--btsnoop", type=Path, metavar="FILE", help="a capture of btmon's or Android's")
    record.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new file")
    record.add_argument("--for-s", type=_seconds, metavar="S", help="so long (default: until Ctrl-C)")
    record.add_argument(
        "--keep", type=Path, metavar="DIR", help="of a scenario: leave registries and homes there"
    )
    record.set_defaults(run=_record)


def _record(arguments: argparse.Namespace) -> int:
    from sim.recording import record

    try:
        if arguments.btsnoop:
            record.from_btsnoop(arguments.btsnoop, arguments.to)
        elif arguments.scenario:
            asyncio.run(record.from_scenario(arguments.scenario, arguments.to, arguments.keep))
        elif arguments.air:
            asyncio.run(record.from_air(arguments.air, arguments.to, arguments.for_s))
        else:
            asyncio.run(record.from_adapter(arguments.to, arguments.for_s))
    except record.CannotRecord as error:
        print(f"amr-sim record: {error}", file=sys.stderr)
        return error.code
    return OK


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replay = commands.add_parser(
        "replay",
        help="play a recording through the real bridge, with a fresh journal",
        description="Play a recording through the real bridge and tell which presses it heard, what was "
        "foreign and what stale. No centre is asked unless one is named. Exit codes: 0 all was played and "
        "each press that was heard is on disk, 1 one is not, 2 the recording or the usage is wrong and "
        "nothing was played.",
    )
    replay.add_argument("recording", type=Path, metavar="FILE")
    who = replay.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "--registry",
        type=Path,
        action="append",
        metavar="FILE",
        help="the buttons, as provisioning wrote them; as often as needed",
    )
    who.add_argument(
        "--bridge-home", type=Path, metavar="DIR", help="the buttons that this bridge is enrolled with"
    )
    replay.add_argument(
        "--counters",
        type=_counters,
        default=(0, 0),
        metavar="PRESS,ALIVE",
        help="the highest ones known before it, with --registry (default 0,0: a new button)",
    )
    replay.add_argument("--fast", action="store_true", help="in virtual time, as fast as it goes")
    replay.add_argument(
        "--centre", metavar="URL", help="send what is heard there, with --bridge-home; in real time"
    )
    replay.add_argument("--journal", type=Path, metavar="FILE", help="keep the journal here; a new file")
    replay.add_argument("--json", action="store_true", help="tell it as JSON")
    replay.set_defaults(run=_replay)


def _replay(arguments: argparse.Namespace) -> int:
    from sim.recording import replay

    try:
        centre = None
        if arguments.centre:
            if arguments.fast or not arguments.bridge_home:
                raise replay.CannotReplay("--centre goes with --bridge-home, and not with --fast")
            if not arguments.centre.startswith("https://"):
                raise replay.CannotReplay(f"--centre wants https://..., not {arguments.centre}")
        if arguments.journal and arguments.journal.exists():
            raise replay.CannotReplay(f"{arguments.journal} is there already")
        if arguments.bridge_home:
            credentials = replay.enrolled(arguments.bridge_home)
            devices = list(credentials.devices)
            if arguments.centre:
                centre = (arguments.centre, credentials.ca_pem)
        else:
            devices = [
                one for path in arguments.registry for one in replay.registered(path, arguments.counters)
            ]
        if not devices:
            raise replay.CannotReplay("there is no button in it")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            journal = arguments.journal or folder / "journal.sqlite"
            played = replay.replay(arguments.recording, devices, journal, fast=arguments.fast, centre=centre)
    except replay.CannotReplay as error:
        print(f"amr-sim replay: {error}", file=sys.stderr)
        return USAGE
    told = replay.as_json(played) if arguments.json else replay.as_text(played, devices, bool(centre)) + "\n"
    print(told, end="")
    return OK if played.holds else FAILED
