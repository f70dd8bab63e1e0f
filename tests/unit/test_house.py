"""The house keeps its order: who imports whom, what pure modules may touch, what the docs name."""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.board.config import SETTINGS
from firmware.flash.interpreter import KINDS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("wire", "firmware", "bridge", "centre", "sim")

MAY_IMPORT = {
    "wire": set(),
    "firmware/board": {"wire"},
    "firmware/flash": {"wire", "firmware"},
    "bridge": {"wire"},
    "centre": {"wire"},
    "sim": {"wire", "firmware", "bridge", "centre"},
}
# What decides does no I/O and takes the time as an argument.
PURE = [
    *("wire/keys.py", "wire/codes.py", "wire/receipts.py", "wire/state.py"),
    *(f"firmware/board/{name}.py" for name in ("gesture", "press", "peers", "feedback")),
    *("sim/radio/adverts.py", "sim/recording/pseudonyms.py"),
    *(f"sim/attacker/{name}.py" for name in ("attacks", "questions")),
    *(
        str(path.relative_to(ROOT))
        for folder in ("bridge/rules", "centre/rules", "sim/physics", "sim/judge")
        for path in sorted((ROOT / folder).glob("*.py"))
    ),
]
IMPURE = {
    *("asyncio", "socket", "ssl", "os", "io", "pathlib", "time", "random", "secrets", "sqlite3", "threading"),
    *("aiohttp", "bleak", "bumble", "machine", "bluetooth", "micropython", "esp32", "subprocess", "tempfile"),
}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "shims" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room: str) -> None:
    """`wire` <- button, bridge, centre <- sim; bridge and centre share only HTTPS and `wire`."""
    own = room.split("/")[0]
    for path in sources(room):
        for name in imported(path):
            top = name.split(".")[0]
            if top in ROOMS and top != own:
                assert top in MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {name}"
            if room == "firmware/board" and top == "firmware":
                assert name.startswith("firmware.board"), f"{path.relative_to(ROOT)} imports {name}"


def test_wire_imports_hashlib_and_struct_alone() -> None:
    """So that it runs wherever those two are."""
    for path in sources("wire"):
        assert {name.split(".")[0] for name in imported(path)} <= {"hashlib", "struct", "wire"}, path.name


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_do_no_input_or_output(name: str) -> None:
    """No clock, socket, file, task or radio."""
    assert not {top.split(".")[0] for top in imported(ROOT / name)} & IMPURE


def test_one_file_speaks_to_bleak() -> None:
    """The radio of the bridge is one file."""
    users = {
        path.name for path in sources("bridge") if any(n.split(".")[0] == "bleak" for n in imported(path))
    }
    assert users == {"bleak_radio.py"}


def test_no_test_module_imports_another() -> None:
    """What tests share is in a module that holds no test: `parts.py` of their room."""
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                shared = [name for name in names if not name.startswith("test_")]
                assert names == shared, f"{path.relative_to(ROOT)} imports {node.module}"


def test_the_project_stands_alone() -> None:
    """Nothing that is shipped refers to how it was made."""
    tell_tale = re.compile(r"\.\./shared|\bissue #?\d|(?<!\w)/work/", re.IGNORECASE)
    for folder in (*ROOMS, "docs", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".sql", ".html", ".js", ".css"} and path != Path(__file__):
                assert not tell_tale.search(path.read_text()), path.relative_to(ROOT)


def test_every_dependency_is_explained() -> None:
    """docs/architecture.md says why each library is there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    wanted = [line for line in lines if not line.startswith("amr")]
    explained = (ROOT / "docs" / "architecture.md").read_text()
    for line in wanted:
        name = re.match(r"[\w-]+", line)
        assert name
        assert f"`{name[0]}`" in explained, name[0]


def test_every_room_of_the_centre_is_told() -> None:
    """docs/architecture.md says of each file and folder there what it is, and of none that is not there."""
    guide = (ROOT / "docs" / "architecture.md").read_text()
    rooms = re.search(r"^\| in `centre/` \|.*\n\|---.*\n((?:\|.*\n)+)", guide, re.MULTILINE)
    assert rooms
    told = re.findall(r"`(\w+(?:\.py|/))`", "\n".join(row.split("|")[1] for row in rooms[1].splitlines()))
    there = {path.name if path.is_file() else f"{path.name}/" for path in (ROOT / "centre").iterdir()}
    assert sorted(told) == sorted(name for name in there if not name.startswith("__"))


def test_make_lists_every_target() -> None:
    """`make` alone says what there is, a line each."""
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def test_the_integrators_guide_names_what_the_button_has() -> None:
    """Every setting with its default and bounds, every vibration's count, every word of the serial line."""
    guide = (ROOT / "docs" / "integrators.md").read_text()
    for name, (default, least, most) in SETTINGS.items():
        assert f"| `{name}` | {default} | {least}–{most} |" in guide, name
    for board, kind in KINDS.items():
        pins = [*map(str, kind.pins), "–"][:3]
        assert f"| `{board}` | {' | '.join(pins)} |" in guide, board
    said = set()
    for source in ("app", "memory", "radio"):
        said |= set(
            re.findall(r'(?:print|_say)\("(\w+)"', (ROOT / f"firmware/board/{source}.py").read_text())
        )
    assert said
    for word in said:
        assert re.search(rf"^\| `{word}\b", guide, re.MULTILINE), word


# What MicroPython's Zephyr port does not have (its documentation and source, November 2026); there are
# no published stubs for it to check against.
ZEPHYR_LACKS = {
    "deepsleep",
    "lightsleep",
    "RTC",
    "wake_reason",
    "reset_cause",
    "NVS",
    "ADC",
    "read_uv",
    "WDT",
}
ONLY_IMPORTS = {"machine", "time", "bluetooth", "os", "struct", "binascii", "json", "sys", "hashlib"}


def test_the_nrf52840_asks_for_nothing_that_its_port_lacks() -> None:
    """Neither its own file nor what all boards share calls it; the self-test asks the capabilities first."""
    folder = ROOT / "firmware" / "board"
    shared = [path for path in folder.rglob("*.py") if path.name not in ("esp32.py", "selftest.py")]
    assert folder / "boards" / "nrf52840.py" in shared
    for path in shared:
        names = {
            node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        }
        assert not names & ZEPHYR_LACKS, path.name
        modules = {name.split(".")[0] for name in imported(path)} - {"firmware", "wire"}
        assert modules <= ONLY_IMPORTS, path.name
