"""The systemd unit: it comes back whatever happens, and says nothing of what it is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.commands import main, service


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never this user's own units, nor their service manager."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")


def test_it_is_always_started_again_and_tells_nobody(tmp_path: Path) -> None:
    """Neutral words, no secret, the interpreter by its whole path."""
    text = service.unit_text(tmp_path / "tag")
    for line in ("Restart=always", "RestartSec=1", "StartLimitIntervalSec=0", "NoNewPrivileges=yes"):
        assert line in text.splitlines()
    words = text.replace(str(tmp_path), "").replace(sys.executable, "")
    assert not re.search(r"alarm|emergency|police|panic|112|amr", words + service.UNIT, re.IGNORECASE)
    assert f'ExecStart="{sys.executable}"' in text


@pytest.mark.parametrize("name", ["a b", 'a"b', "a%n", "a$HOME", "a\\b", "é"])
def test_any_folder_can_be_the_home(tmp_path: Path, name: str) -> None:
    """What we wrote is what systemd reads: quotes, specifiers, variables."""
    home = tmp_path / name
    assert main(["service", "install", "--home", str(home)]) == 0
    line = next(it for it in service.unit_path().read_text().splitlines() if it.startswith("ExecStart="))
    word = re.findall(r'"((?:\\.|[^"])*)"', line)[-1]
    meant = word.replace("%%", "%").replace("$$", "$").replace('\\"', '"').replace("\\\\", "\\")
    assert meant == str(home)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    """Its own verdict, on the file as it is written."""
    assert main(["service", "install", "--home", str(tmp_path / "a 100% $home")]) == 0
    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(service.unit_path())],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
    )
    if "Failed to initialize manager" in verdict.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {verdict.stderr.strip()}")
    assert service.UNIT not in verdict.stderr, verdict.stderr
    assert verdict.returncode == 0


def test_it_is_installed_and_gone_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --now it says what to run; the second uninstall is no mistake."""
    home = ["--home", str(tmp_path / "home")]
    assert main(["service", "status", *home]) == 1
    assert "not installed" in capsys.readouterr().out
    assert main(["service", "install", *home]) == 0
    said = capsys.readouterr().out
    for command in ("systemctl --user enable --now tag-sync.service", "loginctl enable-linger"):
        assert command in said
    wants = service.unit_path().parent / "default.target.wants"
    wants.mkdir()
    (wants / service.UNIT).symlink_to(service.unit_path())
    assert main(["service", "uninstall", *home]) == 0
    assert "systemctl --user stop tag-sync.service" in capsys.readouterr().out
    assert not service.unit_path().exists()
    assert not (wants / service.UNIT).is_symlink()
    assert main(["service", "uninstall", *home]) == 0


def test_now_without_a_service_manager_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not answer, and none at all."""
    for path in (os.environ["PATH"], str(tmp_path)):
        monkeypatch.setenv("PATH", path)
        assert main(["service", "install", "--now", "--home", str(tmp_path)]) == 1
        assert "systemctl" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "config").write_text("")
    assert main(["service", "install", "--home", str(tmp_path)]) == 1
    assert "cannot write" in capsys.readouterr().err
