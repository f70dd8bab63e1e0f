"""A dispatch system is told of every incident: by real HTTPS, to a receiver that fails in every way."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from centre.commands import main
from centre.jobs.webhook import secrets_of
from centre.platform.home import CannotServe, Home
from centre.rules import access, fair_share, incidents, webhook
from centre.rules.incidents import CloseReason
from centre.work import administration, board, buttons, presses
from centre.work import webhook as queue
from centre.work.core import Core
from tests.integration.parts import imported, served
from tests.unit.bridge.parts import Authority, serve
from tests.unit.centre.parts import FIX, Hand, Lines, Phone, centre, core_at, signed_in
from wire import receipts

HAND = Hand()


class Receiver:
    """Keeps what it is told; `moods` says how it takes the next ones, then it takes all."""

    def __init__(self, *moods: str) -> None:
        self.moods = list(moods)
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.refused: list[bytes] = []
        self.elsewhere = 0
        self._news = asyncio.Event()

    async def hook(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mood = self.moods.pop(0) if self.moods else "takes"
        if mood == "is slow":
            await asyncio.sleep(0.2)
            mood = "takes"
        if mood == "takes":
            self.taken.append((dict(request.headers), body))
        else:
            self.refused.append(body)
        self._news.set()
        if mood == "hangs up":
            assert request.transport
            request.transport.abort()
        if mood == "redirects":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        return web.Response(status=204 if mood == "takes" else 500)

    async def other(self, _request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    async def heard(self, count: int) -> None:
        """So many different ones, that it did not take."""
        async with asyncio.timeout(60):
            while len(set(self.refused)) < count:
                self._news.clear()
                await self._news.wait()

    async def has(self, count: int) -> list[Any]:
        """What it was told, once it is so much."""
        async with asyncio.timeout(60):
            while len(self.taken) < count:
                self._news.clear()
                await self._news.wait()
        return [json.loads(body) for _, body in self.taken]


@asynccontextmanager
async def told(
    home: Path, receiver: Receiver, *, port: int = 0, ca: bool = True, **settings: Any
) -> AsyncIterator[tuple[Phone, Lines]]:
    """A centre with a webhook to `receiver`, and a phone that has enrolled."""
    authority, log = Authority(), Lines()
    home.mkdir(exist_ok=True)
    (home / "hook-ca.pem").write_bytes(authority.pem)
    routes = {("POST", "/hook"): receiver.hook, ("POST", "/elsewhere"): receiver.other}
    routes["GET", "/elsewhere"] = receiver.other
    async with serve(authority, routes, port=port) as url:
        settings |= {"webhook": f"{url}/hook", "webhook_ca": str(home / "hook-ca.pem") if ca else None}
        async with centre(home, HAND, log=log, **settings) as (_, phone):
            await phone.enrol(HAND, pin="1234", duress_pin="4321")
            yield phone, log


def advance(home: Path, incident: str, *stages: int) -> None:
    core = core_at(home, tells=True)
    caller = signed_in(core)
    for stage in stages:
        board.advance(
            core, caller, incident, stage, reason=CloseReason.DURESS if stage == receipts.CLOSED else None
        )
    core.store.close()


async def test_each_step_of_an_incident_is_told_once_and_in_order(tmp_path: Path) -> None:
    """With its place, and without a name, a reason, or duress; a silent test is nobody's business."""
    receiver = Receiver()
    async with told(tmp_path, receiver) as (phone, _):
        await phone.post(HAND.alarm(1, event=2))
        _, answer = await phone.post(HAND.alarm(1, fix=FIX))
        await phone.post(HAND.alarm(1, fix=FIX))
        await phone.call_off(HAND, 1, "4321")
        advance(tmp_path, answer["incident"], *(receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED))
        events = await receiver.has(5)
    assert [one["event"] for one in events] == [
        "opened",
        "called_off",
        "acknowledged",
        "dispatched",
        "closed",
    ]
    assert [one["open"] for one in events] == [True, True, True, True, False]
    assert [one["stage"] for one in events][-2:] == ["DISPATCHED", "CLOSED"]
    assert {one["incident"] for one in events} == {answer["incident"]}
    assert (events[0]["fix"]["lat"], events[0]["fix"]["radius_m"]) == (FIX["lat"], FIX["radius_m"])
    assert len({one["id"] for one in events}) == 5
    assert not any(b"duress" in body for _, body in receiver.taken)


