"""Alarms into the centre over real HTTPS: what bridges may rely on, and what bad input gets."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from centre.work import board, buttons
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, Lines, centre, core_at, phone_of
from wire import codes, receipts
from wire.keys import InvalidMessage, Mac, derive

HAND = Hand()


class Problem:
    """Equal to every problem with this reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and other.get("reason") == self.reason

    def __hash__(self) -> int:
        return hash(self.reason)

    def __repr__(self) -> str:
        return f"problem({self.reason})"


def incidents_in(home: Path) -> int:
    core = core_at(home)
    (count,) = core.store.db.execute("SELECT count(*) FROM incidents").fetchone()
    core.store.close()
    return int(count)


def command(home: Path) -> Core:
    """Another process's view of the centre, as the command line has it."""
    return core_at(home)


async def test_twenty_posts_at_once_are_one_incident(tmp_path: Path) -> None:
    """Two bridges, ten posts each, all at the same time: one 201, and the same receipt for all."""
    async with centre(tmp_path, HAND) as (serving, phone):
        second_code = buttons.issue_enrolment(command(tmp_path), HAND.device_id)
        await phone.enrol(HAND)
        async with phone_of(serving.url, serving.authority.pem.decode()) as other:
            hand = Hand()
            hand.enrolment_code = str(second_code)
            await other.enrol(hand)
            answers = await asyncio.gather(*(one.post(HAND.alarm(1)) for one in (phone, other) * 10))
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({json.dumps(answer, sort_keys=True) for _, answer in answers}) == 1
    assert incidents_in(tmp_path) == 1


