"""Operators who work in another program act on alarms: over real HTTPS, each act once, under its name."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from centre.commands import main
from centre.platform.log import now_ms
from centre.rules import access, dispatch
from centre.rules.dispatch import Verb
from centre.rules.incidents import CloseReason
from centre.rules.running_log import Kind, PatrolStep, patrols
from centre.work import board, buttons, cases, closings, event_log, export, running_log
from centre.work import dispatch as work
from centre.work.core import Core
from tests.unit.centre.parts import OPENAPI, Hand, Phone, centre, core_at, granted, signed_in
from tests.unit.centre.work.parts import FILE
from wire import receipts

HAND, OTHER = Hand(1), Hand(2)
ZONE = "5340"


class Console:
    """A dispatch system's own client, and the centre's core beside it."""

    def __init__(self, phone: Phone, core: Core, incident_id: str, token: str) -> None:
        self.phone, self.core, self.incident_id = phone, core, incident_id
        self.token, self._next = token, 0

    async def act(self, verb: str, *, incident: str = "", token: str = "", **body: Any) -> tuple[int, Any]:
        """Ask for an act, with a key of its own unless `id` is given."""
        self._next += 1
        return await self.post(verb, {"id": f"act-{self._next}"} | body, incident=incident, token=token)

    async def post(
        self, verb: str, body: Any, *, incident: str = "", token: str = "", **headers: str
    ) -> tuple[int, Any]:
        path = f"/v1/dispatch/{incident or self.incident_id}/{verb}"
        headers["Authorization"] = f"Bearer {token or self.token}"
        data = body if isinstance(body, bytes) else json.dumps(body)
        return await self.phone.ask("POST", path, data=data, headers=headers)

    def stage(self) -> int:
        return board.alarm_of(self.core, self.incident_id).stage

    def refusals(self) -> list[tuple[str, str | None, str]]:
        """What the log has of them: who, which incident, why."""
        entries = [event_log.told(self.core, row) for row in self.core.store.all("log_entries")]
        return [
            (one.entry.actor, one.entry.incident_id, str(one.facts["why"]))
            for one in entries
            if one.entry.kind == work.REFUSED
        ]


@asynccontextmanager
async def console(home: Path, *, zone: str = ZONE, may_close: bool = True) -> AsyncIterator[Console]:
    """An alarm of a case in ZONE, and a dispatch system of `zone`."""
    async with centre(home, HAND, OTHER, heartbeat_s=0.2) as (_, phone):
        core = core_at(home)
        manager = signed_in(core, access.CASE_MANAGER, zone=ZONE)
        granted(core, manager, cases.open_case(core, manager, FILE), HAND)
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1))
        token = work.add(core, "CAD Brussels", [zone], every_zone=False, may_close=may_close)
        assert token
        yield Console(phone, core, answer["incident"], token)


async def test_the_whole_way_is_felt_by_the_button_and_stands_under_the_systems_name(tmp_path: Path) -> None:
    """Each receipt proves itself; each act is in the running log."""
    async with console(tmp_path) as desk:
        path = f"/v1/incidents/{desk.incident_id}/receipts"
        async with desk.phone.stream(path) as events:
            felt = []
            for verb, body in (
                ("acknowledge", {}),
                ("dispatch", {"patrol": "Zulu 12"}),
                ("progress", {"patrol": "ZULU 12", "step": "on_scene"}),
                ("note", {"text": "Nobody at the door."}),
                ("close", {"reason": "real"}),
            ):
                status, done = await desk.act(verb, **body)
                assert (status, done["act"], done["incident"]) == (200, verb, desk.incident_id)
            desk.core.store.db.execute("UPDATE closings SET due_at_ms = 0")
            closings.close_due(desk.core)
            async for _, event, data in events:
                if event == "receipt":
                    assert HAND.believes(data["stage"], 1, data["proof"])
                    felt.append(data["stage"])
        assert felt == [receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED]
        log = running_log.of_incident(desk.core, desk.incident_id)
    assert {one.by for one in log} == {"CAD Brussels"}
    assert [one.text for one in log if one.kind is Kind.REMARK] == ["Nobody at the door."]
    assert [one.step for one in patrols(log)[0].steps] == [PatrolStep.SENT, PatrolStep.ON_SCENE]


async def test_the_same_request_again_is_answered_alike_and_done_once(tmp_path: Path) -> None:
    """Also at the same time, and with the key in the header; the same key with another body is 409."""
    async with console(tmp_path) as desk:
        body = {"id": "one", "text": "Twice."}
        answers = await asyncio.gather(*(desk.post("note", body) for _ in range(4)))
        assert len({json.dumps(answer) for answer in answers}) == 1
        assert answers[0][0] == 200
        again = await desk.post("note", body, **{"Idempotency-Key": "one"})
        assert again == answers[0]
        for verb, other in (("note", body | {"text": "Else."}), ("acknowledge", {"id": "one"})):
            status, refused = await desk.post(verb, other)
            assert (status, refused["reason"]) == (409, "key_reused")
        log = running_log.of_incident(desk.core, desk.incident_id)
    assert [one.text for one in log] == ["Twice."]


async def test_the_same_act_of_another_key_is_no_new_act(tmp_path: Path) -> None:
    """Whoever did it first, this system or an operator here; nor one that goes back."""
    async with console(tmp_path) as desk:
        assert (await desk.act("dispatch", patrol="Zulu 12"))[0] == 200
        await desk.act("progress", patrol="Zulu 12", step="on_scene")
        refused = [
            await desk.act("acknowledge"),
            await desk.act("dispatch", patrol="zulu 12"),
            await desk.act("progress", patrol="Zulu 12", step="on_scene"),
            await desk.act("progress", patrol="Zulu 12", step="on_the_way"),
            await desk.act("progress", patrol="Zulu 13", step="on_the_way"),
        ]
        closings.close(desk.core, signed_in(desk.core), desk.incident_id, CloseReason.TECHNICAL)
        refused.append(await desk.act("close", reason="real"))
        assert [(status, no["reason"]) for status, no in refused] == [
            *[(409, "already_done")] * 3,
            (409, "patrol_further"),
            (404, "unknown_patrol"),
            (409, "already_done"),
        ]
        assert len({why for _, _, why in desk.refusals()}) == 3


async def test_an_alarm_that_is_over_takes_remarks_alone(tmp_path: Path) -> None:
    """All else is refused; nothing of it is stored."""
    async with console(tmp_path) as desk:
        board.advance(desk.core, signed_in(desk.core), desk.incident_id, receipts.CLOSED)
        before = running_log.of_incident(desk.core, desk.incident_id)
        for verb, body in (
            ("acknowledge", {}),
            ("dispatch", {"patrol": "Zulu 12"}),
            ("progress", {"patrol": "", "step": "safe"}),
            ("close", {"reason": "real"}),
        ):
            status, no = await desk.act(verb, **body)
            assert (status, no["reason"]) == (409, "incident_closed")
        assert running_log.of_incident(desk.core, desk.incident_id) == before
        assert (await desk.act("note", text="The report follows."))[0] == 200


async def test_an_alarm_of_another_zone_or_of_nobody_is_unknown(tmp_path: Path) -> None:
    """Though it is there; the log knows which it was, the system does not."""
    async with console(tmp_path, zone="5415") as desk:
        assert (await desk.act("acknowledge"))[1]["reason"] == "unknown_incident"
        assert (await desk.act("acknowledge", incident="0" * 20))[1]["reason"] == "unknown_incident"
        system = work.of_token(desk.core, desk.token)
        assert desk.refusals() == [(system.actor, desk.incident_id, "CAD Brussels: unknown_incident")]
        assert desk.stage() == receipts.RECEIVED
        code = buttons.issue_enrolment(desk.core, OTHER.device_id)
        assert code
        await desk.phone.enrol(OTHER)
        _, answer = await desk.phone.post(OTHER.alarm(1))
        everywhere = work.add(desk.core, "All", [], every_zone=True, may_close=False)
        assert everywhere
        assert (await desk.act("acknowledge", incident=answer["incident"]))[0] == 404
        assert (await desk.act("acknowledge", incident=answer["incident"], token=everywhere))[0] == 200


async def test_only_who_was_granted_it_closes(tmp_path: Path) -> None:
    """The alarm stays open."""
    async with console(tmp_path, may_close=False) as desk:
        status, no = await desk.act("close", reason="real")
        assert (status, no["reason"]) == (403, "not_granted")
        assert desk.stage() == receipts.RECEIVED
        assert desk.refusals()[0][1:] == (desk.incident_id, "CAD Brussels: not_granted")


async def test_an_unknown_or_revoked_token_acts_nowhere(tmp_path: Path) -> None:
    """And a bridge's token is none of a dispatch system's, nor the other way round."""
    async with console(tmp_path) as desk:
        bridge = desk.phone.headers["Authorization"].removeprefix("Bearer ")
        for token in ("x" * 43, bridge):
            assert (await desk.act("acknowledge", token=token))[1]["reason"] == "unauthorised"
        desk.phone.headers = {"Authorization": f"Bearer {desk.token}"}
        assert (await desk.phone.post(HAND.alarm(2)))[1]["reason"] == "unauthorised"
        assert work.revoke(desk.core, "CAD Brussels")
        status, no = await desk.act("acknowledge")
        assert (status, no["reason"]) == (403, "revoked")
        assert desk.stage() == receipts.RECEIVED


@pytest.mark.parametrize(
    ("body", "status", "reason", "field"),
    [
        ({"id": "a", "text": "x" * 10_000}, 422, "bad_text", "text"),
        ({"id": "a", "text": "a\u0000b"}, 422, "bad_text", "text"),
        ({"id": "a", "text": "\u202egnp.exe"}, 422, "bad_text", "text"),
        ({"id": "a", "text": "   "}, 422, "bad_text", "text"),
        (b'{"id": "a", "text": "\\ud800"}', 422, "bad_text", "text"),
        ('{"id": "a", "text": "é"}'.encode("latin-1"), 400, "malformed_json", None),
        ('{"id": "a", "text": "x"}'.encode("utf-16"), 400, "malformed_json", None),
        (b"", 400, "malformed_json", None),
        (b"[]", 400, "wrong_type", None),
        (b'{"id": "a", "text": ' + b"1" * 70_000 + b"}", 413, "too_large", None),
        ({"id": "a", "text": 7}, 400, "wrong_type", "text"),
        ({"id": "a"}, 400, "wrong_type", "text"),
        ({"text": "no key"}, 400, "wrong_type", "id"),
        ({"id": "a b", "text": "x"}, 400, "out_of_range", "id"),
        ({"id": "x" * 65, "text": "x"}, 400, "out_of_range", "id"),
    ],
)
async def test_a_note_that_cannot_be_kept_is_refused_with_a_reason(
    tmp_path: Path, body: Any, status: int, reason: str, field: str | None
) -> None:
    """A true sentence, an entry of the log, and nothing changed."""
    async with console(tmp_path) as desk:
        answered, no = await desk.post("note", body)
        assert (answered, no["reason"], no.get("field")) == (status, reason, field)
        assert running_log.of_incident(desk.core, desk.incident_id) == []
        assert [why for _, _, why in desk.refusals()] == [f"CAD Brussels: {reason}"]


async def test_letters_and_joiners_of_every_script_are_kept(tmp_path: Path) -> None:
    """As they were typed."""
    text = "نمی‌دانم\nĐặng, 👩‍👩‍👧 at the door"
    async with console(tmp_path) as desk:
        assert (await desk.act("note", text=text))[0] == 200
        assert running_log.of_incident(desk.core, desk.incident_id)[0].text == text


@pytest.mark.parametrize(
    ("verb", "schema", "body"),
    [
        ("acknowledge", "Act", {"id": "k"}),
        ("acknowledge", "Act", {"id": "k" * 65}),
        ("acknowledge", "Act", {"id": 1}),
        ("dispatch", "Dispatching", {"id": "k", "patrol": "Zulu 12"}),
        ("dispatch", "Dispatching", {"id": "k"}),
        ("dispatch", "Dispatching", {"id": "k", "patrol": 12}),
        ("close", "DispatchClosing", {"id": "k", "reason": "mis-press"}),
        ("close", "DispatchClosing", {"id": "k", "reason": "over"}),
        ("close", "DispatchClosing", {"id": "k"}),
        ("note", "DispatchNote", {"id": "k", "text": "x" * 2000}),
        ("note", "DispatchNote", {"id": "k", "text": "x" * 2001}),
    ],
)
async def test_what_the_document_allows_is_done_and_what_it_forbids_is_refused(
    tmp_path: Path, verb: str, schema: str, body: dict[str, Any]
) -> None:
    """The document is not a wish."""
    validator = Draft202012Validator({**OPENAPI, "$ref": f"#/components/schemas/{schema}"})
    async with console(tmp_path) as desk:
        assert validator.is_valid(body) == ((await desk.post(verb, body))[0] == 200)


async def test_a_system_that_asks_without_end_is_slowed_and_alarms_are_taken(tmp_path: Path) -> None:
    """Its refusals are one entry a minute for each reason, with how often it was."""
    async with console(tmp_path) as desk:
        asked = [desk.act("acknowledge", incident="0" * 20) for _ in range(3 * dispatch.ACTS_AT_ONCE)]
        (alarm, _), *answers = await asyncio.gather(desk.phone.post(HAND.alarm(2)), *asked)
        assert alarm == 201
        assert {no["reason"] for _, no in answers} == {"unknown_incident", "too_many_acts"}
        assert len(desk.refusals()) == 1


async def test_duress_is_not_seen_by_who_acts_from_elsewhere(tmp_path: Path) -> None:
    """A dispatch system is never told of it: it stands above all else until an operator here has seen it."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND, pin="1234", duress_pin="4321")
        _, answer = await phone.post(HAND.alarm(1))
        await phone.call_off(HAND, 1, "4321")
        core = core_at(tmp_path)
        token = work.add(core, "CAD", [], every_zone=True, may_close=True)
        assert token
        desk = Console(phone, core, answer["incident"], token)
        assert (await desk.act("dispatch", patrol="Zulu 12"))[0] == 200
        assert board.board(core).duress_waits