async def test_a_receiver_can_check_who_speaks(tmp_path: Path) -> None:
    """With the standard's own verifier; the id in the header is the one in the body; nobody is to be rung."""
    receiver = Receiver()
    async with told(tmp_path, receiver) as (phone, _):
        await phone.post(HAND.alarm(1))
        await receiver.has(1)
    headers, body = receiver.taken[0]
    event = Webhook(secrets_of(Home(tmp_path))[0]).verify(body, headers)
    assert event["id"] == headers["webhook-id"]
    assert event["do_not_call"] is True


async def test_while_a_secret_changes_the_old_and_the_new_one_are_believed(tmp_path: Path) -> None:
    """The centre goes on serving; once the old one is retired it counts no more."""
    receiver, home = Receiver(), str(tmp_path)
    async with told(tmp_path, receiver) as (phone, _):
        old = Webhook(secrets_of(Home(tmp_path))[0])
        assert main(["webhook", "rotate", "--home", home]) == 0
        new = Webhook(secrets_of(Home(tmp_path))[0])
        await phone.post(HAND.alarm(1))
        await receiver.has(1)
        assert main(["webhook", "retire", "--home", home]) == 0
        await phone.post(HAND.alarm(2))
        await receiver.has(2)
    (headers, body), (later, later_body) = receiver.taken
    assert old.verify(body, headers) == new.verify(body, headers)
    assert new.verify(later_body, later)
    with pytest.raises(WebhookVerificationError):
        old.verify(later_body, later)


