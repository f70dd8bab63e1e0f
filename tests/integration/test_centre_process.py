"""The centre as a process: its command line, its death and its return."""

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
import trustme

from centre.commands import main
from centre.rules import heartbeats
from centre.work import accounts, buttons
from centre.work.heartbeats import take_heartbeat
from tests.integration.parts import ROOT, amr_centre, imported, run, served
from tests.unit.centre.parts import Hand, core_at
from wire import receipts

HAND = Hand()


async def test_killed_right_after_the_answer_it_has_lost_nothing(tmp_path: Path) -> None:
    """SIGKILL with the answer just read: incident and receipts are there when it returns."""
    home = tmp_path / "home"
    async with served(home) as (centre, phone):
        imported(home, HAND)  # while it serves
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1))
        centre.process.kill()
        headers = phone.headers
    async with served(home) as (centre, phone):
        phone.headers = headers
        assert await phone.post(HAND.alarm(1)) == (200, answer)
        async with phone.stream(f"/v1/incidents/{answer['incident']}/receipts") as events:
            assert (await anext(events))[2]["stage"] == receipts.RECEIVED
            async with phone.session.get(centre.console_url):
                path = f"/console/incidents/{answer['incident']}/acknowledge"
            await phone.ask("POST", path, headers={"Origin": phone.url})
            centre.process.kill()
    async with served(home) as (_, phone):
        phone.headers = headers
        status, answer = await phone.post(HAND.alarm(1))
        assert (status, answer["receipt"]["stage"]) == (200, receipts.ACKNOWLEDGED)


async def test_killed_in_the_middle_of_many_it_has_all_that_it_answered(tmp_path: Path) -> None:
    """Forty presses, SIGKILL at the first answer: each that was answered is there, with that answer."""
    home = tmp_path / "home"
    imported(home, HAND)
    async with served(home) as (centre, phone):
        await phone.enrol(HAND)
        tasks = {asyncio.create_task(phone.post(HAND.alarm(n))): n for n in range(1, 41)}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        centre.process.kill()
        await asyncio.wait(tasks)
        answered = {n: task.result()[1] for task, n in tasks.items() if task.exception() is None}
        headers = phone.headers
    assert answered
    async with served(home) as (_, phone):
        phone.headers = headers
        for n, answer in answered.items():
            assert await phone.post(HAND.alarm(n)) == (200, answer)


