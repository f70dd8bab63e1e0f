"""The doctor: what is missing is one sentence with what to do, and only what an alarm needs is wrong."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web

from bridge.commands import doctor, main
from bridge.commands.doctor import NOTE, OK, WRONG, Finding
from bridge.model import Fix, Health, Press
from bridge.ports import RadioOff, SourceOff
from bridge.settings import Settings
from bridge.store.home import Credentials, Home
from bridge.store.journal import Journal
from tests.parts import database_at
from tests.unit.bridge.commands.parts import NoRadio
from tests.unit.bridge.parts import TOKEN, Authority, device, journal_at, serve

HERE = Fix(50.85, 4.35, 12.4, 95.0, "GNSS", "2026-11-23T10:00:00Z")


@dataclass
class Receiver:
    """A source of the world's: gives a fix, fails, ends, or is silent."""

    name: str = "gpsd"
    does: str = "fix"
    fix: Fix = HERE

    async def run(self, report: Callable[[Fix], None]) -> None:
        if self.does == "fix":
            report(self.fix)
            report(self.fix)
        elif self.does == "off":
            raise SourceOff("gpsd_gone", "no gpsd answers; start it")
        elif self.does == "silent":
            await asyncio.Event().wait()


async def listens() -> None:
    return


def deaf(reason: str) -> Callable[[], Awaitable[None]]:
    async def listen() -> None:
        raise RadioOff(reason, "Bluetooth cannot be used")

    return listen


@pytest.fixture
async def centre() -> AsyncIterator[tuple[str, Authority]]:
    authority = Authority()

    async def ca(_request: web.Request) -> web.Response:
        return web.Response(body=authority.pem)

    async with serve(authority, {("GET", "/ca.pem"): ca}) as url:
        yield url, authority


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as ear:
        number: int = ear.getsockname()[1]
        return number


def home_of(tmp_path: Path, url: str, authority: Authority, *addresses: str) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    home.write(Credentials(url, authority.pem.decode(), (device(1),), addresses))
    return home


async def examined(
    home: Home,
    settings: Settings,
    *sources: Receiver,
    listen: Callable[[], Awaitable[None]] = listens,
    **bounds: float,
) -> dict[str, Finding]:
    return {it.name: it for it in await doctor.examine(home, settings, sources, listen, **bounds)}


async def test_all_is_well(tmp_path: Path, centre: tuple[str, Authority], port: int) -> None:
    """Enrolled, a radio, a fix, the centre, a disk: nothing is wrong, and each says so in a sentence."""
    home = home_of(tmp_path, *centre)
    journal_at(home.journal).write(Press(device(1).device_id, 1, 5, 1000))
    found = await examined(home, Settings(page_port=port), Receiver())
    assert doctor.all_well(list(found.values())), found
    for name in ("keys", "radio", "position.gpsd", "centre", "disk", "journal", "page"):
        assert found[name].state == OK, found[name]
        assert "\n" not in found[name].text
    assert "within 12 m" in found["position.gpsd"].text
    assert not any(TOKEN in it.text for it in found.values())


async def test_nothing_is_there_yet(tmp_path: Path, port: int) -> None:
    """A first look before anything was enrolled: the way out is in each sentence."""
    found = await examined(
        Home(tmp_path / "nowhere"), Settings(page_port=port), listen=deaf("bluetooth_no_bluetooth")
    )
    assert found["keys"].reason == "not_enrolled"
    assert "amr-bridge enrol" in found["keys"].text
    assert found["radio"].reason == "bluetooth_no_bluetooth"
    assert "plug in or switch on" in found["radio"].text
    assert found["position"].reason == "no_source"
    assert found["bridge"].state == NOTE
    assert not (tmp_path / "nowhere").exists()


async def test_a_radio_that_does_not_answer_is_waited_for_only_so_long(tmp_path: Path, port: int) -> None:
    """It may hang: bluetoothd does at times."""

    async def hang() -> None:
        await asyncio.Event().wait()

    found = await examined(Home(tmp_path), Settings(page_port=port), listen=hang, radio_s_max=0.05)
    assert found["radio"].reason == "silent"