async def test_the_export_names_the_system(tmp_path: Path) -> None:
    """Who did what can be proven also of those who work elsewhere."""
    async with console(tmp_path) as desk:
        await desk.act("acknowledge")
        system = work.of_token(desk.core, desk.token)
        exported = export.export(desk.core, "command", desk.incident_id, Ed25519PrivateKey.generate())
    assert exported["people"][system.actor] == "CAD Brussels"
    assert [stage["by"] for stage in exported["stages"]][1:] == [system.actor]


async def test_a_key_is_remembered_for_a_week(tmp_path: Path) -> None:
    """Longer than anybody tries again; then it is forgotten, so that keys do not pile up."""
    async with console(tmp_path) as desk:
        assert (await desk.post("acknowledge", {"id": "k"}))[0] == 200
        work.forget(desk.core)
        assert (await desk.post("acknowledge", {"id": "k"}))[0] == 200
        desk.core.clock_ms = lambda: now_ms() + dispatch.KEPT_MS + 1
        work.forget(desk.core)
        assert (await desk.post("acknowledge", {"id": "k"}))[1]["reason"] == "already_done"


def test_at_the_terminal_a_system_is_added_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is shown once, and its hash alone is kept."""
    core, home = core_at(tmp_path), ["--home", str(tmp_path)]
    assert main(["dispatch", "add", "CAD", "--zone", "5340", "--zone", "5415", "--may-close", *home]) == 0
    token = capsys.readouterr().out.strip()
    assert main(["dispatch", "add", "CAD", "--every-zone", *home]) == 1
    assert main(["dispatch", "add", "Other", *home]) == 2
    assert main(["dispatch", "add", "Other", "--zone", "1", "--every-zone", *home]) == 2
    assert main(["dispatch", "list", *home]) == 0
    listed = capsys.readouterr().out
    assert "CAD  in use" in listed
    assert "zones 5340, 5415  may close" in listed
    assert token not in listed
    assert token.encode() not in (tmp_path / "centre.sqlite-wal").read_bytes()
    assert work.of_token(core, token).name == "CAD"
    assert main(["dispatch", "revoke", "CAD", *home]) == 0
    assert main(["dispatch", "revoke", "CAD", *home]) == 1
    assert main(["dispatch", "add", "CAD", "--every-zone", *home]) == 0


def test_every_act_has_a_route() -> None:
    """Five of them."""
    assert {f"/v1/dispatch/{{incident}}/{verb}" for verb in Verb} <= OPENAPI["paths"].keys()
