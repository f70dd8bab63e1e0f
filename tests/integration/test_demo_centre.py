"""The demo centre: each state is there, its log holds, its phones live on, and nothing real is touched."""

import ssl
import time
from pathlib import Path

import aiohttp
import pytest

from centre.platform import signing
from centre.platform.home import Home
from centre.rules import times
from centre.rules.grants import GrantState
from centre.rules.incidents import CloseReason
from centre.work import accounts, administration, board, cases, grants, verify_log
from centre.work.cases import file_of
from sim.app import main
from sim.realtime import demo_centre
from sim.realtime.demo_centre_serving import send_heartbeat
from tests.unit.centre.parts import centre, core_at


def test_each_state_is_there_and_says_so_everywhere(tmp_path: Path) -> None:
    """Waiting, taken, sent to, called off, duress, closed for each reason; silent, low, stolen."""
    home = tmp_path / "home"
    holders = demo_centre.seed(home, time.time() * 1000)
    core = core_at(home)
    shown = board.board(core)
    assert len(shown.untaken) == 3
    assert [card.newest is None for card in shown.untaken].count(True) == 1
    assert any(card.newest and "stale" in card.newest.position.fix.marks for card in shown.untaken)
    assert any(card.near and card.near.place.name == "home" for card in shown.untaken)
    assert [card.is_duress for card in shown.raised] == [True]
    assert sorted(card.stage for card in shown.taken) == [2, 2, 3]
    assert any(card.call_off and not card.is_duress for card in shown.taken)
    assert {card.reason for card in shown.closed} == set(CloseReason)
    assert {"phone_silent", "battery_low", "phone_battery_low"} <= {loss.kind for loss in shown.losses}
    assert core.store.one("trackable", device_id=holders[demo_centre.STOLEN].device_id)
    assert administration.waiting(core) == 1, "a revoked button was pressed"
    states = {
        grant.state(times.day(core.now_ms())) for one in holders if (grant := grants.last(core, one.case_id))
    }
    assert states == {GrantState.RUNNING, GrantState.REVIEW_DUE, GrantState.ENDED}
    for holder in holders:
        file = file_of(core, holder.case_id)
        assert file is not None
        assert file.number.startswith("EX-")
        assert file.person.phone.startswith("+32 400 00 0")
    manager = next(user for user in accounts.users(core) if user.role == "case_manager")
    assert manager.zone == "9999", "no police zone has this number"
    assert len(holders) <= cases.PAGE_CASES
    key = signing.key_of(Home(home)).public_key()
    assert list(verify_log.verify(core, key, verify_log.Seen())) == []


def test_a_home_that_holds_a_centre_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence, exit code 1, not a byte changed: what is there may be real."""
    core = core_at(tmp_path)
    accounts.add_user(core, "ada", "Ada", "administrator", None, "en")
    core.store.close()
    before = (tmp_path / "centre.sqlite").read_bytes()
    assert main(["demo-centre", "--home", str(tmp_path)]) == 1
    assert "never put beside what may be real" in capsys.readouterr().err
    assert (tmp_path / "centre.sqlite").read_bytes() == before


async def test_its_phones_live_on_at_a_real_centre(tmp_path: Path) -> None:
    """Each but the stolen one is taken; the stolen one's successor, too."""
    home = tmp_path / "home"
    holders = demo_centre.seed(home, time.time() * 1000)
    async with centre(home) as (serving, _):
        context = ssl.create_default_context(cadata=serving.authority.pem.decode())
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector, base_url=serving.url) as session:
            assert {await send_heartbeat(session, holder) for holder in holders} == {200}
