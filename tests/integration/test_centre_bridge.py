"""The real centre and the real bridge's HTTPS: what one says, the other understands."""

from contextlib import aclosing
from pathlib import Path

import pytest

from bridge import https
from tests.unit.centre.parts import FIX, Hand, centre
from wire import receipts

HAND = Hand()


async def test_a_label_becomes_an_alarm_and_its_receipts(tmp_path: Path) -> None:
    """The CA by its pin, the enrolment, the press, the later stage: as `amr-bridge` does it."""
    async with centre(tmp_path, HAND) as (serving, operator):
        label = https.parse_label(f"{serving.url}/e#{HAND.enrolment_code}.{serving.authority.sha256}")
        async with https.Centre(label.centre, None) as stranger:
            ca_pem = await stranger.fetch_ca(label.pin)
        async with https.Centre(label.centre, ca_pem) as bridge:
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


async def test_a_refusal_is_read_as_one(tmp_path: Path) -> None:
    """With the centre's own word for it."""
    async with (
        centre(tmp_path, HAND) as (serving, _),
        https.Centre(serving.url, serving.authority.pem.decode()) as bridge,
    ):
        with pytest.raises(https.Refused) as caught:
            await bridge.post_alarm("wrong", HAND.alarm(1))
    assert caught.value.reason == "unauthorised"


async def test_another_authority_is_noticed_before_anything_is_sent(tmp_path: Path) -> None:
    """The label names the key: whoever stands between has another."""
    async with centre(tmp_path / "a") as (serving, _), centre(tmp_path / "b") as (other, _):
        async with https.Centre(serving.url, None) as stranger:
            with pytest.raises(https.TlsWrong):
                await stranger.fetch_ca(bytes.fromhex(other.authority.sha256))
        async with https.Centre(serving.url, other.authority.pem.decode()) as bridge:
            with pytest.raises(https.TlsWrong):
                await bridge.enrol("A" * 20, None, None)