@pytest.mark.parametrize(
    ("soft", "hard", "reason"), [("1", "0", "blocked"), ("0", "1", "blocked_hard"), ("0", "0", None)]
)
def test_a_blocked_radio_is_told_from_a_missing_one(
    tmp_path: Path, soft: str, hard: str, reason: str | None
) -> None:
    """As Linux says it; other radios' switches are none of ours."""
    for number, kind, own in ((0, "wlan", ("1", "1")), (1, "bluetooth", (soft, hard))):
        switch = tmp_path / f"rfkill{number}"
        switch.mkdir()
        for name, value in zip(("type", "soft", "hard"), (kind, *own), strict=True):
            (switch / name).write_text(f"{value}\n")
    found = doctor.rfkill(tmp_path)
    assert (found.reason if found else None) == reason
    assert doctor.rfkill(tmp_path / "nowhere") is None


class Talker(Receiver):
    """A receiver that says what it hears."""

    def heard(self) -> str:
        return "the port says VDM, but no position"


async def test_who_misses_a_position_is_told_what_was_heard(tmp_path: Path, port: int) -> None:
    """Ships' receivers, a wrong speed, no sky: each has another way out."""
    home, settings = Home(tmp_path), Settings(page_port=port)
    findings = await examined(home, settings, Talker("nmea", "silent"), fix_s_max=0.05)
    assert "the port says VDM, but no position" in findings["position.nmea"].text


@pytest.mark.parametrize(("does", "reason"), [("off", "gpsd_gone"), ("silent", "no_fix"), ("end", "ended")])
async def test_one_source_that_gives_a_fix_is_enough(
    tmp_path: Path, port: int, does: str, reason: str
) -> None:
    """The other one is then worth a note; alone, it is wrong."""
    bad = Receiver("nmea", does)
    alone = await examined(Home(tmp_path), Settings(page_port=port), bad, fix_s_max=0.05)
    assert (alone["position.nmea"].state, alone["position.nmea"].reason) == (WRONG, reason)
    beside = await examined(Home(tmp_path), Settings(page_port=port), bad, Receiver(), fix_s_max=0.05)
    assert beside["position.nmea"].state == NOTE
    assert beside["position.gpsd"].state == OK


async def test_a_position_that_nobody_can_search_is_worth_a_note(tmp_path: Path, port: int) -> None:
    """A receiver far from a window gives one, two kilometres wide: that is not well, and not wrong."""
    wide = Receiver("gpsd", fix=replace(HERE, radius_m=1898.0))
    found = await examined(Home(tmp_path), Settings(page_port=port), wide)
    assert (found["position.gpsd"].state, found["position.gpsd"].reason) == (NOTE, "inexact")
    assert "window" in found["position.gpsd"].text
    beside = await examined(
        Home(tmp_path), Settings(page_port=port), wide, Receiver("nmea", "silent"), fix_s_max=0.05
    )
    assert beside["position.nmea"].state == NOTE


async def test_another_ca_and_no_answer_are_told_apart(
    tmp_path: Path, centre: tuple[str, Authority], port: int
) -> None:
    """An attacker in between, a centre that is down; one further address that answers is enough."""
    url, authority = centre
    stranger = await examined(home_of(tmp_path / "a", url, Authority()), Settings(page_port=port))
    assert stranger["centre"].reason == "tls_wrong"
    down = home_of(tmp_path / "b", f"https://127.0.0.1:{port}", authority)
    assert (await examined(down, Settings(page_port=port)))["centre"].reason == "centre_down"
    both = home_of(tmp_path / "c", f"https://127.0.0.1:{port}", authority, url)
    found = await doctor.examine(both, Settings(page_port=port), [Receiver()], listens)
    states = [it.state for it in found if it.name == "centre"]
    assert states == [NOTE, OK]


