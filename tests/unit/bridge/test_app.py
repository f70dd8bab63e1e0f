"""`amr-bridge` for its users: enrolment, status, sentences instead of tracebacks."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import keyring
import pytest
from aiohttp import web

from bridge import app
from bridge.model import Press
from bridge.reporting.log import EVENTS
from bridge.settings import Config, name_of
from bridge.store.home import Credentials, Home
from bridge.store.journal import Journal
from tests.unit.bridge.commands.parts import NoRadio
from tests.unit.bridge.parts import ENROLMENT, TOKEN, Authority, device, problem, serve, write_private
from tests.unit.bridge.store.parts import NULL, WorldKeyring

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _no_keyring() -> Iterator[None]:
    """As in CI; a test must not write into its user's own keyring. test_vault.py has one of its own."""
    before = keyring.get_keyring()
    keyring.set_keyring(NULL)
    yield
    keyring.set_keyring(before)


class Enroller:
    """A centre that enrols; `answer` may be changed."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.asked: list[dict[str, Any]] = []
        self.number = 1
        self.answer: Callable[[], web.Response] = self._enrolled
        self.more: dict[str, Any] = {}
        self.on_enrol: Callable[[], Awaitable[None]] | None = None
        self.url = ""

    @property
    def label(self) -> str:
        return f"{self.url}/e#{ENROLMENT}.{self.authority.pin.hex()}"

    async def ca(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.authority.pem)

    async def enrol(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        if self.on_enrol:
            await self.on_enrol()
        return self.answer()

    def _enrolled(self) -> web.Response:
        it = device(self.number)
        keys = {name: getattr(it, name).hex() for name in ("k_code", "k_heard", "k_state")}
        described = {"device_id": it.device_id, "epoch": 0, **keys, "alive_period_s": 900}
        described["counters"] = {"press": 3, "alive": 0}
        return web.json_response(
            {"token": f"{TOKEN}-{self.number}", "devices": [described], **self.more}, status=201
        )


@pytest.fixture
async def enroller() -> AsyncIterator[Enroller]:
    centre = Enroller(Authority())
    routes = {("GET", "/ca.pem"): centre.ca, ("POST", "/v1/enrolments"): centre.enrol}
    async with serve(centre.authority, routes) as url:
        centre.url = url
        yield centre


async def run(*argv: object) -> int:
    """`main` has an event loop of its own, so it runs beside the server's."""
    return await asyncio.to_thread(app.main, [str(word) for word in argv])


