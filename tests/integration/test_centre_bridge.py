"""The real centre and the real bridge's HTTPS: what one says, the other understands."""

from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.centre import client
from bridge.centre.errors import CentreRefused, TlsWrong
from bridge.commands.enrol import enrol
from bridge.model import Fix
from bridge.store.home import FILE, Home
from centre.work import board
from tests.unit.bridge.commands.parts import Terminal
from tests.unit.centre.parts import FIX, Hand, centre, core_at, incidents_of
from wire import receipts

HAND = Hand()


async def test_a_label_becomes_an_alarm_and_its_receipts(tmp_path: Path) -> None:
    """The CA by its pin, the enrolment, the press, the later stage: as `amr-bridge` does it."""
    async with centre(tmp_path, HAND) as (serving, operator):
        label = client.parse_label(f"{serving.url}/e#{HAND.enrolment_code}.{serving.authority.sha256}")
        async with client.Centre(label.centre, None) as stranger:
            ca_pem = await stranger.fetch_ca(label.pin)
        async with client.Centre(label.centre, ca_pem) as bridge:
            token = (await bridge.enrol(label.code, "1234", None))["token"]
            answer = await bridge.post_alarm(token, HAND.alarm(1, fix=FIX | {"lat": 91}))
            assert (answer.known, answer.stage) == (False, receipts.RECEIVED)
            assert answer.dropped == ("fix: lat_out_of_range",)
            async with operator.session.get(serving.console_url):
                path = f"/console/incidents/{answer.incident}/acknowledge"
            await operator.ask("POST", path, headers={"Origin": serving.url})
            async with aclosing(bridge.receipts(token, answer.incident, None)) as events:
                stages = [(await anext(events)) for _ in range(2)]
    assert [receipt.stage for receipt in stages] == [receipts.RECEIVED, receipts.ACKNOWLEDGED]
    assert all(HAND.believes(receipt.stage, 1, receipt.proof.hex()) for receipt in stages)


async def test_what_follows_a_press_is_understood_by_both(tmp_path: Path) -> None:
    """Positions, a call-off by the duress PIN, a sign of life; and the wrong PIN by its reason."""
    async with (
        centre(tmp_path, HAND, alive_s=30) as (serving, _),
        client.Centre(serving.url, serving.authority.pem.decode()) as bridge,
    ):
        token = (await bridge.enrol(HAND.enrolment_code, "271828", "3141"))["token"]
        incident = (await bridge.post_alarm(token, HAND.alarm(1))).incident
        fix = Fix(50.8466, 4.3528, 18.5, 68, "GNSS", "2026-11-23T10:00:00Z", "gpsd", ("stale",))
        await bridge.post_fixes(token, incident, [fix.as_json(), replace(fix, source="").as_json()])
        press = {"device_id": HAND.device_id, "event": 1, "counter": 1}
        with pytest.raises(CentreRefused) as caught:
            await bridge.post_call_off(token, press | {"pin": "0000"})
        assert caught.value.reason == "wrong_pin"
        await bridge.post_call_off(token, press | {"pin": "3141"})
        buttons = [{"device_id": HAND.device_id, "heard_at": None, "alive_counter": 12}]
        answer = await bridge.post_alive(token, {"buttons": buttons, "phone": {}, "troubles": []})
        assert 10 <= answer.next_in_s < 30 + 10
        assert answer.counters == {HAND.device_id: (1, 12)}
    core = core_at(tmp_path)
    (seen,) = incidents_of(core, board.board(core).untaken)
    assert {(one.fix.source, one.fix.marks) for one in seen.latest} == {
        ("gpsd", ("stale",)),
        (None, ("stale",)),
    }
    assert seen.call_off is not None
    assert seen.call_off.duress_at_ms is not None


async def test_the_person_tries_both_pins_on_the_day_they_are_set(tmp_path: Path) -> None:
    """Typed without being shown; a wrong one is told in a sentence, and the two right ones alike."""
    seen: list[str] = []
    async with centre(tmp_path / "centre", HAND) as (serving, _):
        label = client.parse_label(f"{serving.url}/e#{HAND.enrolment_code}.{serving.authority.sha256}")
        home = Home(tmp_path / "phone")
        await enrol(home, label, "271828", "3141", secrets=FILE)
        for pin, code in (("271828", 0), ("3141", 0), ("314", 1)):
            async with Terminal("try-pin", "--home", home.path) as terminal:
                await terminal.see("PIN or duress PIN: ")
                terminal.type(f"{pin}\n")
                assert await terminal.end() == code
                assert pin not in terminal.text
                seen.append(terminal.text)
    assert seen[0] == seen[1]
    assert "That PIN is right." in seen[0]
    assert "that PIN is not right" in seen[2]


async def test_a_refusal_is_read_as_one(tmp_path: Path) -> None:
    """With the centre's own word for it."""
    async with (
        centre(tmp_path, HAND) as (serving, _),
        client.Centre(serving.url, serving.authority.pem.decode()) as bridge,
    ):
        with pytest.raises(CentreRefused) as caught:
            await bridge.post_alarm("wrong", HAND.alarm(1))
    assert caught.value.reason == "unauthorised"


async def test_another_authority_is_noticed_before_anything_is_sent(tmp_path: Path) -> None:
    """The label names the key: whoever stands between has another."""
    async with centre(tmp_path / "a") as (serving, _), centre(tmp_path / "b") as (other, _):
        async with client.Centre(serving.url, None) as stranger:
            with pytest.raises(TlsWrong):
                await stranger.fetch_ca(bytes.fromhex(other.authority.sha256))
        async with client.Centre(serving.url, other.authority.pem.decode()) as bridge:
            with pytest.raises(TlsWrong):
                await bridge.enrol("A" * 20, None, None)
