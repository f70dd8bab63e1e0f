"""Scenario files: the shipped ones by name, others by path."""

from pathlib import Path

from bridge.location import gpx
from sim.faults import FAULTS, REAL
from sim.scenarios.model import Scenario, read
from sim.scenarios.toml_tables import Lines, Wrong

SHIPPED = Path(__file__).parent


class CannotRead(Exception):
    """A scenario is not there or wrong, or a report has no place; the text is a sentence."""


def find(name: str) -> Path:
    """Find a file, or one of the shipped ones by its name. Raises CannotRead."""
    for path in (Path(name), SHIPPED / f"{name}.toml"):
        if path.is_file():
            return path
    if Path(name).is_dir():
        raise CannotRead(f"{name} is a folder; a scenario is a TOML file")
    raise CannotRead(f"there is no scenario {name}; shipped ones: amr-sim run --list")


def load(path: Path) -> Scenario:
    """Read a scenario that is played on real parts. Raises CannotRead, with the line."""
    scenario = load_any(path)
    for fault in scenario.faults:
        if REAL not in FAULTS[fault.what].worlds:
            why = f"only virtual time has {fault.what}: amr-sim explore --play {path}"
            raise CannotRead(f"{path}: line {fault.line}: {why}")
    return scenario


def load_any(path: Path) -> Scenario:
    """Read a scenario for either world. Raises CannotRead, with the line."""
    try:
        text = path.read_text("utf-8")
        scenario = read(text)
        for number, phone in enumerate(scenario.phones):
            if phone.gpx:
                _check_walk(path.parent / phone.gpx, Lines(text).of("phone", number, "gpx"))
        return scenario
    except Wrong as wrong:
        raise CannotRead(f"{path}: {wrong}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{path}: cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from None


def _check_walk(path: Path, line: int) -> None:
    """Check a recorded walk. Raises Wrong."""
    try:
        gpx.load(path, 0)
    except ValueError as error:
        raise Wrong(f"line {line}: [[phone]] `gpx`: {error}") from None


def shipped() -> list[Path]:
    return sorted(SHIPPED.glob("*.toml"))