async def test_a_full_disk_is_a_503_and_the_press_is_taken_later(tmp_path: Path) -> None:
    """The kernel refuses every write: a problem, nothing lost, and with room it is 201."""
    home = tmp_path / "home"
    imported(home, HAND)
    async with served(home) as (centre, phone):
        await phone.enrol(HAND)
        assert (await phone.post(HAND.alarm(1)))[0] == 201
        _, hard = resource.prlimit(centre.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(centre.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        status, problem = await phone.post(HAND.alarm(2))
        assert (status, problem["reason"]) == (503, "store_unavailable")
        resource.prlimit(centre.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert (await phone.post(HAND.alarm(2)))[0] == 201
        assert (await phone.post(HAND.alarm(1)))[0] == 200


async def test_a_home_that_is_replaced_under_it_is_noticed(tmp_path: Path) -> None:
    """Nothing is answered that the next start would not know; it is told; what was refused is taken later."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    imported(home, HAND)
    async with served(home) as (centre, phone):
        await phone.enrol(HAND)
        status, answer = await phone.post(HAND.alarm(1))
        assert status == 201
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("centre.sqlite*"))
        # A whole one, whatever the centre writes meanwhile by itself.
        with closing(sqlite3.connect(home / "centre.sqlite")) as db:
            db.execute("VACUUM INTO ?", (str(copy / "centre.sqlite"),))
        (copy / "centre.sqlite").chmod(0o600)
        for file in home.iterdir():
            file.unlink()
        refused = [await phone.post(HAND.alarm(2))]
        shutil.copytree(copy, home, dirs_exist_ok=True)
        refused += [await phone.post(HAND.alarm(1)), await phone.post(HAND.alarm(2))]
        assert [(status, problem["reason"]) for status, problem in refused] == [
            (503, "store_unavailable")
        ] * 3
        lines = [await centre.next_line() for _ in range(2)]
        assert [line["what"] for line in lines] == ["received", "trouble"]
        assert "removed or replaced" in lines[1]["text"]
        headers = phone.headers
    async with served(home) as (_, phone):
        phone.headers = headers
        assert await phone.post(HAND.alarm(1)) == (200, answer)
        assert (await phone.post(HAND.alarm(2)))[0] == 201


async def test_its_memory_is_nobody_elses(tmp_path: Path) -> None:
    """No core file, whatever the shell allows, and no other process may look into it."""
    async with served(tmp_path / "home") as (centre, _):
        assert resource.prlimit(centre.process.pid, resource.RLIMIT_CORE) == (0, 0)
        # proc(5): of a process that may not be dumped these files are root's.
        assert Path(f"/proc/{centre.process.pid}/maps").stat().st_uid == 0


async def test_it_stops_gracefully(tmp_path: Path) -> None:
    """SIGTERM: exit code 0, and soon, although an operator's page is open."""
    async with served(tmp_path / "home") as (centre, phone):
        async with phone.session.get(centre.console_url):
            pass
        async with phone.stream("/console/live") as events:
            await anext(events)
            centre.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await centre.process.wait() == 0


async def test_a_home_is_served_once(tmp_path: Path) -> None:
    """The second says so and ends."""
    async with served(tmp_path / "home"):
        code, _, error = await run("serve", "--home", tmp_path / "home", "--port", 0)
    assert (code, error.count("\n")) == (1, 1)
    assert "already serves" in error


async def test_the_console_command_needs_no_tracebacks(tmp_path: Path) -> None:
    """As a process, from anywhere, for a newcomer."""
    code, out, error = await run("--help")
    assert (code, error) == (0, "")
    assert "Start with: amr-centre serve" in out
    assert (await run("ca", "--home", tmp_path / "home"))[0] == 0
    code, out, error = await run("users", "list", "--home", tmp_path / "home")
    assert (code, out, error) == (1, "", f"amr-centre: there is no centre in {tmp_path / 'home'}\n")


def issued(folder: Path, until: datetime, *names: str) -> tuple[object, ...]:
    """Return the options of `serve` for a certificate that ends then."""
    ca, key, cert = trustme.CA(), folder / "key.pem", folder / "cert.pem"
    leaf = ca.issue_cert(*names, not_after=until)
    leaf.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    for pem in (*leaf.cert_chain_pems, ca.cert_pem):
        pem.write_to_path(cert, append=True)
    return "--cert", cert, "--key", key


async def test_a_certificate_that_ends_soon_or_is_for_another_host_is_told(tmp_path: Path) -> None:
    """It serves; phones refuse it soon, or at an address that they are told."""
    options = issued(tmp_path, datetime.now(UTC) + timedelta(days=9), "127.0.0.1")
    async with served(tmp_path / "home", *options, "--public-url", "https://centre.example") as (centre, _):
        lines = [await centre.next_line() for _ in range(2)]
    assert [line["reason"] for line in lines] == ["certificate_ends_soon", "certificate_other_host"]


async def output_to(stdout: int | IO[Any], *arguments: object) -> tuple[int, str]:
    """Run one command whose stdout is that; return its exit code and stderr."""
    process = await asyncio.create_subprocess_exec(
        *amr_centre(*arguments), cwd=ROOT, stdout=stdout, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, error.decode()


@pytest.mark.parametrize("command", ["backup", "list"])
async def test_what_cannot_be_printed_undoes_no_act(tmp_path: Path, command: str) -> None:
    """On a full disk: one sentence, and the act's own exit code. Where nobody reads: silence."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    imported(home, *(Hand(n) for n in (1, 2, 3)))
    arguments = ("backup", copy) if command == "backup" else ("buttons", "list")
    with open("/dev/full", "w") as full:  # noqa: ASYNC230 -- no disk behind it
        code, error = await output_to(full, *arguments, "--home", home)
    assert (code, error) == (0, "amr-centre: cannot write to stdout: No space left on device\n")
    assert copy.exists() == (command == "backup")
    copy.unlink(missing_ok=True)
    reader, writer = os.pipe()
    os.close(reader)
    assert await output_to(writer, *arguments, "--home", home) == (0, "")
    os.close(writer)


# The rest needs no process of its own: `main` is what the command calls.


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, error = capsys.readouterr()
    assert error.count("\n") <= 1, "one sentence"
    assert "Traceback" not in error
    return code, out, error


def test_a_malformed_registry_says_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing of the file is imported."""
    registry, home = tmp_path / "registry", tmp_path / "home"
    registry.write_text(HAND.line + "oops\n")
    code, _, error = said(capsys, "buttons", "import", registry, "--home", home)
    assert code == 2
    assert "line 2" in error
    assert said(capsys, "buttons", "list", "--home", home)[:2] == (1, ""), "not even begun"


def test_buttons_are_imported_listed_and_enrolled_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way of a button through the command line; the same file twice is no mistake."""
    registry, home = tmp_path / "registry", tmp_path / "home"
    registry.write_text(HAND.line)
    assert said(capsys, "buttons", "import", registry, "--home", home)[1].startswith("1 imported")
    code, out, _ = said(capsys, "buttons", "import", registry, "--home", home)
    assert (code, out) == (0, "0 imported, 1 already here\n")
    assert HAND.device_id in said(capsys, "buttons", "list", "--home", home)[1]
    url = ("--url", "https://centre.example:8443/")
    code, out, _ = said(capsys, "buttons", "enrol", HAND.device_id, *url, "--home", home)
    sha256 = said(capsys, "ca", "--home", home)[1].split()[-1]
    assert code == 0
    assert out.splitlines()[1].startswith("QR text: https://centre.example:8443/e#")
    assert out.endswith(f".{sha256}\n")
    assert said(capsys, "buttons", "revoke", HAND.device_id, "--home", home)[0] == 0
    assert said(capsys, "buttons", "enrol", HAND.device_id, "--home", home)[0] == 1
    assert said(capsys, "bridges", "list", "--home", home) == (0, "", "")


def test_an_operator_is_added_and_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once to a login; the address that `console` prints signs the operator in."""
    home = ("--home", tmp_path)
    ann = ("ann", "--name", "Ann", "--role", "operator", *home)
    assert said(capsys, "users", "add", *ann)[::2] == (0, "")
    assert said(capsys, "users", "add", *ann)[::2] == (1, "amr-centre: ann is already here\n")
    assert "Ann  operator" in said(capsys, "users", "list", *home)[1]
    code, address, _ = said(capsys, "console", "ann", *home, "--url", "https://centre.example/")
    before, _, token = address.strip().partition("key=")
    assert (code, before) == (0, "https://centre.example/console/enter?")
    assert accounts.enter(core_at(tmp_path), token)[1].name == "Ann"
    assert said(capsys, "console", "bea", *home)[0] == 1


def test_the_lists_say_what_lives_and_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a case manager: board, last heard, battery; and each bridge's last sign of life."""
    registry, home = tmp_path / "registry", tmp_path / "home"
    told = {"capabilities": {"fresh_address": False, "deep_sleep": False, "battery": True}}
    registry.write_text(json.dumps(json.loads(HAND.line) | told) + "\n" + Hand(2).line)
    assert said(capsys, "buttons", "import", registry, "--home", home)[0] == 0
    first, second = said(capsys, "buttons", "list", "--home", home)[1].splitlines()
    assert "lacks: deep_sleep, fresh_address" in first
    assert "not heard yet" in first
    assert "lacks" not in second
    core = core_at(home)
    bridge = buttons.bridge_of(core, str(buttons.enrol(core, HAND.enrolment_code, None, None)["token"]))
    assert "no sign of life yet" in said(capsys, "bridges", "list", "--home", home)[1]
    button = {
        "device_id": HAND.device_id,
        "heard_at": "2026-11-23T10:00:00Z",
        "battery_mv": 2950,
        "low": True,
    }
    sign = {"buttons": [button], "phone": {"battery_percent": 7}, "troubles": ["bluetooth_off"]}
    take_heartbeat(core, bridge, heartbeats.read(sign))
    first, _ = said(capsys, "buttons", "list", "--home", home)[1].splitlines()
    assert "battery 2.95 V (change the battery)  BATTERY LOW" in first
    assert "last heard 20" in first
    line = said(capsys, "bridges", "list", "--home", home)[1]
    assert "last alive 20" in line
    assert "battery 7 %  troubles: bluetooth_off" in line


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("buttons", "import", "{tmp}/none"), 2, "No such file"),
        (("buttons", "import", "{tmp}/binary"), 2, "not text"),
        (("buttons", "import", "{tmp}/other-root"), 1, "another root"),
        (("buttons", "enrol", "A" * 16), 1, "no button"),
        (("buttons", "enrol", "short"), 2, "16 characters"),
        (("erase", "NOBODY1"), 1, "there is no case NOBODY1 here; nothing was erased"),
        (("buttons", "enrol", HAND.device_id, "--ca", "{tmp}/binary"), 2, "no PEM certificate"),
        (("buttons", "revoke", "A" * 16), 1, "no button"),
        (("bridges", "revoke", "NOBODY"), 1, "no bridge"),
        (("serve", "--cert", "{tmp}/none"), 2, "go together"),
        (("serve", "--cert", "{tmp}/none", "--key", "{tmp}/none"), 2, "No such file"),
        (("serve", "--cert", "{tmp}/binary", "--key", "{tmp}/binary"), 2, "no PEM certificate"),
        (("serve", "--cert", "{tmp}/home/ca.pem", "--key", "{tmp}/binary"), 2, "not usable as PEM"),
        (("serve", "--home", "{tmp}/binary/home"), 1, "cannot make the directory"),
        (("serve", "--port", "{port}"), 1, "address already in use"),
        (("report", "--home", "a" * 300), 2, "File name too long"),
        (("serve", "--home", "a" * 300), 1, "File name too long"),
        (("serve", "--config", "a" * 300), 2, "File name too long"),
        (("serve", "--cert", "a" * 300, "--key", "x"), 2, "File name too long"),
        (("serve", "--tiles", "a" * 300 + ".pmtiles"), 1, "File name too long"),
        (("buttons", "import", "a" * 300), 2, "File name too long"),
        (("backup", "a" * 300), 1, "File name too long"),
        (("export", "--incident", "x", "--to", "a" * 300), 2, "File name too long"),
    ],
)
def test_a_mistake_gets_one_sentence_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    """2 = wrong usage or input, 1 = could not."""
    home = tmp_path / "home"
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    (tmp_path / "registry").write_text(HAND.line)
    (tmp_path / "other-root").write_text(json.dumps(json.loads(HAND.line) | {"root": "00" * 32}))
    said(capsys, "buttons", "import", tmp_path / "registry", "--home", home)
    said(capsys, "ca", "--home", home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        filled = [argument.format(tmp=tmp_path, port=port) for argument in arguments]
        given, _, error = said(capsys, *filled, *(() if "--home" in filled else ("--home", home)))
    assert given == code
    assert words in error


def test_a_certificate_that_has_expired_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 1: every phone would refuse it."""
    options = issued(tmp_path, datetime.now(UTC) - timedelta(days=1), "127.0.0.1")
    code, _, error = said(capsys, "serve", "--home", tmp_path / "home", *options)
    assert (code, "expired on" in error) == (1, True)


@pytest.mark.parametrize(
    ("name", "mode", "advice"),
    [
        ("home", 0o755, "chmod 700 {home}"),
        ("home/centre.sqlite", 0o640, "chmod 600 {home}/centre.sqlite"),
        ("home/sealing.key", 0o604, "chmod 600 {home}/sealing.key"),
        ("key.pem", 0o644, "chmod o= {tmp}/key.pem"),
    ],
)
def test_what_others_may_read_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, mode: int, advice: str
) -> None:
    """With the command that mends it."""
    home = tmp_path / "home"
    imported(home, HAND)
    options = issued(tmp_path, datetime.now(UTC) + timedelta(days=99), "127.0.0.1")
    (tmp_path / name).chmod(mode)
    code, _, error = said(capsys, "serve", "--home", home, *options)
    assert code in (1, 2)
    assert error.endswith(f"run: {advice.format(home=home, tmp=tmp_path)}\n")


@pytest.mark.parametrize(
    "command",
    [
        ("verify-log",),
        ("backup", "{home}/file"),
        ("export", "CASE", "--to", "{home}/dir"),
        ("report",),
        ("users", "list"),
        ("users", "invite", "ann"),
        ("buttons", "list"),
    ],
)
def test_a_mistyped_home_is_no_empty_centre(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Else every backup of it is whole, and its log as it was written."""
    home = tmp_path / "home"
    filled = [word.format(home=tmp_path) for word in command]
    assert said(capsys, *filled, "--home", home) == (1, "", f"amr-centre: there is no centre in {home}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["buttons", "enrol", HAND.device_id, "--url", "http://x"],
        ["users", "invite", "ann", "--url", "https://x/console"],
        ["console", "ann", "--url", "x"],
        ["users", "add", "ann", "--role", "operator", "--name", " "],
        ["users", "add", "ann", "--role", "operator", "--name", "Ann \x1b[2J"],
        ["users", "change", "ann", "--name", "x" * 161],
        ["serve", "--port", "99999"],
        ["serve", "--port", "x"],
        ["serve", "--alive-s", "9"],
        ["serve", "--alive-s", "901"],
        ["serve", "--alive-s", "x"],
        ["serve", "--escalate-s", "4"],
        ["serve", "--escalate-s", "601"],
        ["serve", "--escalate-s", "0"],
        ["serve", "--address", "http://centre.example"],
        ["serve", "--address", "https://centre.example/path"],
        ["serve", "--address", "https://centre.example:port"],
        ["serve", "--address", "https://"],
        ["serve", "--address", "https://[::1"],
        ["buttons"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's sentence, and its usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "amr-centre" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "http://dispatch.example/hook",
        "dispatch.example/hook",
        "https:///hook",
        "https://name:word@dispatch.example/hook",
        "https://dispatch.example:0/hook",
        "https://dispatch.example:99999/hook",
        "https://dispatch.example/hook#part",
        "https://dispatch.example/a hook",
        "https://[::1/hook",
        "",
    ],
)
def test_a_bad_webhook_is_refused_with_a_sentence(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is served: a dispatch system that is told nothing must not look well."""
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--webhook", url])
    assert caught.value.code == 2
    assert "it is https://HOST[:PORT]/PATH, without a name or password" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A read-only directory."""
    tmp_path.chmod(0o500)
    assert said(capsys, "ca", "--home", tmp_path)[0] == 1
