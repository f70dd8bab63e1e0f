"""The house keeps its order: who imports whom, what pure modules may touch, what the docs name."""

import ast
import functools
import graphlib
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
# Whose modules all decide, without I/O and with the time as an argument. Elsewhere a docstring says "Pure".
PURE_ROOMS = ("wire", "bridge.rules", "centre.rules", "sim.physics", "sim.judge")
IMPURE = {
    *(
        "asyncio",
        "concurrent",
        "contextvars",
        "fcntl",
        "http",
        "importlib",
        "io",
        "logging",
        "multiprocessing",
    ),
    *(
        "os",
        "pathlib",
        "queue",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
    ),
    *("subprocess", "tempfile", "threading", "time", "urllib.request", "uuid"),
    *("aiohttp", "bleak", "bumble", "dbus_fast", "keyring", "serial", "uvloop"),
    *("bluetooth", "esp32", "machine", "micropython"),
}
# What pure modules import that is not pure itself.
IMPURE_STILL = {
    ("bridge.page.view", "bridge.page.words"),  # reads its sentences when it is imported
}
# The simulator's rooms, each of which imports only those before it; `virtual` and `city` stand beside them.
SIM_ROOMS = [
    {"physics", "judge", "faults", "scenarios.model", "scenarios.toml_tables"},
    *({"radio"}, {"board"}, {"realtime"}, {"scenarios"}, {"recording"}, {"attacker"}, {"commands"}, {"app"}),
]
BESIDE = {"virtual", "city"}
# What does I/O, and may be constructed only where a program is put together, or in its own room.
ADAPTERS = {
    "bridge": {"BleakRadio", "Centre", "DBusDesktop", "Journal", "JournalWriter"},
    "centre": {"Store", "Worker"},
}
WIRING = {"app", "main", "__main__", "commands"}
CONSTRUCTS_STILL = {
    ("bridge.tasks.relay", "JournalWriter"),
    ("centre.work.core", "Store"),  # `open_core`, which all wiring calls
    ("centre.work.backup", "Store"),  # the copy is read as the database is
}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "shims" not in path.parts)


