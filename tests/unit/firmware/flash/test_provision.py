"""Provisioning: a flash image, one private registry line, a label without the root."""

import json
import re
import stat
from pathlib import Path

import pytest
import zxingcpp
from littlefs import LittleFS
from PIL import Image

from firmware.flash import label
from firmware.flash.app import main
from firmware.flash.build import BLOCK_BYTES, BLOCK_COUNT, capabilities_of, compile_firmware
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import KINDS
from firmware.flash.registry import Registry, default_registry, refuse_in_work_tree


def provision(folder: Path, *more: str) -> int:
    return main(["provision", "--image", str(folder), *more])


def flash(folder: Path) -> LittleFS:
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
    disk.context.buffer = bytearray((folder / "flash.img").read_bytes())
    disk.mount()
    return disk


def test_button_and_registry_agree_and_are_private(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same device_id and root on both sides, readable by the owner alone, the root never printed."""
    assert provision(tmp_path / "b") == 0
    registry = tmp_path / "b" / "registry.jsonl"
    (line,) = [json.loads(text) for text in registry.read_text().splitlines()]
    assert set(line) == {"device_id", "root", "enrolment_sha256", "kind", "board", "capabilities"}
    assert line["capabilities"]["fresh_address"] is True
    with flash(tmp_path / "b").open("identity.json") as file:
        identity = json.loads(file.read())
    assert (identity["device_id"], identity["root"]) == (line["device_id"], line["root"])
    for path in (registry, tmp_path / "b" / "flash.img"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    printed = capsys.readouterr()
    assert line["root"] not in printed.out + printed.err


def test_a_provisioned_board_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only with --again, and then with another identity."""
    provision(tmp_path)
    before = (tmp_path / "flash.img").read_bytes()
    assert provision(tmp_path) == 1
    assert "--again" in capsys.readouterr().err
    assert (tmp_path / "flash.img").read_bytes() == before
    assert provision(tmp_path, "--again") == 0
    assert (
        len(
            {json.loads(line)["device_id"] for line in (tmp_path / "registry.jsonl").read_text().splitlines()}
        )
        == 2
    )


def test_mistakes_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, nothing written."""
    (tmp_path / "no.pem").write_text("nothing")
    (tmp_path / "file").write_text("")
    wide = tmp_path / "wide.jsonl"
    wide.touch(mode=0o644)
    assert provision(tmp_path / "b", "--centre", "https://example.org", "--ca", str(tmp_path / "no.pem")) == 1
    assert provision(tmp_path / "file") == 1
    assert provision(tmp_path / "b", "--registry", str(wide)) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "b" / "flash.img").exists()
    assert not (tmp_path / "b" / "registry.jsonl").exists()


@pytest.mark.parametrize("git", ["folder", "file"])
def test_keys_of_a_board_never_go_into_a_git_work_tree(tmp_path: Path, git: str) -> None:
    """The sentence names the tree, and says where they go instead; nothing is written."""
    root = tmp_path / "project"
    registry = root / "keys" / "registry.jsonl"
    registry.parent.mkdir(parents=True)
    if git == "folder":
        (root / ".git").mkdir()
    else:
        (root / ".git").write_text("gitdir: elsewhere")  # a work tree beside another
    with pytest.raises(CommandError, match=re.escape(str(root))) as caught:
        refuse_in_work_tree(registry)
    assert str(default_registry().parent) in str(caught.value)
    refuse_in_work_tree(tmp_path / "registry.jsonl")


def test_a_registry_that_got_no_line_is_not_left_behind(tmp_path: Path) -> None:
    """A provision that fails leaves nothing; one that was there stays, empty or not."""
    new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
    old.touch(mode=0o600)
    for path in (new, old):
        with pytest.raises(CommandError), Registry(path):
            raise CommandError("the cable came off")
    assert (new.exists(), old.exists()) == (False, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--centre", "https://example.org"), "--centre and --ca belong together"),
        (("--centre", "http://example.org", "--ca", "ca.pem"), "https://HOST:PORT is expected"),
    ],
)
def test_a_label_that_no_bridge_takes_is_not_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """Before anything is drawn or a board is touched."""
    with pytest.raises(SystemExit) as ended:
        provision(tmp_path / "b", *words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("board", KINDS)
def test_the_compiled_firmware_has_one_board(tmp_path: Path, board: str) -> None:
    """Of the boards, what this one needs."""
    files = compile_firmware(tmp_path, board)
    boards = {Path(name).stem for name in files if "/boards/" in name}
    assert boards == {"__init__", KINDS[board].family, "this"}
    assert not list(tmp_path.rglob("*.py"))


@pytest.mark.parametrize("board", KINDS)
def test_the_registry_takes_what_a_board_says_of_itself(board: str) -> None:
    """At most 16 lower-case names, each true or false; a fixed address and no deep sleep are said."""
    capabilities = capabilities_of(board)
    assert 0 < len(capabilities) <= 16
    assert all(re.fullmatch("[a-z][a-z_]{0,31}", name) for name in capabilities)
    assert capabilities["fresh_address"] is capabilities["deep_sleep"] is (KINDS[board].chip != "")


def test_a_phone_reads_the_label(tmp_path: Path) -> None:
    """Scanned, and turned and blurred as on a phone, the PNG says what amr-bridge enrol takes."""
    text = f"https://centre.example:8443/e#{'A2' * 10}.{'0f' * 32}"
    path = tmp_path / "label.png"
    label.save(text, path)
    with Image.open(path) as opened:
        image = opened.convert("L")
    small = image.resize((image.width // 2, image.height // 2)).rotate(17, expand=True, fillcolor=255)
    for seen in (image, small):
        (found,) = zxingcpp.read_barcodes(seen)
        assert (found.format, found.text) == (zxingcpp.BarcodeFormat.QRCode, text)
