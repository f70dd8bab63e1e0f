"""MicroPython itself onto a board: esptool for the ESP32 family, pyocd for the nRF52840-DK, a UF2 copy
for the XIAO. An image is looked at before anything is written: an image for another chip is refused.
"""

import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from firmware.flash.errors import CommandError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Kind:
    """A board that can be bought. `family`: its file in firmware/board/boards; `pins`: the defaults for
    button, motor and battery (docs/boards says why these); `machine`: words that are in the
    interpreter's name for board and chip; `chip`: esptool's name."""

    family: str
    pins: tuple[int, ...]
    machine: str
    chip: str = ""


KINDS = {
    "esp32": Kind("esp32", (33, 25, 35), "esp32", "esp32"),
    "esp32c3": Kind("esp32", (4, 5, 3), "esp32c3", "esp32c3"),
    "esp32s3": Kind("esp32", (4, 5, 6), "esp32s3", "esp32s3"),
    "nrf52840dk": Kind("nrf52840", (11, 3), "nrf52840dk"),
    "xiao": Kind("nrf52840", (2, 3), "xiao ble"),
}


def known_as(machine: str) -> set[str]:
    """Which of KINDS an interpreter was built for, by its `sys.implementation._machine`."""
    words = set(re.split(r"[^a-z0-9]+", machine.lower()))
    return {name for name, kind in KINDS.items() if set(kind.machine.split()) <= words}


_BAUD = "460800"
_DRIVE_S = 60  # for a person to press RESET twice
_PYOCD_TARGET = "nrf52840"
_TAIL_BYTES = 4000
# https://github.com/microsoft/uf2: block layout and family identifiers
_UF2_BLOCK_BYTES = 512
_UF2_MAGICS = (0x0A324655, 0x9E5D5157)
_UF2_HAS_FAMILY = 0x2000
_UF2_NRF52840 = 0xADA52840
_ELF_ARM = 40


def write_interpreter(
    board: str, port: str, image: Path, *, erase: bool, drive: Path | None, say: Say
) -> None:
    """Put the MicroPython in `image` on the board. Raises CommandError, before writing if it does not fit."""
    content = check_image(board, image)
    say(f"interpreter {image}: {len(content)} bytes, for {board}")
    if KINDS[board].chip:
        from firmware.flash.port import check_port  # pyserial comes with esptool

        check_port(port)
        _run(esptool_command(board, port, image, erase=erase), board)
    elif board == "xiao":
        _copy_uf2(image, drive or _wait_for_drive(say), say)
    else:
        _run(_pyocd_command(port, image, erase=erase), board)


def check_image(board: str, image: Path) -> bytes:
    """The image's bytes, if they are for this board's chip. Raises CommandError."""
    try:
        content = image.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {image}: {error.strerror}") from None
    if KINDS[board].chip:
        wrong = _not_esp(KINDS[board].chip, content)
    else:
        wrong = _not_uf2(content) if board == "xiao" else _not_nrf(content)
    if wrong:
        raise CommandError(f"{image} is not for {board}: {wrong}; nothing was written")
    return content


# -- ESP32 ---------------------------------------------------------------------------------


def esptool_command(board: str, port: str, image: Path, *, erase: bool = False) -> list[str]:
    """What writes `image`. esptool refuses another chip than --chip before it writes."""
    chip = _chips()[KINDS[board].chip]
    words = [sys.executable, "-m", "esptool", "--chip", KINDS[board].chip, "--port", port, "--baud", _BAUD]
    words += ["write-flash", *(["--erase-all"] if erase else [])]
    return [*words, f"{chip.BOOTLOADER_FLASH_OFFSET:#x}", str(image)]


def _chips() -> dict:  # type: ignore[type-arg]  # of esptool's classes, which are not typed
    try:
        from esptool.targets import CHIP_DEFS
    except ImportError:
        raise CommandError("esptool is not installed: pip install '.[flash]'") from None
    return dict(CHIP_DEFS)


def _not_esp(name: str, content: bytes) -> str:
    """Why these bytes are no image for the chip called `name`; empty if they are."""
    chips = _chips()
    from esptool.bin_image import LoadFirmwareImage
    from esptool.util import FatalError

    try:
        image = LoadFirmwareImage(name, content)
        if image.chip_id == chips[name].IMAGE_CHIP_ID:
            image.verify()
            if image.checksum != image.calculate_checksum():
                return "its checksum is wrong, so the file is damaged: download it again"
            return ""
    except (FatalError, RuntimeError, struct.error, IndexError, TypeError):
        return "it is no image of an ESP32 chip, or a damaged one"
    made_for = [c.CHIP_NAME for c in chips.values() if getattr(c, "IMAGE_CHIP_ID", None) == image.chip_id]
    return f"it is for {made_for[0] if made_for else 'a chip unknown to esptool'}"


