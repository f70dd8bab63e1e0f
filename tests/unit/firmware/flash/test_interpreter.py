"""Images and chips: what does not fit is refused before anything is written."""

import os
import pty
import struct
import subprocess
from pathlib import Path

import pytest
from esptool.bin_image import (
    ELFSection,
    ESP32C3FirmwareImage,
    ESP32FirmwareImage,
    ESP32S3FirmwareImage,
)

from firmware.flash.app import main
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import check_image, esptool_command, known_as, write_interpreter

IMAGES = {"esp32": ESP32FirmwareImage, "esp32c3": ESP32C3FirmwareImage, "esp32s3": ESP32S3FirmwareImage}
RAM = {"esp32": 0x3FFB0000, "esp32c3": 0x3FC80000, "esp32s3": 0x3FC88000}
OFFSETS = {"esp32": "0x1000", "esp32c3": "0x0", "esp32s3": "0x0"}
NRF52840, RP2040 = 0xADA52840, 0xE48BFF56


def esp_image(chip: str) -> bytes:
    """A small image, made as esptool makes them, with behind it what a MicroPython download has."""
    image = IMAGES[chip]()
    image.chip_id = image.ROM_LOADER.IMAGE_CHIP_ID
    image.segments = [ELFSection(b".data", RAM[chip], b"MicroPython!" * 20, 0)]
    image.entrypoint = RAM[chip]
    return bytes(image.save(None)) + b"\xff" * 5000


def uf2(family: int) -> bytes:
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x1000, 256, 0, 1, family)
    return (head + bytes(476) + struct.pack("<I", 0x0AB16F30)) * 3


@pytest.mark.parametrize("board", IMAGES)
@pytest.mark.parametrize("chip", IMAGES)
def test_an_image_fits_its_own_chip_alone(board: str, chip: str, tmp_path: Path) -> None:
    """Or the sentence names the chip that it is for."""
    path = tmp_path / "image.bin"
    path.write_bytes(esp_image(chip))
    if board == chip:
        assert check_image(board, path) == path.read_bytes()
        return
    with pytest.raises(CommandError, match=f"it is for {IMAGES[chip].ROM_LOADER.CHIP_NAME};"):
        check_image(board, path)


@pytest.mark.parametrize(
    ("machine", "boards"),
    [
        ("Generic ESP32 module with ESP32", {"esp32"}),
        ("ESP32C3 module with ESP32C3", {"esp32c3"}),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", {"esp32s3"}),
        ("zephyr-nrf52840dk_nrf52840 with nRF52840_QIAA", {"nrf52840dk"}),
        ("zephyr-nrf52840dk with nrf52840", {"nrf52840dk"}),
        ("zephyr-xiao_ble with nrf52840", {"xiao"}),
        ("Generic ESP32C6 module with ESP32C6", set()),
        ("linux [GCC 14.2.1] version", set()),
        ("", set()),
    ],
)
def test_an_interpreter_says_what_it_was_built_for(machine: str, boards: set[str]) -> None:
    """So that nobody flashes a C3 as an ESP32, whose pins it does not have; others are taken as they are."""
    assert known_as(machine) == boards


def test_a_damaged_image_is_refused(tmp_path: Path) -> None:
    """Whatever byte of it is wrong or missing."""
    path = tmp_path / "image.bin"
    whole = esp_image("esp32")
    for content in (
        b"",
        b"\xe9",
        whole[:20],
        whole[:100],
        b"\x00" + whole[1:],
        whole[:60] + b"?" + whole[61:],
    ):
        path.write_bytes(content)
        with pytest.raises(CommandError):
            check_image("esp32", path)


@pytest.mark.parametrize(
    ("board", "content", "fits"),
    [
        ("xiao", uf2(NRF52840), True),
        ("xiao", uf2(RP2040), False),
        ("xiao", uf2(NRF52840)[:-1], False),
        ("xiao", b":020000040000FA\n", False),
        ("nrf52840dk", b":020000040000FA\n", True),
        ("nrf52840dk", b"\x7fELF" + bytes(14) + struct.pack("<H", 40), True),
        ("nrf52840dk", b"\x7fELF" + bytes(14) + struct.pack("<H", 94), False),
        ("nrf52840dk", uf2(NRF52840), False),
        ("nrf52840dk", b"", False),
    ],
)
def test_the_nrf_boards_take_their_own_kind_of_file(
    board: str, content: bytes, fits: bool, tmp_path: Path
) -> None:
    """The XIAO a UF2 for its chip, the DK a hex or an ARM ELF."""
    path = tmp_path / "image"
    path.write_bytes(content)
    if fits:
        check_image(board, path)
        return
    with pytest.raises(CommandError, match="nothing was written"):
        check_image(board, path)


@pytest.mark.parametrize("board", IMAGES)
def test_esptool_gets_the_chip_and_its_boot_address(board: str) -> None:
    """With --chip it refuses another chip before it writes; nothing is erased unless asked for."""
    words = esptool_command(board, "/dev/ttyUSB0", Path("m.bin"))[3:]
    assert words[:4] == ["--chip", board, "--port", "/dev/ttyUSB0"]
    assert words[-3:] == ["write-flash", OFFSETS[board], "m.bin"]
    assert "--erase-all" in esptool_command(board, "/dev/ttyUSB0", Path("m.bin"), erase=True)


def test_esptool_itself_takes_that_command_line(tmp_path: Path) -> None:
    """The real program gets as far as the port, which is not there."""
    image = tmp_path / "m.bin"
    image.write_bytes(esp_image("esp32"))
    command = esptool_command("esp32", "/dev/ttyNone", image, erase=True)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode
    assert "Could not open /dev/ttyNone" in ran.stderr


@pytest.mark.slow
def test_a_port_where_no_chip_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No such port, or nobody behind it: one sentence with the reason and what to do."""
    image = tmp_path / "m.bin"
    image.write_bytes(esp_image("esp32"))
    assert main(["flash", "--port", "/dev/ttyNone", "--image", str(image)]) == 1
    ours, theirs = pty.openpty()
    try:
        assert main(["flash", "--port", os.ttyname(theirs), "--image", str(image)]) == 1
    finally:
        os.close(ours)
        os.close(theirs)
    missing, silent = capfd.readouterr().err.splitlines()
    assert "there is no port /dev/ttyNone" in missing
    assert "Failed to connect to ESP32" in silent
    assert "hold BOOT" in silent


def test_a_uf2_is_copied_to_the_boot_loaders_drive_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not to any folder, and not to the drive of another chip."""
    image, drive = tmp_path / "m.uf2", tmp_path / "drive"
    image.write_bytes(uf2(NRF52840))
    drive.mkdir()
    flash = [
        "flash",
        "--board",
        "xiao",
        "--port",
        "/dev/ttyNone",
        "--image",
        str(image),
        "--drive",
        str(drive),
    ]
    assert main(flash) == 1
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    assert main(flash) == 1
    assert not (drive / "m.uf2").exists()
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader 0.6.1\nBoard-ID: nRF52840-SeeedXiaoSense-v1\n")
    write_interpreter("xiao", "/dev/ttyNone", image, erase=False, drive=drive, say=print)
    assert (drive / "m.uf2").read_bytes() == image.read_bytes()
    folder, chip = capfd.readouterr().err.splitlines()
    assert "INFO_UF2.TXT" in folder
    assert "not an nRF52840" in chip
