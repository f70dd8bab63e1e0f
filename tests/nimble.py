"""The tests of the button on MicroPython's real NimBLE host: `make test-nimble MICROPYTHON=PATH`.

PATH is MicroPython's unix port with NimBLE in it, or the checkout in which it was built. Without it nothing
is run, and the reason is said.
"""

import os
import subprocess
import sys
from pathlib import Path

from sim.board.board import NIMBLE

_PRESS = "tests/integration/test_press.py"
_KILLS = "tests/integration/test_kills.py"
_SCRIPTS = "tests/integration/test_board_bluetooth.py::test_scripts"
# Others import asyncio, which a small build lacks, or call without a pause, which the port does not survive.
_PAIRS = ("adverts_sender", "requests_peripheral", "links_peripheral", "pairing_peripheral")
_PROBE = "import bluetooth; print(bluetooth.BLE, bluetooth.BLE.gap_pair)"


def _interpreter(given: Path) -> Path | None:
    """Return the interpreter that is meant, if it has a Bluetooth host that pairs."""
    candidates = [given] if given.is_file() else sorted(given.glob("ports/unix/build-*/micropython"))
    for candidate in candidates:
        if subprocess.run([candidate, "-c", _PROBE], capture_output=True, check=False).returncode == 0:
            return candidate.resolve()
    return None


def main(arguments: list[str]) -> int:
    """Run them; `arguments` are PATH, or nothing, and what pytest is to be told."""
    if not arguments or not arguments[0]:
        print(
            "skipped: it takes a MicroPython with NimBLE: make test-nimble MICROPYTHON=PATH (docs/testers.md)"
        )
        return 0
    interpreter = _interpreter(Path(arguments[0]))
    if interpreter is None:
        print(
            f"{arguments[0]} is no MicroPython whose `bluetooth` pairs, and has none in ports/unix/build-*: "
            "build its unix port with NimBLE first (docs/testers.md)",
            file=sys.stderr,
        )
        return 1
    print(f"on {interpreter}", flush=True)
    scripts = [f"{_SCRIPTS}[{name}]" for name in _PAIRS]
    command = [sys.executable, "-m", "pytest", _PRESS, _KILLS, *scripts, *arguments[1:]]
    return subprocess.run(command, env=os.environ | {NIMBLE: str(interpreter)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
