"""`amr-sim run`: scenarios are read, all of them, then played, and judged."""

import argparse
import asyncio
import sys
from pathlib import Path

OK, USAGE = 0, 2
_REPORTS = ("junit", "json", "html")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `run` to the parser."""
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
    for kind in _REPORTS:
        run.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write a report as {kind}")
    run.add_argument("--keep", type=Path, metavar="DIR", help="leave the worlds' databases and images there")
    run.add_argument("--quiet", action="store_true", help="only what is broken, and the verdicts")
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from sim.scenarios import describe, files
    from sim.scenarios.run import run

    if arguments.list:
        for path in files.shipped():
            print(f"{path.stem:28}{files.load(path).title}")
        return OK
    if arguments.describe:
        print(describe.pages(), end="")
        return OK
    try:
        paths = [files.find(name) for name in arguments.scenarios]
        paths += files.shipped() if arguments.all else []
        if not paths:
            raise files.CannotRead("name a scenario, or --all; shipped ones: amr-sim run --list")
        reports = {kind: path for kind in _REPORTS if (path := getattr(arguments, kind)) is not None}
        return asyncio.run(
            run(
                paths,
                at_once=max(1, arguments.at_once),
                reports=reports,
                quiet=arguments.quiet,
                keep=arguments.keep,
            )
        )
    except files.CannotRead as error:
        print(f"amr-sim run: {error}", file=sys.stderr)
        return USAGE
