"""`amr-bridge` for its users: sentences instead of tracebacks, exit codes that programs can read."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from bridge.commands import main
from bridge.model import Press
from bridge.store.home import Credentials, Home
from bridge.store.journal import Journal
from tests.unit.bridge.commands.parts import NoRadio
from tests.unit.bridge.parts import ENROLMENT, TOKEN, Authority, device, write_private


def test_usage_mistakes_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 for what cannot be understood, 1 for what cannot be done, 0 for help."""
    home = tmp_path / "home"
    Home(home).make()
    Home(home).write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    empty = tmp_path / "empty"
    for argv, code in (
        ([], 2),
        (["--help"], 0),
        (["run", "--help"], 0),
        (["dance"], 2),
        (["enrol", "no label", "--home", home], 2),
        (["enrol", f"https://127.0.0.1:1/e#{ENROLMENT}.{'00' * 32}", "--home", home, "--pin"], 2),
        (["enrol", f"https://127.0.0.1:1/e#{ENROLMENT}.{'00' * 32}", "--home", empty], 1),
        (["run", "--home", empty], 1),
        (["run", "--home", home, "--fix", "here"], 2),
        (["run", "--home", home, "--gpx", tmp_path / "none.gpx"], 2),
        (["run", "--home", home, "--gpx", "a", "--fix", "1,2,3"], 2),
        (["status", "--home", tmp_path / "nowhere"], 0),
    ):
        assert main([str(word) for word in argv]) == code, argv
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "spoil", ["{", "[]", '{"centre": "x"}', '{"centre": "", "ca_pem": "", "devices": [7]}']
)
def test_damaged_credentials_are_a_sentence(
    tmp_path: Path, spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way out is in it."""
    Home(tmp_path / "home").make()
    write_private(tmp_path / "home" / "credentials.json", spoil)
    assert main(["run", "--home", str(tmp_path / "home")]) == 1
    assert "enrol again" in capsys.readouterr().err


def test_keys_that_others_can_read_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File and folder; the sentence names the command that puts it right."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    for path, mode in ((home.path / "credentials.json", 0o640), (home.path, 0o750)):
        before = path.stat().st_mode
        path.chmod(mode)
        assert main(["run", "--home", str(home.path)]) == 1
        assert "chmod" in capsys.readouterr().err
        path.chmod(before)


def test_status_tells_buttons_and_presses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether it runs, and what is not yet at the centre; no key."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    journal = Journal(home.journal)
    journal.write(
        Press(device(1).device_id, 1, 5, 1000), Press(device(1).device_id, 2, 6, 2000, incident="i", stage=1)
    )
    journal.close()
    assert main(["status", "--home", str(home.path)]) == 0
    said = capsys.readouterr().out
    assert "not running" in said
    assert "2 press(es), 1 not yet at the centre" in said
    assert "TEST 6: RECEIVED" in said
    assert TOKEN not in said


def test_a_mistake_of_ours_is_a_place_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also at the very outside: a radio that is none breaks the doctor."""
    assert main(["doctor", "--home", str(tmp_path)], scanner=TOKEN) == 1  # type: ignore[arg-type]
    said = "".join(capsys.readouterr())
    assert TOKEN not in said
    assert "Traceback" not in said


def test_the_settings_are_shown_as_they_are_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file, then the flag; what is printed is a file that can be used."""
    home = Home(tmp_path)
    home.settings.write_text("[page]\nname = 'Clip'\nport = 9000\n")
    assert main(["config", "--home", str(tmp_path), "--set", "page.port=9001"]) == 0
    said = capsys.readouterr().out
    assert 'name = "Clip"' in said
    assert "port = 9001" in said
    home.settings.write_text(said)
    assert main(["config", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == said


def test_a_wrong_setting_stops_every_command_that_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2; not the status, which needs none."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    home.settings.write_text("[page]\nport = 'x'\n")
    for command, code in (("run", 2), ("config", 2), ("page", 2), ("status", 0)):
        assert main([command, "--home", str(home.path)]) == code
        assert ("page.port" in capsys.readouterr().err) == (code == 2)


def test_the_pages_address_is_printed_with_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same every time; a sentence where there is no page."""
    home = Home(tmp_path / "home")
    home.make()
    assert main(["page", "--home", str(home.path)]) == 1  # an enrolment that failed has made it
    capsys.readouterr()
    home.write(Credentials("https://127.0.0.1", "", (device(1),)))
    for _ in range(2):
        assert main(["page", "--home", str(home.path), "--set", "page.port=9000"]) == 0
        assert capsys.readouterr().out == f"http://127.0.0.1:9000/#{home.page_secret()}\n"
    assert main(["page", "--home", str(home.path), "--set", "page.port=0"]) == 1
    assert "page.port" in capsys.readouterr().err
    assert main(["page", "--home", str(tmp_path / "nowhere")]) == 1


def test_a_source_that_this_system_has_not_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GeoClue without its library, as on a Mac: the others are looked at."""
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    monkeypatch.setitem(sys.modules, "dbus_fast.aio", None)
    monkeypatch.delitem(sys.modules, "bridge.location.geoclue", raising=False)
    home = Home(tmp_path / "home")
    home.make()
    home.settings.write_text(
        "[position]\nsources = ['geoclue', 'fixed']\nfixed = '50.85,4.35,25'\n[page]\nport = 0\n"
    )
    assert main(["doctor", "--home", str(home.path)], scanner=NoRadio) == 1
    said = capsys.readouterr().out
    assert "there is no GeoClue on this system" in said
    assert re.search(r"^ok +position.fixed", said, re.MULTILINE)


def test_the_version_is_told_without_anything_that_takes_long_to_load() -> None:
    """Neither HTTP nor Bluetooth, neither an event loop nor a keyring."""
    program = (
        "import sys; from bridge.commands import main; main(['--version']); main(['--help']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert text.splitlines()[0] == f"amr-bridge {version('amr')}"
    loaded = set(text.splitlines()[-1].split())
    assert not loaded & {
        "aiohttp",
        "asyncio",
        "bleak",
        "cryptography",
        "filelock",
        "keyring",
        "ssl",
    }


def test_ctrl_c_while_it_starts_is_no_traceback(tmp_path: Path) -> None:
    """In the middle of an import, too."""
    (tmp_path / "argparse.py").write_text("import signal; signal.raise_signal(signal.SIGINT)")
    command = [sys.executable, "-m", "bridge", "status", "--home", str(tmp_path)]
    world = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, env=world, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")
