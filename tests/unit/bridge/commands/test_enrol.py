"""`amr-bridge enrol`: a button is taken up, or one sentence says why not; nothing secret is shown."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import keyring
import pytest
from aiohttp import web

from bridge.commands import main
from bridge.store.home import Home
from tests.parts import some
from tests.unit.bridge.commands.parts import CRASH, Terminal
from tests.unit.bridge.parts import ENROLMENT, TOKEN, Authority, device, problem, serve, write_private
from tests.unit.bridge.store.parts import WorldKeyring

ROOT = Path(__file__).resolve().parents[4]


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
    """Run a command beside the server's event loop: it has one of its own."""
    return await asyncio.to_thread(main, [str(word) for word in argv])


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
    command = [sys.executable, "-m", "bridge", "enrol", "-", "--home", str(tmp_path / "home")]
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


async def test_nothing_secret_is_in_what_an_enrolment_says_when_it_breaks(
    enroller: Enroller, tmp_path: Path
) -> None:
    """The label's code and the PINs, which are in the body that the library stumbles over."""
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    pins = write_private(tmp_path / "p", "13579\n24680")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "enrol", "-", "--home", str(tmp_path / "home")),
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


# -- on a terminal ----------------------------------------------------------------------------------------

PIN, DURESS = "PIN that calls off an alarm: ", "PIN to give under duress, a different one: "
AGAIN = "The same once more: "


async def type_pins(terminal: Terminal, *lines: tuple[str, str]) -> None:
    for question, digits in lines:
        await terminal.see(question)
        terminal.type(f"{digits}\n")


async def test_both_pins_are_asked_twice_and_sent(enroller: Enroller, tmp_path: Path) -> None:
    """A slip of the finger is seen now, and not in need; nothing that was typed is shown."""
    options = ("--home", tmp_path / "home", "--secrets", "file")
    async with Terminal("enrol", "-", "--pin", "--duress-pin", *options) as terminal:
        await terminal.see("The label's text: ")
        terminal.type(f"{enroller.label}\n")
        await type_pins(terminal, (PIN, "1357"), (AGAIN, "1375"))
        await terminal.see("not the same")
        await type_pins(terminal, (PIN, "1357"), (AGAIN, "1357"), (DURESS, "24680"), (AGAIN, "24680"))
        assert await terminal.end() == 0
    assert enroller.asked == [{"code": ENROLMENT, "pin": "1357", "duress_pin": "24680"}]
    for digits in ("1357", "1375", "24680"):
        assert digits not in terminal.text.replace(enroller.label, "").replace(enroller.url, "")


@pytest.mark.parametrize(
    ("options", "lines", "sentence"),
    [
        (["--pin"], [(PIN, "1357"), (AGAIN, "1358")] * 3, "nothing has been enrolled"),
        (["--pin"], [(PIN, "135"), (AGAIN, "135")], "4 to 8 digits"),
        (
            ["--pin", "--duress-pin"],
            [(PIN, "1357"), (AGAIN, "1357"), (DURESS, "1357"), (AGAIN, "1357")],
            "a different one",
        ),
        (["--duress-pin"], [], "needs a PIN beside it"),
    ],
)
async def test_pins_that_cannot_be_used_leave_the_label_as_it_is(
    enroller: Enroller, tmp_path: Path, options: list[str], lines: list[tuple[str, str]], sentence: str
) -> None:
    """The label's code works once: it is not used up before both PINs are good."""
    async with Terminal("enrol", enroller.label, *options, "--home", tmp_path / "home") as terminal:
        await type_pins(terminal, *lines)
        await terminal.see(sentence)
        assert await terminal.end() == 2
    assert enroller.asked == []


@pytest.mark.parametrize("where", some(1, ["centre", "label", "PIN", "PIN again"]))
async def test_one_ctrl_c_ends_it(enroller: Enroller, tmp_path: Path, where: str) -> None:
    """At once, wherever it waits: exit code 130, no traceback, nothing stored."""
    asked, silent = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        asked.set()
        await silent.wait()

    enroller.on_enrol = never
    options = ("--pin", "--home", tmp_path / "home", "--secrets", "file")
    async with Terminal("enrol", "-", *options) as terminal:
        await terminal.see("The label's text: ")
        if where != "label":
            terminal.type(f"{enroller.label}\n")
            await terminal.see(PIN)
        if where in ("PIN again", "centre"):
            await type_pins(terminal, ("", "1357"))
            await terminal.see(AGAIN)
        if where == "centre":
            await type_pins(terminal, ("", "1357"))
            await asked.wait()
        terminal.type("\x03")
        assert await terminal.end() == 130
    silent.set()
    assert "Traceback" not in terminal.text
    assert not (tmp_path / "home" / "credentials.json").exists()
