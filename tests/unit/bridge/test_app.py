"""`amr-bridge` for its users: enrolment, status, sentences instead of tracebacks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge import app
from bridge.journal import Journal
from bridge.log import EVENTS
from bridge.model import Press
from bridge.settings import Credentials, Home
from tests.unit.bridge.parts import ENROLMENT, TOKEN, Authority, device, problem, serve, write_private

ROOT = Path(__file__).resolve().parents[3]


class Enroller:
    """A centre that enrols; `answer` may be changed."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.asked: list[dict[str, Any]] = []
        self.number = 1
        self.answer: Callable[[], web.Response] = self._enrolled
        self.url = ""

    @property
    def label(self) -> str:
        return f"{self.url}/e#{ENROLMENT}.{self.authority.pin.hex()}"

    async def ca(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.authority.pem)

    async def enrol(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return self.answer()

    def _enrolled(self) -> web.Response:
        it = device(self.number)
        keys = {name: getattr(it, name).hex() for name in ("k_code", "k_heard", "k_state")}
        described = {"device_id": it.device_id, "epoch": 0, **keys, "alive_period_s": 900}
        described["counters"] = {"press": 3, "alive": 0}
        return web.json_response({"token": f"{TOKEN}-{self.number}", "devices": [described]}, status=201)


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
    for reason in (
        *("disk_full", "read_only", "journal_corrupt", "journal_slow", "journal_unwritable", "internal"),
        *("centre_down", "centre_timeout", "centre_failing", "tls_wrong", "not_a_centre", "adapter_gone"),
        *("bluetooth_powered_off", "bluetooth_no_bluetooth", "unknown_device", "revoked", "bad_code"),
        *("unknown_code", "bad_state", "pin_mismatch", "no_ca"),
    ):
        assert f"`{reason}`" in text, reason