async def test_a_clock_that_differs_from_the_centres_is_told(tmp_path: Path, port: int) -> None:
    """By its Date header: receipts and fixes carry times."""
    authority = Authority()

    async def ca(_request: web.Request) -> web.Response:
        return web.Response(body=authority.pem, headers={"Date": "Mon, 05 Jan 2026 10:00:00 GMT"})

    async with serve(authority, {("GET", "/ca.pem"): ca}) as url:
        found = await examined(home_of(tmp_path, url, authority), Settings(page_port=port))
    assert found["centre"].reason == "clock_wrong"


async def test_what_is_wrong_with_the_home_is_found(tmp_path: Path, port: int) -> None:
    """Open to others, a journal that is damaged or open to others, no room to write."""
    home = home_of(tmp_path, f"https://127.0.0.1:{port}", Authority())
    (home.path / "credentials.json").chmod(0o644)
    home.journal.write_bytes(b"no journal at all" * 100)
    home.journal.chmod(0o600)
    found = await examined(home, Settings(page_port=port))
    assert "chmod 600" in found["keys"].text
    assert found["journal"].reason == "journal_corrupt"
    home.journal.unlink()
    journal = Journal(home.journal)
    journal.write(Press(device(1).device_id, 1, 5, 1000), Health(device(1).device_id))
    journal.close()
    home.journal.chmod(0o644)
    assert (await examined(home, Settings(page_port=port)))["journal"].reason == "wide_open"
    home.journal.chmod(0o600)
    (home.path / "journal.sqlite.corrupt-1").write_bytes(b"")
    assert (await examined(home, Settings(page_port=port)))["journal"].reason == "kept_aside"
    with database_at(home.journal) as db:
        db.execute("UPDATE health SET device_id = x'00'")
    db.close()
    found = await examined(home, Settings(page_port=port))
    assert found["journal"].reason == "journal_corrupt"
    assert "1 press(es) can be read, 1 row(s) or more cannot" in found["journal"].text


async def test_a_page_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    """By another program: wrong. By the bridge that runs: as it must be."""
    home = home_of(tmp_path, "https://127.0.0.1:1", Authority())
    with socket.create_server(("127.0.0.1", 0)) as ear:
        config = Settings(page_port=ear.getsockname()[1])
        assert (await examined(home, config))["page"].reason == "port_taken"
        with home.lock():
            found = await examined(home, config)
    assert found["page"].state == OK
    assert found["bridge"].state == OK
    with home.lock():
        assert (await examined(home, config))["page"].reason == "not_served"
    assert (await examined(home, Settings(page_port=0)))["page"].state == NOTE


def test_the_command_says_it_all_and_its_exit_code_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a person and for a program; also when the settings themselves are wrong."""
    home = Home(tmp_path / "home")
    home.make()
    home.settings.write_text("[position]\nsources = ['fixed']\nfixed = '50.85,4.35,25'\n[page]\nport = 0\n")
    assert main(["doctor", "--home", str(home.path)], scanner=NoRadio) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["wrong", "keys"] for line in said)
    assert any(line.split()[:2] == ["ok", "position.fixed"] for line in said)
    home.settings.write_text("[page]\nprot = 0\n[position]\nsources = []")
    command = ["doctor", "--json", "--home", str(home.path), "--set", "page.port=0"]
    assert main(command, scanner=NoRadio) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    config = next(it for it in report["checks"] if it["name"] == "config")
    assert config["state"] == WRONG
    assert "page.port was meant" in config["text"]


def test_a_track_that_cannot_be_read_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other checks are made."""
    options = ["--set", "position.sources=['gpx']", "--set", "position.gpx=none.gpx", "--set", "page.port=0"]
    assert main(["doctor", "--json", "--home", str(tmp_path), *options], scanner=NoRadio) == 1
    checks = {it["name"]: it for it in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["position.gpx"]["reason"] == "unusable"
    assert "cannot read" in checks["position.gpx"]["text"]
    assert checks["radio"]["reason"] == "bluetooth_no_bluetooth"
