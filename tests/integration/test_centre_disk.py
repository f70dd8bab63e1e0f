"""A full disk at the start, and copies that a killed program has left."""

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from centre.commands import main
from centre.platform import drafts
from centre.platform.home import SPARE, Home
from sim.realtime.small_disk import SmallDisk
from tests.integration.parts import ROOT, amr_centre, imported, run, served
from tests.unit.centre.parts import FIX, Hand
from tests.unit.centre.parts import centre as served_here

HAND = Hand()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
async def test_a_centre_starts_on_a_full_disk_and_says_so(disk: tuple[Path, SmallDisk], how: int) -> None:
    """Operators see what there is; the log says why nothing is taken."""
    home, small = disk
    imported(home, HAND)
    async with served(home) as (centre, phone):
        await phone.enrol(HAND)
        assert (await phone.post(HAND.alarm(1, fix=FIX)))[0] == 201
        centre.process.send_signal(how)
        await centre.process.wait()
    small.fill()
    async with served(home) as (centre, phone):
        told = {}
        while "disk_full" not in told:
            line = await centre.next_line()
            told[line.get("reason")] = line["text"]
        assert str(home) in told["disk_full"]
        async with phone.session.get(centre.console_url) as page:
            assert page.status == 200
            assert "1 " in await page.text()


async def test_a_full_disk_keeps_nobody_from_reading(
    disk: tuple[Path, SmallDisk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks for what went wrong, though SQLite finds no room for the index of its log."""
    home, small = disk

    def command(*arguments: object) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--home", str(home)])
        return code, *capsys.readouterr()

    async with served_here(home, HAND) as (_, phone):
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1, fix=FIX))
    command("users", "add", "ann", "--name", "Ann", "--role", "operator")
    small.fill()
    assert not list(home.glob("*-shm"))
    to = tmp_path / "out"
    for arguments, said in (
        (("users", "list"), "ann"),
        (("buttons", "list"), HAND.device_id),
        (("bridges", "list"), HAND.device_id),
        (("verify-log",), "the log is as it was written"),
        (("export", "--incident", answer["incident"], "--to", to), "1 incident(s)"),
        (("report",), "all zones"),
    ):
        code, out, error = command(*arguments)
        assert (code, said in out) == (0, True), (arguments, out, error)
    assert "could not be noted" in error or (to / f"incident-{answer['incident']}.json").exists()
    code, _, error = command("users", "add", "bo", "--name", "Bo", "--role", "operator")
    assert code == 1
    assert "full" in error


async def test_room_is_kept_for_a_start_on_a_full_disk(tmp_path: Path) -> None:
    """Made where it is missing, and not taken for a key or a database."""
    home = Home(tmp_path / "home")
    assert not home.keep_spare()
    spare = home.path / SPARE
    assert spare.stat().st_mode & 0o777 == 0o600
    before = spare.stat().st_ino
    home.keep_spare()
    assert spare.stat().st_ino == before


def left(home: Path) -> list[Path]:
    return [path for folder in (home, home.parent) for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("remover", ["backup", "serve"])
async def test_what_a_killed_program_has_left_is_removed(tmp_path: Path, remover: str) -> None:
    """A whole copy of the database, names in clear: by the next backup, or the next start."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    imported(home, HAND)
    await _leave_a_draft(home, tmp_path / "copy")
    assert len(left(home)) == 3, "the copy, what SQLite keeps beside it, and where it is"
    if remover == "backup":
        assert (await run("backup", elsewhere / "copy", "--home", home))[0] == 0
    else:
        async with served(home) as (centre, _):
            line = await centre.next_line()
        assert line["reason"] == "unfinished_copy"
        assert str(tmp_path / ".copy.") in line["text"]
    assert left(home) == []


async def _leave_a_draft(home: Path, target: Path) -> None:
    """By a program that is killed while it holds one."""
    program = "\n".join(
        (
            "import pathlib, sys, time",
            "from centre.platform import drafts, home",
            "folder, target = map(pathlib.Path, sys.argv[1:])",
            "with drafts.draft(home.Home(folder), target) as path:",
            "    path.with_name(path.name + '-wal').write_bytes(b'x')",
            "    print('there', flush=True)",
            "    time.sleep(600)",
        )
    )
    process = await asyncio.create_subprocess_exec(
        *amr_centre()[:1], "-c", program, home, target, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"there\n"
    assert drafts.remove_left(Home(home)) == [], "it is in use"
    process.kill()
    await process.communicate()


def test_a_draft_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """On a disk that is not there now: at the next start again."""
    home = Home(tmp_path / "home")
    (home.path / ".draft-0").symlink_to(tmp_path / "stick" / ".copy.0")
    for _ in range(2):
        (told,) = drafts.remove_left(home)
        assert str(tmp_path / "stick") in told
