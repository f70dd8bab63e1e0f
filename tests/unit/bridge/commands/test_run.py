"""`amr-bridge run`: one per home, until it is told to stop; nothing secret is in what it says."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.model import Press, Waypoint
from bridge.store.home import Credentials, Home
from bridge.store.journal import Journal, read_presses
from tests.parts import some
from tests.unit.bridge.commands.parts import CRASH
from tests.unit.bridge.parts import TOKEN, Authority, TestCentre, device, journal_at, remount, serve

ROOT = Path(__file__).resolve().parents[4]


def test_it_runs_until_it_is_told_to_stop_and_only_once_per_home(tmp_path: Path) -> None:
    """Without Bluetooth it says so and waits; SIGTERM ends it with 0; a second one is refused."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    journal_at(home.journal).write(Press(device(1).device_id, 1, 5, 1000))
    command = [sys.executable, "-m", "bridge", "run", "--home", str(home.path), "--json-log"]
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
        second = subprocess.run(command, capture_output=True, text=True, env=nowhere, timeout=60)
        assert second.returncode == 1
        assert "another bridge" in second.stderr
    finally:
        running.send_signal(signal.SIGTERM)
        _, complaint = running.communicate(timeout=60)
    assert running.returncode == 0
    assert complaint == ""


@pytest.mark.parametrize("how", [["--json-log"], []])
def test_nothing_secret_is_in_what_a_run_says_even_when_it_breaks(tmp_path: Path, how: list[str]) -> None:
    """Keys, token: not in its output, its title, nor in the sentence about a library's crash."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    journal_at(home.journal).write(Press(device(1).device_id, 1, 5, 1000))
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    world = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus",
    }
    options = [*how, *("--set", "position.sources=[]", "--set", "page.port=0")]
    program = subprocess.Popen(
        [sys.executable, "-m", "bridge", "run", "--home", str(home.path), *options],
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


def test_a_metrics_port_that_is_taken_does_not_stop_the_bridge(tmp_path: Path) -> None:
    """It says so, and listens for presses."""
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials("https://127.0.0.1:1", Authority().pem.decode(), (device(1),)))
    with socket.create_server(("127.0.0.1", 0)) as ear:
        port = ear.getsockname()[1]
        program = subprocess.Popen(
            [
                *(sys.executable, "-m", "bridge", "run", "--home", str(home.path), "--json-log"),
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


async def test_a_home_that_became_read_only_still_brings_its_press_to_the_centre(
    small_disk: Path, tmp_path: Path
) -> None:
    """It says what is wrong, goes on from memory, and sees by itself that the disk can be written again."""
    authority, centre, home = Authority(), TestCentre(), Home(small_disk / "home")
    home.make()
    async with serve(authority, centre.routes) as url:
        home.write(Credentials(url, authority.pem.decode(), (device(1),)))
        journal = Journal(home.journal)
        journal.write(Press(device(1).device_id, 1, 5, 1000))
        journal.close()
        remount(small_disk, "ro")
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "run", "--home", str(home.path), "--json-log"),
            *("--set", "position.sources=[]", "--set", "supervision.notify=false"),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"},
        )
        assert program.stdout
        lines: list[dict[str, object]] = []

        async def see(**fields: object) -> None:
            assert program.stdout
            while not (lines and fields.items() <= lines[-1].items()):
                lines.append(json.loads(await program.stdout.readline()))

        await see(what="received", counter=5)
        assert {("disk", "read_only"), ("page", "no_page_secret")} <= {
            (line.get("where"), line.get("reason")) for line in lines
        }
        remount(small_disk, "rw")
        await see(what="well", where="disk")
        program.terminate()
        await program.communicate()
    assert program.returncode == 0
    assert [post["counter"] for post in centre.posts] == [5]
    assert [press.incident for press in read_presses(home.journal)] == ["1-1-5"]


DAMAGES = {
    "a column's name": lambda whole: whole.replace(b"battery_mv ", b"cattery_mv "),
    "a text": lambda whole: whole.replace(b"here i am", b"here \xff am"),
    "half a position": lambda whole: whole.replace(b'{"lat": 50.5', b'["lat": 50.5'),
    "a page of another table": lambda whole: whole[:-4096] + bytes(4096),
}


@pytest.mark.parametrize("what", some(1, DAMAGES))
async def test_the_press_of_a_damaged_journal_reaches_the_centre(tmp_path: Path, what: str) -> None:
    """The bridge starts, sends it, and has the centre's answer in its journal."""
    authority, centre, home = Authority(), TestCentre(), Home(tmp_path / "home")
    home.make()
    async with serve(authority, centre.routes) as url:
        home.write(Credentials(url, authority.pem.decode(), (device(1),)))
        journal = Journal(home.journal)
        press = Press(device(1).device_id, 1, 5, 1000, last_event_id="here i am")
        journal.write(press, Waypoint(press.key, "2026-11-23T10:00:00.000Z", {"lat": 50.5, "lon": 4.5}))
        journal.close()
        whole = home.journal.read_bytes()
        damaged = DAMAGES[what](whole)
        assert damaged != whole
        home.journal.write_bytes(damaged)
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "run", "--home", str(home.path), "--json-log"),
            *("--set", "position.sources=[]", "--set", "supervision.notify=false", "--set", "page.port=0"),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"},
        )
        assert program.stdout
        lines = [json.loads(await program.stdout.readline())]
        while lines[-1]["what"] != "received":
            lines.append(json.loads(await program.stdout.readline()))
        program.terminate()
        await program.communicate()
    assert program.returncode == 0
    assert [post["counter"] for post in centre.posts] == [5]
    assert [press.incident for press in read_presses(home.journal)] == ["1-1-5"]
