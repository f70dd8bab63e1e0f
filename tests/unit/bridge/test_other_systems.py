"""The bridge on a system that is not Linux: it needs neither fcntl nor resource nor D-Bus to be there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# What speaks to Linux' own services is imported there alone.
LINUX_ALONE = ("bridge/location/geoclue.py", "bridge/radio/bluez.py")
THEIR_TESTS = ("tests/unit/bridge/location/test_geoclue.py", "tests/unit/bridge/radio/test_late_answers.py")


def test_every_file_can_be_imported_where_linux_libraries_are_absent() -> None:
    """Sources and radios that need one import it when they begin."""
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "bridge").rglob("*.py")]
    names = [file.removesuffix(".py").replace("/", ".") for file in files if file not in LINUX_ALONE]
    program = (
        f"import importlib, tests.unit.bridge.absent\nfor name in {names}: importlib.import_module(name)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.slow
def test_the_units_pass_where_linux_libraries_are_absent() -> None:
    """All of them but those of D-Bus, of a serial port and of disks that become read-only."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.unit.bridge.absent",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-m", "not slow", "tests/unit/bridge", *(f"--ignore={name}" for name in THEIR_TESTS)]
    command += ["-W", "ignore:only soft file lock"]  # filelock's own way, on a Unix without fcntl
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