# -- nRF52840 ------------------------------------------------------------------------------


def _not_nrf(content: bytes) -> str:
    if content[:4] == b"\x7fELF":
        machine = struct.unpack_from("<H", content, 18)[0] if len(content) >= 20 else 0
        return "" if machine == _ELF_ARM else "it is a program for another processor"
    if content[:1] == b":":
        return ""
    return "pyocd takes MicroPython's Zephyr build as zephyr.hex or zephyr.elf"


def _not_uf2(content: bytes) -> str:
    if len(content) < _UF2_BLOCK_BYTES or len(content) % _UF2_BLOCK_BYTES:
        return "it is no UF2 file"
    for at in range(0, len(content), _UF2_BLOCK_BYTES):
        first, second, flags = struct.unpack_from("<III", content, at)
        if (first, second) != _UF2_MAGICS:
            return "it is no UF2 file"
        if flags & _UF2_HAS_FAMILY and struct.unpack_from("<I", content, at + 28)[0] != _UF2_NRF52840:
            return "this UF2 is for another chip than nRF52840"
    return ""


def _pyocd_command(port: str, image: Path, *, erase: bool = False) -> list[str]:
    if importlib.util.find_spec("pyocd") is None:
        raise CommandError("pyocd is not installed: pip install '.[nrf]'")
    words = [sys.executable, "-m", "pyocd", "load", "--no-wait", "--target", _PYOCD_TARGET]
    words += ["--format", "elf" if image.read_bytes()[:4] == b"\x7fELF" else "hex"]
    words += ["--erase", "chip" if erase else "sector"]
    from firmware.flash.port import usb_serial_number

    probe = usb_serial_number(port)  # the DK's probe and its serial port are one USB device
    return [*words, *(["--uid", probe] if probe else []), str(image)]


def _wait_for_drive(say: Say) -> Path:
    """Where the XIAO's boot loader shows itself as a drive. Raises CommandError."""
    say("press RESET twice, quickly: the board shows itself as a drive")
    until_s = time.monotonic() + _DRIVE_S
    while time.monotonic() < until_s:
        for folder in _drives():
            if (folder / "INFO_UF2.TXT").is_file():
                return folder
        time.sleep(0.5)
    raise CommandError(f"no boot loader's drive for {_DRIVE_S} s: press RESET twice, or name it with --drive")


def _drives() -> Iterable[Path]:
    if os.name == "nt":
        return [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    homes = [*Path("/media").glob("*/*"), *Path("/run/media").glob("*/*"), *Path("/Volumes").glob("*")]
    return [*homes, *Path("/media").glob("*")]


def _copy_uf2(image: Path, drive: Path, say: Say) -> None:
    """The boot loader programs what lands on its drive, and restarts. Raises CommandError."""
    try:
        info = (drive / "INFO_UF2.TXT").read_text(errors="replace")
    except OSError:
        raise CommandError(f"{drive} is not a boot loader's drive: there is no INFO_UF2.TXT on it") from None
    if "nrf52840" not in info.lower():
        raise CommandError(f"the board behind {drive} is not an nRF52840; nothing was written")
    try:
        target = drive / image.name
        with image.open("rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CommandError(f"copying to {drive} broke off ({error.strerror}); run it again") from None
    say(f"copied to {drive}")


def _run(command: list[str], board: str) -> None:
    """Run a programmer; its progress goes to our stdout as it comes. Raises CommandError."""
    tail = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 4096):
            tail = (tail + chunk)[-_TAIL_BYTES:]
            sys.stdout.write(chunk.decode(errors="replace"))
            sys.stdout.flush()
    if process.returncode:
        lines = [line.strip() for line in tail.decode(errors="replace").splitlines() if line.strip()]
        fatal = [line.split("error occurred:", 1)[1] for line in lines if "error occurred:" in line]
        reason = (fatal or lines or [""])[-1].strip().rstrip(".")
        raise CommandError(
            f"{command[2]} could not write the interpreter ({reason}); check that this is a {board} and its "
            "cable, hold BOOT while it connects if it has such a button, and run it again"
        )