async def test_the_receipt_is_one_that_the_button_believes(tmp_path: Path) -> None:
    """Proven with K_receipt, for this press and stage; the bridge's keys cannot."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        for event in codes.PRESSES:
            _, answer = await phone.post(HAND.alarm(3, event))
            receipt = answer["receipt"]
            assert receipt["stage"] == receipts.RECEIVED
            assert HAND.believes(receipt["stage"], 3, receipt["proof"], event)


async def test_an_enrolment_answers_all_that_a_bridge_needs(tmp_path: Path) -> None:
    """The three keys, the epoch, the period and the counters; the PINs do not come back."""
    async with centre(tmp_path, HAND) as (_, phone):
        body = {"code": HAND.enrolment_code, "pin": "271828", "duress_pin": "3141"}
        status, answer = await phone.ask("POST", "/v1/enrolments", json=body)
        assert status == 201
        keys = {f"k_{label}": derive(HAND.root, label).hex() for label in ("code", "heard", "state")}
        counters = {"press": 0, "alive": 0}
        device = {"device_id": HAND.device_id, "epoch": 0, "alive_period_s": 900, "counters": counters}
        assert answer["devices"] == [device | keys | {"has_pin": True}]
        assert "addresses" not in answer
        assert await phone.ask("POST", "/v1/enrolments", json=body) == (409, Problem("enrolment_used"))


async def test_an_enrolment_tells_the_other_addresses_of_the_centre(tmp_path: Path) -> None:
    """Where `serve --address` named any; and that no PIN was set."""
    addresses = ("https://one.example", "https://two.example:8443")
    async with centre(tmp_path, HAND, address=addresses) as (_, phone):
        _, answer = await phone.ask("POST", "/v1/enrolments", json={"code": HAND.enrolment_code})
    assert answer["addresses"] == list(addresses)
    assert answer["devices"][0]["has_pin"] is False


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe{}", 400, "malformed_json"),
        (b'{"counter": ' + b"9" * 5000 + b"}", 400, "wrong_type"),
        (b"[" * 60_000, 400, "malformed_json"),
        (b"[]", 400, "wrong_type"),
        (b"null", 400, "wrong_type"),
        (b"NaN", 400, "wrong_type"),
        (json.dumps(HAND.alarm(1) | {"counter": "1"}).encode(), 400, "wrong_type"),
        (json.dumps(HAND.alarm(1) | {"event": 5}).encode(), 400, "out_of_range"),
        (json.dumps(HAND.alarm(1) | {"code": "00" * 16}).encode(), 422, "bad_code"),
        (json.dumps(HAND.alarm(1) | {"counter": 2}).encode(), 422, "bad_code"),
        (json.dumps(HAND.alarm(1) | {"code": str(HAND.alarm(1)["code"])[:-2]}).encode(), 422, "bad_code"),
        (json.dumps(Hand(2).alarm(1)).encode(), 404, "unknown_device"),
        (json.dumps(HAND.alarm(1) | {"device_id": "\ud800"}).encode(), 404, "unknown_device"),
        (b" " * (64 * 1024 + 1), 413, "too_large"),
    ],
)
async def test_what_is_no_alarm_is_a_problem_and_stores_nothing(
    tmp_path: Path, body: bytes, status: int, reason: str
) -> None:
    """RFC 9457 with a reason; no incident."""
    async with centre(tmp_path, HAND, Hand(2)) as (_, phone):
        await phone.enrol(HAND)
        assert await phone.ask("POST", "/v1/alarms", data=body) == (status, Problem(reason))
    assert incidents_in(tmp_path) == 0


async def test_a_body_that_never_ends_is_cut(tmp_path: Path) -> None:
    """64 KiB without a Content-Length too; and exactly 64 KiB are allowed."""

    async def endless() -> Any:
        for _ in range(80):
            yield b" " * 1024

    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        assert await phone.ask("POST", "/v1/alarms", data=endless()) == (413, Problem("too_large"))
        padded = json.dumps(HAND.alarm(1)).encode().ljust(64 * 1024)
        assert (await phone.ask("POST", "/v1/alarms", data=padded))[0] == 201


@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        (None, 401, "unauthorised"),
        ("Bearer wrong", 401, "unauthorised"),
        ("Bearer", 401, "unauthorised"),
        ("Basic dXNlcjpwYXNz", 401, "unauthorised"),
        ("Bearer \udcff", 401, "unauthorised"),
    ],
)
async def test_a_stranger_is_not_served(tmp_path: Path, header: str | None, status: int, reason: str) -> None:
    """No credential or an unknown one."""
    async with centre(tmp_path, HAND) as (_, phone):
        headers = {} if header is None else {"Authorization": header}
        data = json.dumps(HAND.alarm(1))
        answer = await phone.ask("POST", "/v1/alarms", data=data, headers=headers)
        assert answer == (status, Problem(reason))
        answer = await phone.ask("GET", "/v1/incidents/x/receipts", headers=headers)
        assert answer == (status, Problem(reason))


async def test_a_revoked_bridge_is_refused_at_once(tmp_path: Path) -> None:
    """While we serve, by a command of another process; nothing is stored."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        assert (await phone.post(HAND.alarm(1)))[0] == 201  # it was known a moment ago
        (bridge,) = buttons.all_bridges(command(tmp_path))
        words = ("centre", "bridges", "revoke", bridge.bridge_id, "--home", str(tmp_path))
        command_line = await asyncio.create_subprocess_exec(sys.executable, "-m", *words)
        assert await command_line.wait() == 0
        assert await phone.post(HAND.alarm(2)) == (403, Problem("revoked"))
    assert incidents_in(tmp_path) == 1


async def test_a_revoked_button_is_still_heard(tmp_path: Path) -> None:
    """Its press is taken and answered as any other."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        buttons.revoke_button(command(tmp_path), HAND.device_id)
        assert (await phone.post(HAND.alarm(1)))[0] == 201


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("fix", FIX | {"lat": float("nan")}, "lat_not_finite"),
        ("fix", FIX | {"lon": float("inf")}, "lon_not_finite"),
        ("fix", FIX | {"lat": 91}, "lat_out_of_range"),
        ("fix", FIX | {"radius_m": -5}, "radius_m_out_of_range"),
        ("fix", "here", "wrong_type"),
        ("phone", 7, "wrong_type"),
        ("age_s", float("-inf"), "not_finite"),
        ("heard_at", 12, "wrong_type"),
        ("path", "smoke", "unknown_value"),
        ("fix", FIX | {"marks": ["fresh"]}, "marks_unknown_value"),
    ],
)
async def test_a_bad_optional_field_costs_only_itself(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    """The alarm is taken, the field dropped and named, and nothing of it is stored."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        status, answer = await phone.post(HAND.alarm(1) | {field: value})
        assert (status, answer["dropped"]) == (201, [{"field": field, "reason": reason}])
        assert board.board(command(tmp_path)).untaken[0].newest is None