def test_secrets_that_sign_at_once_are_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who rotates and never retires is told so; nothing is lost by it."""
    for _ in range(webhook.SECRETS_MAX - 1):
        assert main(["webhook", "secret", "--home", str(tmp_path)]) == 0
        core_at(tmp_path)
        assert main(["webhook", "rotate", "--home", str(tmp_path)]) == 0
    known = secrets_of(Home(tmp_path))
    assert main(["webhook", "rotate", "--home", str(tmp_path)]) == 1
    assert "webhook retire" in capsys.readouterr().err
    assert secrets_of(Home(tmp_path)) == known


@pytest.mark.parametrize("text", ["", "whsec_\n", "00" * 32, "whsec_###\n", "whsec_" + "AAAA" * 8 + "\nx\n"])
def test_a_file_of_secrets_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    """Rather than to sign with less than a key."""
    home = Home(tmp_path)
    home.write("webhook.secrets", text.encode())
    with pytest.raises(CannotServe, match="must hold 1 to 3 lines whsec_"):
        secrets_of(home)


@pytest.mark.parametrize("mood", ["fails", "redirects", "hangs up"])
async def test_who_does_not_take_it_is_told_again(tmp_path: Path, mood: str) -> None:
    """The very same bytes, until taken; no redirect is followed; the later steps wait their turn."""
    receiver = Receiver(mood)
    async with told(tmp_path, receiver) as (phone, log):
        _, answer = await phone.post(HAND.alarm(1))
        advance(tmp_path, answer["incident"], receipts.ACKNOWLEDGED)
        events = await receiver.has(2)
    assert [one["event"] for one in events] == ["opened", "acknowledged"]
    assert receiver.refused[0] == receiver.taken[0][1]
    assert receiver.elsewhere == 0
    assert [line["reason"] for line in log.of("trouble")] == ["webhook_failing"] * 2
    assert [bool(line.get("over")) for line in log.of("trouble")] == [False, True]


async def test_a_receiver_whom_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    """Its certificate is checked; alarms are taken all the same."""
    receiver = Receiver()
    async with told(tmp_path, receiver, ca=False) as (phone, log):
        status, _ = await phone.post(HAND.alarm(1))
        async with asyncio.timeout(60):
            while not log.of("trouble"):  # noqa: ASYNC110 -- the log has no signal
                await asyncio.sleep(0.05)
        assert status == 201
    assert (receiver.taken, receiver.refused) == ([], [])
    assert "certificate" in log.of("trouble")[0]["text"]


async def test_whatever_goes_wrong_it_is_tried_again_later_and_later(tmp_path: Path) -> None:
    """Also what no library of ours has an error for: a name that is no name of the Internet."""
    async with centre(tmp_path, HAND, log=Lines(), webhook=f"https://{'x' * 64}.example/hook") as (_, phone):
        await phone.enrol(HAND)
        assert (await phone.post(HAND.alarm(1)))[0] == 201
        core = core_at(tmp_path)
        tried = None
        async with asyncio.timeout(60):
            while tried is None:
                await asyncio.sleep(0.05)
                tried = core.store.db.execute("SELECT * FROM webhook_events WHERE tries > 1").fetchone()
        core.store.close()
    assert tried["next_at_ms"] - tried["made_at_ms"] >= webhook.again_ms(1) + webhook.again_ms(2)


async def test_a_receiver_that_hangs_holds_up_no_alarm(tmp_path: Path) -> None:
    """Nor the other incidents, once its time is over."""
    release = asyncio.Event()

    class Hangs(Receiver):
        async def hook(self, request: web.Request) -> web.StreamResponse:
            if self.refused:
                return await super().hook(request)
            self.refused.append(await request.read())
            await release.wait()
            return web.Response(status=500)

    receiver = Hangs()
    async with told(tmp_path, receiver, webhook_s=0.5) as (phone, _):
        for counter in range(1, 6):
            assert (await phone.post(HAND.alarm(counter)))[0] == 201
        await receiver.has(5)
        release.set()


async def test_a_slow_receiver_is_told_all_once_and_in_order(tmp_path: Path) -> None:
    """Each answer takes a while: what comes meanwhile waits on disk, and nothing is sent twice."""
    receiver = Receiver(*["is slow"] * 8)
    async with told(tmp_path, receiver) as (phone, log):
        found = [(await phone.post(HAND.alarm(counter)))[1]["incident"] for counter in range(1, 5)]
        for incident in found:
            advance(tmp_path, incident, receipts.ACKNOWLEDGED)
        events = await receiver.has(8)
    assert len({one["id"] for one in events}) == len(receiver.taken) == 8
    for incident in found:
        steps = [one["event"] for one in events if one["incident"] == incident]
        assert steps == ["opened", "acknowledged"]
    assert log.of("trouble") == []


async def test_killed_while_they_wait_none_is_lost_and_none_becomes_two(tmp_path: Path) -> None:
    """SIGKILL while the receiver hears and never answers: later each is taken once, with the bytes it had."""
    receiver, authority, home = Receiver(*["hangs up"] * 1000), Authority(), tmp_path / "home"
    (tmp_path / "hook-ca.pem").write_bytes(authority.pem)
    imported(home, HAND)
    async with serve(authority, {("POST", "/hook"): receiver.hook}) as url:
        options = ("--webhook", f"{url}/hook", "--webhook-ca", tmp_path / "hook-ca.pem")
        async with served(home, *options) as (running, phone):
            await phone.enrol(HAND)
            for counter in (1, 2, 3):
                assert (await phone.post(HAND.alarm(counter)))[0] == 201
            await receiver.heard(3)
            running.process.kill()
            await running.process.wait()
        receiver.moods.clear()
        async with served(home, *options):
            events = await receiver.has(3)
    bodies = [body for _, body in receiver.taken]
    assert len({one["incident"] for one in events}) == len(set(bodies)) == len(bodies) == 3
    assert set(receiver.refused) == set(bodies)


async def test_what_was_not_told_before_a_restart_is_told_after_it(tmp_path: Path) -> None:
    """It lies on disk with the alarm; the same event keeps its id."""
    deaf = Receiver(*["fails"] * 1000)
    async with told(tmp_path, deaf) as (phone, log):
        await phone.post(HAND.alarm(1))
        async with asyncio.timeout(60):
            while not log.of("trouble"):  # noqa: ASYNC110 -- the log has no signal
                await asyncio.sleep(0.05)
    receiver = Receiver()
    authority = Authority()
    (tmp_path / "hook-ca.pem").write_bytes(authority.pem)
    async with serve(authority, {("POST", "/hook"): receiver.hook}) as url:
        options: dict[str, Any] = {"webhook": f"{url}/hook", "webhook_ca": str(tmp_path / "hook-ca.pem")}
        async with centre(tmp_path, **options):
            await receiver.has(1)
    assert receiver.taken[0][1] == deaf.refused[0]


async def test_an_alarm_that_nobody_takes_is_told_once(tmp_path: Path) -> None:
    """In the log, for people without a webhook, and to the webhook; one that was taken is not."""
    receiver = Receiver()
    async with told(tmp_path, receiver, escalate_s=0) as (phone, log):
        _, answer = await phone.post(HAND.alarm(1))
        events = await receiver.has(2)
    assert [one["event"] for one in events] == ["opened", "escalated"]
    assert [line["incident"] for line in log.of("escalated")] == [answer["incident"]]


async def test_an_alarm_that_was_handed_over_is_told_like_any_other(tmp_path: Path) -> None:
    """Of a revoked button: no webhook hears of it while it waits for the administrator; then all do."""
    receiver = Receiver()
    async with told(tmp_path, receiver, escalate_s=0) as (phone, log):
        core = core_at(tmp_path, tells=True)
        buttons.revoke_button(core, HAND.device_id)
        _, answer = await phone.post(HAND.alarm(1))
        assert queue.waiting(core) == 0
        administrator = signed_in(core, access.ADMINISTRATOR)
        administration.rule(core, administrator, answer["incident"], administration.OPERATORS)
        core.store.close()
        events = await receiver.has(2)
    assert [(one["event"], one["incident"]) for one in events] == [
        ("opened", answer["incident"]),
        ("escalated", answer["incident"]),
    ]
    assert {line["incident"] for line in log.of("escalated")} == {answer["incident"]}


def test_the_documented_signature_is_the_one_that_is_made() -> None:
    """The example of docs/api.md, to the last digit."""
    key = bytes(range(32))
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert webhook.secret(key) in text
    body = b'{"id":"5f0c2d9a41b7e386","event":"opened"}'
    assert body.decode() in text
    signed = webhook.headers([key], "5f0c2d9a41b7e386", 1795534800, body)
    assert f"`{signed['webhook-signature']}`" in text


def test_the_pause_between_attempts_is_bounded() -> None:
    """A second, doubling, never more than a minute."""
    assert [webhook.again_ms(attempts) for attempts in (1, 2, 3, 7, 500)] == [
        1000,
        2000,
        4000,
        60_000,
        60_000,
    ]


def queue_of(path: Path, *hands: Hand) -> tuple[Core, dict[str, str]]:
    """A core that tells of incidents, and the bridge of each button."""
    core, bridges = core_at(path, tells=True), {}
    buttons.import_buttons(core, [hand.registered for hand in hands])
    for hand in hands:
        token = str(buttons.enrol(core, hand.enrolment_code, None, None)["token"])
        bridges[hand.device_id] = buttons.bridge_of(core, token)
    return core, bridges


def test_a_share_that_is_full_says_so_in_the_event_log(tmp_path: Path) -> None:
    """And the alarms themselves are taken."""
    core, bridges = queue_of(tmp_path, HAND)
    for counter in range(1, fair_share.WAITING_MAX + 3):
        press = incidents.read(HAND.alarm(counter))
        assert not presses.take_alarm(core, bridges[HAND.device_id], press).known
    assert queue.waiting(core) == fair_share.WAITING_MAX
    assert queue.is_full(core)
    assert [row["kind"] for row in core.store.all("log_entries")].count("webhook_full") == 2
    core.store.close()


def test_one_stolen_phone_takes_no_place_of_another_button(tmp_path: Path) -> None:
    """However much waits of one, another's alarm is in the next batch; so is one by a phone beside it."""
    other = Hand(2)
    core, bridges = queue_of(tmp_path, HAND, other)
    code = buttons.issue_enrolment(core, HAND.device_id)
    assert code
    thief = buttons.bridge_of(core, str(buttons.enrol(core, code, None, None)["token"]))
    for counter in range(1000, 1400):
        presses.take_alarm(core, thief, incidents.read(HAND.alarm(counter)))
    own_alarm = [
        presses.take_alarm(core, bridges[hand.device_id], incidents.read(hand.alarm(1))).incident_id
        for hand in (HAND, other)
    ]
    assert queue.waiting(core) == fair_share.WAITING_MAX + 2
    assert {*own_alarm} <= {event.incident_id for event in queue.due(core)}
    core.store.close()


@pytest.mark.parametrize("seed", range(5))
def test_every_share_is_served_in_turn(tmp_path: Path, seed: int) -> None:
    """Whatever waits, in whatever order it came: after n batches each share has had n, or all of its own."""
    draw = random.Random(seed)
    hands = [Hand(n) for n in range(1, 8)]
    core, bridges = queue_of(tmp_path, *hands)
    wanted = {hand.device_id: draw.randint(1, 6) for hand in hands}
    order = [hand for hand in hands for _ in range(wanted[hand.device_id])]
    draw.shuffle(order)
    counters = Counter[str]()
    for hand in order:
        counters[hand.device_id] += 1
        press = incidents.read(hand.alarm(counters[hand.device_id]))
        presses.take_alarm(core, bridges[hand.device_id], press)
    served = Counter[str]()
    for batch in range(1, 7):
        for event in queue.due(core):
            incident = core.store.one("incident", incident_id=event.incident_id)
            assert incident is not None
            served[incident["device_id"]] += 1
            queue.delivered(core, event)
        for device_id, count in wanted.items():
            assert served[device_id] >= min(batch, count)
    core.store.close()