async def test_enrolling_stores_what_is_needed_for_our_eyes_only(
    enroller: Enroller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys, token and CA in a file of mode 0600; nothing of it on the screen."""
    home = tmp_path / "home"
    assert await run("enrol", enroller.label, "--home", home) == 0
    assert enroller.asked == [{"code": ENROLMENT}]
    credentials = Home(home).read()
    assert credentials
    assert credentials.centre == enroller.url
    assert credentials.devices == (device(1, press_counter=3, token=f"{TOKEN}-1"),)
    assert credentials.secrets == "file"
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600
    said = "".join(capsys.readouterr())
    assert device(1).device_id in said
    for secret in (TOKEN, ENROLMENT, device(1).k_code.hex()):
        assert secret not in said


async def test_another_label_adds_its_button_and_the_same_one_renews_it(
    enroller: Enroller, tmp_path: Path
) -> None:
    """Several buttons, each with the token under which it was enrolled."""
    for number in (1, 2, 1):
        enroller.number = number
        assert await run("enrol", enroller.label, "--home", tmp_path / "home") == 0
    credentials = Home(tmp_path / "home").read()
    assert credentials
    assert {(it.device_id, it.token) for it in credentials.devices} == {
        (device(number).device_id, f"{TOKEN}-{number}") for number in (1, 2)
    }


async def test_further_addresses_of_the_centre_are_kept(enroller: Enroller, tmp_path: Path) -> None:
    """By its own word, on the way that the label secures."""
    enroller.more = {"addresses": ["https://b.example:8443"]}
    assert await run("enrol", enroller.label, "--home", tmp_path / "home") == 0
    credentials = Home(tmp_path / "home").read()
    assert credentials
    assert credentials.addresses == ("https://b.example:8443",)


async def test_keys_go_where_the_user_wants_them_and_stay_there(
    enroller: Enroller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keyring where there is one; remembered by the next enrolment, until the user says otherwise."""
    home = tmp_path / "home"
    monkeypatch.setenv("WORLD_KEYRING", str(tmp_path / "keyring.json"))
    assert await run("enrol", enroller.label, "--home", home, "--secrets", "keyring") == 1
    assert enroller.asked == [], "the code works once, and must not be used up in vain"
    assert "none here" in capsys.readouterr().err
    for options, kept in (
        ((), "file"),
        (("--secrets", "keyring"), "keyring"),
        ((), "keyring"),
        (("--secrets", "file"), "file"),
    ):
        assert await run("enrol", enroller.label, "--home", home, *options) == 0
        credentials = Home(home).read()
        assert credentials
        assert credentials.secrets == kept
        assert (TOKEN in (home / "credentials.json").read_text()) == (kept == "file")
        keyring.set_keyring(WorldKeyring())


async def test_a_label_from_stdin_is_in_nobodys_list_of_processes(enroller: Enroller, tmp_path: Path) -> None:
    """Nor are the PINs; and nothing of it is in what is said."""
    pins = write_private(tmp_path / "pins", "1357\n2468")
    listed = []

    async def look() -> None:
        listed.append(Path(f"/proc/{program.pid}/cmdline").read_text())

    enroller.on_enrol = look
    command = [sys.executable, "-m", "bridge.app", "enrol", "-", "--home", str(tmp_path / "home")]
    program = await asyncio.create_subprocess_exec(
        *command,
        *("--pin-file", str(pins), "--secrets", "file"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await program.communicate(f"{enroller.label}\n".encode())
    assert program.returncode == 0
    assert enroller.asked == [{"code": ENROLMENT, "pin": "1357", "duress_pin": "2468"}]
    assert listed
    for secret in (ENROLMENT, "1357", "2468", TOKEN):
        assert secret not in listed[0].replace(str(tmp_path), "")
        assert secret not in said.decode()


async def test_one_home_has_one_centre(
    enroller: Enroller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label of another centre is refused before it is asked."""
    assert await run("enrol", enroller.label, "--home", tmp_path / "home") == 0
    other = enroller.label.replace("127.0.0.1", "localhost")
    assert await run("enrol", other, "--home", tmp_path / "home") == 2
    assert "another --home" in capsys.readouterr().err


async def test_a_wrong_pin_on_the_label_sends_nothing(
    enroller: Enroller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The enrolment code stays secret from whoever answers at that address."""
    label = enroller.label.rsplit(".", 1)[0] + "." + "00" * 32
    assert await run("enrol", label, "--home", tmp_path / "home") == 1
    assert enroller.asked == []
    assert not (tmp_path / "home" / "credentials.json").exists()
    assert "not the one on the label" in capsys.readouterr().err


async def test_every_failure_of_an_enrolment_is_one_sentence(
    enroller: Enroller, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, nonsense, HTML: exit code 1, one line, nothing stored."""
    for answer in (
        lambda: problem(409, "enrolment_used", "The enrolment code has been used"),
        lambda: web.Response(text="<html>", content_type="text/html"),
        lambda: web.json_response({"token": "x", "devices": []}, status=201),
        lambda: web.json_response({"token": TOKEN, "devices": [{"device_id": 5}]}, status=201),
        lambda: web.json_response({"token": "a\nb" * 9, "devices": [{}]}, status=201),
        lambda: web.Response(status=503),
    ):
        enroller.answer = answer
        assert await run("enrol", enroller.label, "--home", tmp_path / "home") == 1
        said = capsys.readouterr().err
        assert said.startswith("amr-bridge: ")
        assert said.count("\n") == 1
    assert not (tmp_path / "home" / "credentials.json").exists()


async def test_pins_come_from_a_file_and_are_checked_first(enroller: Enroller, tmp_path: Path) -> None:
    """Four to eight digits, two different ones; a label's code is not used up for a bad PIN."""
    for text, code in (
        ("1234\n5678\n", 0),
        ("123", 2),
        ("12a4", 2),
        ("1234\n1234", 2),
        ("\n1234", 2),
        ("١٢٣٤", 2),
    ):
        pins = write_private(tmp_path / "pins", text)
        before = len(enroller.asked)
        assert await run("enrol", enroller.label, "--home", tmp_path / "home", "--pin-file", pins) == code
        assert len(enroller.asked) == before + (code == 0)
    assert enroller.asked == [{"code": ENROLMENT, "pin": "1234", "duress_pin": "5678"}]


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
        assert app.main([str(word) for word in argv]) == code, argv
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
    assert app.main(["run", "--home", str(tmp_path / "home")]) == 1
    assert "enrol again" in capsys.readouterr().err


def test_keys_that_others_can_read_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File and folder; the sentence names the command that puts it right."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    for path, mode in ((home.path / "credentials.json", 0o640), (home.path, 0o750)):
        before = path.stat().st_mode
        path.chmod(mode)
        assert app.main(["run", "--home", str(home.path)]) == 1
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
    assert app.main(["status", "--home", str(home.path)]) == 0
    said = capsys.readouterr().out
    assert "not running" in said
    assert "2 press(es), 1 not yet at the centre" in said
    assert "TEST 6: RECEIVED" in said
    assert TOKEN not in said


def test_it_runs_until_it_is_told_to_stop_and_only_once_per_home(tmp_path: Path) -> None:
    """Without Bluetooth it says so and waits; SIGTERM ends it with 0; a second one is refused."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    Journal(home.journal).write(Press(device(1).device_id, 1, 5, 1000))
    command = [sys.executable, "-m", "bridge.app", "run", "--home", str(home.path), "--json-log"]
    command += ["--set", "position.sources=[]", "--set", "page.port=0"]
    nowhere = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=nowhere
    )
    try:
        assert running.stdout
        said = [json.loads(running.stdout.readline()) for _ in range(3)]
        assert {line["what"] for line in said} == {"trouble", "retry"}
        assert {line["reason"] for line in said} >= {"centre_down"}
        assert all(line["at_ms"] > 1_700_000_000_000 for line in said)
        second = subprocess.run(command, capture_output=True, text=True, env=nowhere, timeout=20)
        assert second.returncode == 1
        assert "another bridge" in second.stderr
    finally:
        running.send_signal(signal.SIGTERM)
        _, complaint = running.communicate(timeout=10)
    assert running.returncode == 0
    assert complaint == ""


CRASH = """
# What a library may do to us: fail in the middle, with everything that it was given in its error's text.
import threading
import aiohttp

real = aiohttp.ClientSession._request

async def fail(self, method, url, **options):
    if method == "GET":
        return await real(self, method, url, **options)

    def in_thread():
        raise RuntimeError(f"{method} {url} {options}")
    threading.Thread(target=in_thread).start()
    raise RuntimeError(f"{method} {url} {options}")

aiohttp.ClientSession._request = fail
"""


@pytest.mark.parametrize("how", [["--json-log"], []])
def test_nothing_secret_is_in_what_a_run_says_even_when_it_breaks(tmp_path: Path, how: list[str]) -> None:
    """Keys, token: not in its output, its title, nor in the sentence about a library's crash."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    Journal(home.journal).write(Press(device(1).device_id, 1, 5, 1000))
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    world = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus",
    }
    options = [*how, *("--set", "position.sources=[]", "--set", "page.port=0")]
    program = subprocess.Popen(
        [sys.executable, "-m", "bridge.app", "run", "--home", str(home.path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | world,
        cwd=tmp_path,
    )
    said = ""
    assert program.stdout
    try:
        while not ("a mistake: RuntimeError" in said and "internal" in said and said.count("\n") >= 4):
            line = program.stdout.readline()
            assert line, said
            said += line
        title = Path(f"/proc/{program.pid}/cmdline").read_text()
    finally:
        program.send_signal(signal.SIGTERM)
        rest, _ = program.communicate(timeout=15)
    assert program.returncode == 0
    secrets = [TOKEN, *(getattr(device(1), name) for name in ("k_code", "k_heard", "k_state"))]
    for secret in secrets:
        shown = secret if isinstance(secret, str) else secret.hex()
        assert shown not in said + rest + title
        assert repr(secret)[2:-1] not in said + rest
    assert "Traceback" not in said + rest


async def test_nothing_secret_is_in_what_an_enrolment_says_when_it_breaks(
    enroller: Enroller, tmp_path: Path
) -> None:
    """The label's code and the PINs, which are in the body that the library stumbles over."""
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    pins = write_private(tmp_path / "p", "13579\n24680")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge.app", "enrol", "-", "--home", str(tmp_path / "home")),
        *("--pin-file", str(pins), "--secrets", "file"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
    )
    said, _ = await program.communicate(enroller.label.encode())
    assert program.returncode == 1
    assert said.count(b"RuntimeError at") == 2, said
    for secret in (ENROLMENT, "13579", "24680", "Traceback"):
        assert secret not in said.decode()


def test_a_mistake_of_ours_is_a_place_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also at the very outside: a radio that is none breaks the doctor."""
    assert app.main(["doctor", "--home", str(tmp_path)], scanner=TOKEN) == 1  # type: ignore[arg-type]
    said = "".join(capsys.readouterr())
    assert TOKEN not in said
    assert "Traceback" not in said


def test_the_settings_are_shown_as_they_are_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file, then the flag; what is printed is a file that can be used."""
    home = Home(tmp_path)
    home.config.write_text("[page]\nname = 'Clip'\nport = 9000\n")
    assert app.main(["config", "--home", str(tmp_path), "--set", "page.port=9001"]) == 0
    said = capsys.readouterr().out
    assert 'name = "Clip"' in said
    assert "port = 9001" in said
    home.config.write_text(said)
    assert app.main(["config", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == said


def test_a_wrong_setting_stops_every_command_that_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2; not the status, which needs none."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    home.config.write_text("[page]\nport = 'x'\n")
    for command, code in (("run", 2), ("config", 2), ("page", 2), ("status", 0)):
        assert app.main([command, "--home", str(home.path)]) == code
        assert ("page.port" in capsys.readouterr().err) == (code == 2)


def test_the_pages_address_is_printed_with_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same every time; a sentence where there is no page."""
    home = Home(tmp_path / "home")
    home.make()
    assert app.main(["page", "--home", str(home.path)]) == 1  # an enrolment that failed has made it
    capsys.readouterr()
    home.write(Credentials("https://127.0.0.1", "", (device(1),)))
    for _ in range(2):
        assert app.main(["page", "--home", str(home.path), "--set", "page.port=9000"]) == 0
        assert capsys.readouterr().out == f"http://127.0.0.1:9000/#{home.page_secret()}\n"
    assert app.main(["page", "--home", str(home.path), "--set", "page.port=0"]) == 1
    assert "page.port" in capsys.readouterr().err
    assert app.main(["page", "--home", str(tmp_path / "nowhere")]) == 1


def test_a_source_that_this_system_has_not_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GeoClue without its library, as on a Mac: the others are looked at."""
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    monkeypatch.setitem(sys.modules, "dbus_fast.aio", None)
    monkeypatch.delitem(sys.modules, "bridge.location.geoclue", raising=False)
    home = Home(tmp_path / "home")
    home.make()
    home.config.write_text(
        "[position]\nsources = ['geoclue', 'fixed']\nfixed = '50.85,4.35,25'\n[page]\nport = 0\n"
    )
    assert app.main(["doctor", "--home", str(home.path)], scanner=NoRadio) == 1
    said = capsys.readouterr().out
    assert "there is no GeoClue on this system" in said
    assert re.search(r"^ok +position.fixed", said, re.MULTILINE)


def test_a_metrics_port_that_is_taken_does_not_stop_the_bridge(tmp_path: Path) -> None:
    """It says so, and listens for presses."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    with socket.create_server(("127.0.0.1", 0)) as ear:
        port = ear.getsockname()[1]
        program = subprocess.Popen(
            [
                *(sys.executable, "-m", "bridge.app", "run", "--home", str(home.path), "--json-log"),
                *("--set", f"metrics.port={port}", "--set", "position.sources=[]", "--set", "page.port=0"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"},
        )
        assert program.stdout
        first = json.loads(program.stdout.readline())
        assert (first["what"], first["where"], first["reason"]) == ("trouble", "metrics", "port_taken")
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=15)
    assert program.returncode == 0


def test_the_reference_names_every_setting() -> None:
    """docs/bridge.md lists what config.toml may hold."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    for it in fields(Config):
        assert f"`{name_of(it)}`" in text


def test_the_reference_names_every_event_and_option() -> None:
    """docs/bridge.md: what is missing there does not exist for its readers."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    for event in EVENTS:
        assert f"`{event}`" in text
    parser = app._parser()
    for command, sub in parser._subparsers._group_actions[0].choices.items():  # type: ignore[union-attr]
        assert f"`amr-bridge {command}" in text
        for action in sub._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"`{option}" in text, (command, option)


def test_the_reference_explains_every_trouble() -> None:
    """Each reason that the sources can tell of is a line there."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    said = {"internal", "unknown_code", "unknown_device", "revoked", "bad_code"}  # three are the centre's
    said |= {"disk_full", "read_only", "journal_corrupt", "journal_slow", "journal_unwritable"}
    told = re.compile(
        r"(?:(?:RadioOff|SourceOff|CentreDown|TlsWrong|NotACentre|PageError)\(|\.tell\([^,()]+,|refused\()"
        r"\s*\"([a-z_]+)\""
    )
    for path in (ROOT / "bridge").rglob("*.py"):
        said |= set(told.findall(path.read_text(encoding="utf-8")))
    assert len(said) > 30
    for reason in sorted(said):
        assert f"`{reason}`" in text, reason