def named(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {named(path): path for room in ROOMS for path in sources(room)}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
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


def parsed(module: str) -> ast.Module:
    return tree(MODULES[module])


@functools.cache
def imports_of(module: str, *, types: bool = True) -> set[str]:
    """Return all that a module imports, ours by module; without what only a type checker sees, if told so."""
    unseen: set[ast.AST] = set()
    blocks = [] if types else [node for node in ast.walk(parsed(module)) if isinstance(node, ast.If)]
    for block in blocks:
        if ast.unparse(block.test).endswith("TYPE_CHECKING"):
            unseen |= {inner for statement in block.body for inner in ast.walk(statement)}
    names = set()
    for node in ast.walk(parsed(module)):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            # A seeded generator is the same again; chance itself is not.
            names |= (members & MODULES.keys()) or (members - {"random.Random"} and {node.module})
    return names - {module}


def test_no_imports_go_in_a_circle() -> None:
    """Not for types either: who needs whom can be read from top to bottom."""
    graph = {module: imports_of(module) & MODULES.keys() for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def is_pure(module: str) -> bool:
    says_so = re.search(r"\bPure\b", ast.get_docstring(parsed(module)) or "")
    return bool(says_so) or module.startswith(tuple(f"{room}." for room in PURE_ROOMS))


@functools.cache
def impure_imports(module: str) -> set[str]:
    return {name for name in imports_of(module, types=False) if {name, name.split(".")[0]} & IMPURE}


def impurities(module: str) -> set[str]:
    """Return what a module does with the world: imports, files, clocks."""
    touched = set(impure_imports(module))
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"open", "print", "input"} or re.search(
                r"\bdate(time)?\.(now|today|utcnow)$", called
            ):
                touched.add(called)
    return touched


def test_pure_modules_do_no_input_or_output() -> None:
    """No clock, socket, file, task, radio or chance, in the rooms that decide and where it says "Pure"."""
    pure = {module for module in MODULES if is_pure(module)}
    assert len(pure) > 60
    assert {module: found for module in sorted(pure) if (found := impurities(module))} == {}


def test_pure_modules_import_only_pure_ones_of_ours() -> None:
    """So that each of them can be imported where there is no world at all."""
    pairs = set()
    for module in filter(is_pure, MODULES):
        for name in imports_of(module, types=False) & MODULES.keys():
            if not is_pure(name) and any(impure_imports(one) for one in reached_from(name)):
                pairs.add((module, name))
    assert pairs == IMPURE_STILL


def reached_from(module: str) -> set[str]:
    """Return a module and all of ours that importing it imports."""
    reached, waiting = set(), [module]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += imports_of(one, types=False) & MODULES.keys()
    return reached


def sim_room(module: str) -> str:
    parts = module.split(".")[1:]
    return next(
        (name for name in (".".join(parts[:2]), parts[0]) if any(name in row for row in SIM_ROOMS)), parts[0]
    )


def test_the_simulators_imports_run_one_way() -> None:
    """From what decides to what people call; the virtual world knows nothing of the one in real time."""
    order = {room: floor for floor, rooms in enumerate(SIM_ROOMS) for room in rooms}
    for module in [name for name in MODULES if name.startswith("sim.")]:
        own = sim_room(module)
        for name in imports_of(module):
            other = sim_room(name) if name.startswith("sim.") else own
            if own in order and other in order:
                assert order[other] <= order[own], f"{module} imports {name}"
            assert not (own in BESIDE and other == "realtime"), f"{module} imports {name}"


def test_only_the_wiring_constructs_what_does_io() -> None:
    """So that everything else runs on other parts, too: in virtual time, in a test."""
    constructed, defined = set(), set()
    for module in MODULES:
        product, _, rest = module.partition(".")
        defined |= {node.name for node in parsed(module).body if isinstance(node, ast.ClassDef)}
        if product not in ADAPTERS or rest.split(".")[0] in WIRING:
            continue
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                constructed |= {(module, node.func.id)} if node.func.id in ADAPTERS[product] else set()
    assert set().union(*ADAPTERS.values()) <= defined
    assert constructed == CONSTRUCTS_STILL


def test_one_file_speaks_to_bleak() -> None:
    """The radio of the bridge is one file."""
    users = {
        path.name for path in sources("bridge") if any(n.split(".")[0] == "bleak" for n in imported(path))
    }
    assert users == {"bleak_radio.py"}


def test_no_test_module_imports_another() -> None:
    """What tests share is in a module that holds no test: `parts.py` of their room."""
    for path in sources("tests"):
        for node in ast.walk(tree(path)):
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


@pytest.mark.parametrize("folder", ["firmware/board", "bridge", "centre", "sim"])
def test_every_room_is_in_the_guide(folder: str) -> None:
    """docs/architecture.md says of each file and folder there what it is, and of none that is not there."""
    guide = (ROOT / "docs" / "architecture.md").read_text()
    rooms = re.search(rf"^\| in `{folder}/` \|.*\n\|---.*\n((?:\|.*\n)+)", guide, re.MULTILINE)
    assert rooms
    first_cells = "\n".join(row.split("|")[1] for row in rooms[1].splitlines())
    listed = re.findall(r"`(\w+(?:\.\w+|/))`", first_cells)
    there = {path.name if path.is_file() else f"{path.name}/" for path in (ROOT / folder).iterdir()}
    assert sorted(listed) == sorted(name for name in there if not name.startswith("__"))


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
    others = ("esp32.py", "selftest.py", "wifi.py", "https.py")  # its image has none of the last two
    shared = [path for path in folder.rglob("*.py") if path.name not in others]
    assert folder / "boards" / "nrf52840.py" in shared
    for path in shared:
        names = {
            node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        }
        assert not names & ZEPHYR_LACKS, path.name
        modules = {name.split(".")[0] for name in imported(path)} - {"firmware", "wire"}
        assert modules <= ONLY_IMPORTS, path.name
