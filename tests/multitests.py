"""MicroPython's own tests of `bluetooth`, and aioble's, on simulated boards over the simulated air.

python -m tests.multitests CHECKOUT [--lib CHECKOUT] [--times 8] [NAME ...]

CHECKOUT is one of github.com/micropython/micropython: its tests/run-multitests.py plays each test of
tests/multi_bluetooth against what it should print. `--lib` is one of micropython/micropython-lib:
aioble, too.
Ends with 0 if all that apply passed every time.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from firmware.flash.build import flash_image
from sim.board.board import Board
from sim.radio.air import Air

_HEAP_KIB = (
    512  # a test is compiled on the board from its source, and objects take twice as much as on an ESP32
)
_BOARDS = 2
_L2CAP = "L2CAP channels: MicroPython for the ESP32 is built without them"
_NOT_APPLIED = {
    "ble_l2cap": _L2CAP,
    "perf_l2cap": _L2CAP,
    "ble_shutdown": _L2CAP,
    "stress_deepsleep_reconnect": "the runner knows a restart by the banner of a release",
}
_AIOBLE = Path("micropython/bluetooth/aioble")


async def _play(runner: Path, test: Path, ports: list[str]) -> tuple[bool, str]:
    """Return whether it passed, and what run-multitests.py printed."""
    targets = [word for port in ports for word in ("-t", port)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, runner.name, *targets, str(test)),
        cwd=runner.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out = (await process.communicate())[0].decode(errors="replace")
    return process.returncode == 0 and ": pass\n" in out, out


async def _play_all(runner: Path, tests: list[Path], image: bytes, times: int) -> list[str]:
    """Play each test so often; return the names of those that did not pass every time."""
    failed = []
    with tempfile.TemporaryDirectory() as home:
        air = Air()
        boards = []
        for number in range(_BOARDS):
            folder = Path(home) / f"board{number}"
            folder.mkdir()
            (folder / "flash.img").write_bytes(image)
            boards.append(Board(air, folder.name, folder, heap_kib=_HEAP_KIB))
        ports = [str(board.plug()) for board in boards]
        for board in boards:
            await board.power_on()
        for test in tests:
            if test.stem in _NOT_APPLIED:
                print(f"{test.stem:32} does not apply: {_NOT_APPLIED[test.stem]}", flush=True)
                continue
            verdicts = [await _play(runner, test, ports) for _ in range(times)]
            passed = sum(is_passed for is_passed, _ in verdicts)
            print(f"{test.stem:32} {passed} of {times}", flush=True)
            if passed < times:
                print(next(out for is_passed, out in verdicts if not is_passed))
                failed.append(test.stem)
        for board in boards:
            await board.power_off()
            board.unplug()
        await air.close()
    return failed


def _aioble(lib: Path) -> dict[str, bytes]:
    return {
        f"lib/aioble/{source.name}": source.read_bytes() for source in (lib / _AIOBLE / "aioble").glob("*.py")
    }


def main() -> int:
    """Run what was asked for; 0 if all passed, 1 if not, 2 where there is nothing to run."""
    parser = argparse.ArgumentParser(prog="python -m tests.multitests", description=__doc__.split("\n")[0])
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="of micropython/micropython")
    parser.add_argument(
        "--lib", type=Path, metavar="CHECKOUT", help="of micropython/micropython-lib: aioble, too"
    )
    parser.add_argument("--times", type=int, default=8, metavar="N", help="how often each (default: 8)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, such as ble_mtu")
    options = parser.parse_intermixed_args()
    runner = options.checkout.resolve() / "tests" / "run-multitests.py"
    tests = sorted((runner.parent / "multi_bluetooth").glob("*.py"))
    if not runner.is_file() or not tests:
        parser.error(f"{options.checkout} is no checkout of MicroPython: it has no {runner.name}")
    if options.lib:
        more = sorted((options.lib.resolve() / _AIOBLE / "multitests").glob("*.py"))
        if not more:
            parser.error(f"{options.lib} is no checkout of micropython-lib: it has no tests of aioble")
        tests += more
    chosen = [test for test in tests if not options.names or test.stem in options.names]
    image = flash_image(_aioble(options.lib) if options.lib else {})
    failed = asyncio.run(_play_all(runner, chosen, image, options.times))
    print(f"FAILED: {', '.join(failed)}" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