async def test_an_absurd_number_costs_only_its_field(tmp_path: Path) -> None:
    """Five thousand digits: Python would not even read them."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        body = json.dumps(HAND.alarm(1) | {"age_s": 1}).replace('"age_s": 1', '"age_s": ' + "9" * 5000)
        status, answer = await phone.ask("POST", "/v1/alarms", data=body.encode())
        assert (status, answer["dropped"]) == (201, [{"field": "age_s", "reason": "not_finite"}])


@pytest.mark.parametrize(
    "pins", [{"pin": "123"}, {"pin": "12a4"}, {"pin": "1234", "duress_pin": "1234"}, {"duress_pin": "1234"},
             {"pin": 1234}, {"pin": "١٢٣٤"}]
)  # fmt: skip
async def test_bad_pins_do_not_use_up_the_code(tmp_path: Path, pins: dict[str, object]) -> None:
    """Four to eight digits, and two that differ; the person tries again with the same code."""
    async with centre(tmp_path, HAND) as (_, phone):
        body = {"code": HAND.enrolment_code, **pins}
        assert await phone.ask("POST", "/v1/enrolments", json=body) == (422, Problem("bad_pin"))
        await phone.enrol(HAND, pin="1234", duress_pin="4321")


async def test_an_unknown_enrolment_code_is_a_problem(tmp_path: Path) -> None:
    """And a body that is none."""
    async with centre(tmp_path, HAND) as (_, phone):
        for body, status, reason in (
            ({"code": "A" * 20}, 404, "enrolment_unknown"),
            ({"code": "\ud800"}, 404, "enrolment_unknown"),
            ({"code": 5}, 400, "wrong_type"),
            ([], 400, "wrong_type"),
        ):
            assert await phone.ask("POST", "/v1/enrolments", json=body) == (status, Problem(reason))


async def test_other_addresses_and_methods_are_problems_too(tmp_path: Path) -> None:
    """RFC 9457 everywhere."""
    async with centre(tmp_path) as (_, phone):
        assert await phone.ask("GET", "/nothing") == (404, Problem("unknown_path"))
        async with phone.session.put(phone.url + "/v1/alarms") as response:
            assert (response.status, await response.json(content_type=None)) == (405, Problem("wrong_method"))


async def test_a_flood_of_forged_codes_is_one_log_line(tmp_path: Path) -> None:
    """Counted, and the rest told when we stop."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (_, phone):
        await phone.enrol(HAND)
        for counter in range(1, 31):
            await phone.post(HAND.alarm(counter) | {"code": "0" * 32})
        assert lines.of("refused") == [{"reason": "bad_code", "count": 1}]
    assert lines.of("refused")[1:] == [{"reason": "bad_code", "count": 29}]
    assert not lines.of("received")


async def test_what_is_logged_names_the_press_and_no_secret(tmp_path: Path) -> None:
    """Device, event, counter, incident, known."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (_, phone):
        await phone.enrol(HAND, pin="271828")
        _, answer = await phone.post(HAND.alarm(1))
        await phone.post(HAND.alarm(1))
    who = {"device_id": HAND.device_id, "event": 1, "counter": 1, "incident": answer["incident"]}
    told = [{name: line[name] for name in (*who, "known")} for line in lines.of("received")]
    assert told == [who | {"known": False}, who | {"known": True}]
    said = json.dumps(lines.all)
    for secret in (phone.headers["Authorization"][7:], HAND.root.hex(), "271828", HAND.enrolment_code):
        assert secret not in said


async def test_a_bridge_that_was_taught_wrong_proves_nothing(tmp_path: Path) -> None:
    """K_heard cannot prove RECEIVED: what a thief of the phone makes, the button ignores."""
    async with centre(tmp_path, HAND) as (_, phone):
        body = {"code": HAND.enrolment_code}
        _, answer = await phone.ask("POST", "/v1/enrolments", json=body)
    stolen = [bytes.fromhex(answer["devices"][0][name]) for name in ("k_code", "k_heard", "k_state")]
    for key in stolen:
        forged = receipts.proof(Mac(key), receipts.RECEIVED, codes.ALARM, 1).hex()
        with pytest.raises(InvalidMessage):
            HAND.believes(receipts.RECEIVED, 1, forged)


async def test_the_ca_is_served_to_whoever_asks(tmp_path: Path) -> None:
    """It is what the label's pin is checked against."""
    async with centre(tmp_path) as (serving, phone):
        assert await phone.ask("GET", "/ca.pem") == (200, serving.authority.pem.decode())
