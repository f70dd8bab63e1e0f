"""The bridge on a real air, with real HTTPS and a real journal: what a press meets on its way."""

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.centre.client import Centre
from bridge.clock import System
from bridge.model import CallOff, Fix, JournalReason, Key, Press, PressStatus, Record, Trouble, rfc3339
from bridge.ports import Source
from bridge.radio.bleak_radio import CONNECT_S_MAX, BleakRadio
from bridge.rules.expected_codes import uuid_text
from bridge.store.journal import Journal, read_presses
from bridge.tasks.relay import Relay
from sim.radio.air import Air
from sim.radio.bleak_backend import backends
from tests.parts import database_at
from tests.unit.bridge.air_button import AirButton
from tests.unit.bridge.parts import Authority, Lines, TestCentre, device, dice, problem, proof, serve
from wire import receipts, state
from wire.codes import ALARM, ALIVE, CONTACT, TEST, code
from wire.keys import Mac, derive


class Told(Lines):
    """What a bridge says, and the bridge itself as the protected person's page has it."""

    bridge: Relay


class Scene:
    """An air, a centre, one button; the bridge may come and go."""

    def __init__(self, air: Air, hci: tuple[str, int], url: str, authority: Authority, home: Path) -> None:
        self.air, self.hci, self._url, self._authority = air, hci, url, authority
        self.journal = home / "journal.sqlite"
        self.button = AirButton(air)
        self.centre = TestCentre()

    def state(self, event: int, counter: int, *, age_10s: int) -> None:
        """What the button says while this code is on the air: an ALARM is open, for so long."""
        keys = Mac(derive(self.button.root, "state")), Mac(derive(self.button.root, "code"))
        said = state.State(150, state.OPEN, age_10s, counter)
        self.button.state = state.seal(keys[0], code(keys[1], event, counter), 1, said)

    @asynccontextmanager
    async def bridge(
        self,
        *,
        filtered: bool = False,
        ca: Authority | None = None,
        wait: bool = True,
        buttons: int = 1,
        url: str | None = None,
        sources: Sequence[Source] = (),
        **options: Any,
    ) -> AsyncIterator["Told"]:
        lines = Told()
        scanner, client = backends(*self.hci)
        stop = asyncio.Event()
        options.setdefault("journal", Journal(self.journal))
        async with Centre(url or self._url, (ca or self._authority).pem.decode()) as centre:
            relay = Relay(
                [device(number) for number in range(1, buttons + 1)],
                centre=centre,
                radio=lambda on_advert: BleakRadio(on_advert, scanner, client, filtered),
                sources=sources,
                **options,
                log=lines,
                random=dice(1).random,
            )
            lines.bridge = relay
            task = asyncio.create_task(relay.run(stop))
            try:
                if wait:
                    await lines.wait_for("scanning")
                yield lines
            finally:
                stop.set()
                await task
            assert not [line for line in lines.of("trouble") if line["where"] in ("ourselves", "post")]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    air = Air()
    hci = await air.serve_hci()
    authority = Authority()
    centre = TestCentre()
    async with serve(authority, centre.routes) as url:
        scene = Scene(air, hci, url, authority, tmp_path)
        scene.centre = centre
        yield scene
    scene.button.silence()
    await air.close()


def _value(stage: int, event: int, counter: int) -> bytes:
    return bytes([stage]) + proof(1, stage, event, counter)


async def test_a_press_reaches_the_centre_and_the_receipt_the_button(scene: Scene) -> None:
    """One ALARM: one post with the right code, the centre's proof written back."""
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        assert await scene.button.took(receipts.RECEIVED) == _value(receipts.RECEIVED, ALARM, 1)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
    assert len(scene.centre.posts) == 1
    assert [what for what, _ in lines.lines][:4] == ["scanning", "heard", "received", "receipt"]
    (press,) = read_presses(scene.journal)
    assert (press.incident, press.stage, press.delivered) == ("1-1-1", 1, 1)


async def test_later_stages_come_over_the_link_that_stays(scene: Scene) -> None:
    """An operator's acknowledgement is written at once, without another advert."""
    async with scene.bridge():
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.RECEIVED)
        scene.centre.advance("1-1-1", receipts.ACKNOWLEDGED)
        value = await scene.button.took(receipts.ACKNOWLEDGED)
        assert value == _value(receipts.ACKNOWLEDGED, ALARM, 1)
        scene.centre.advance("1-1-1", receipts.CLOSED)
        await scene.button.took(receipts.CLOSED)
        assert len(scene.button.connections) == 1


async def test_a_test_press_behaves_like_an_alarm_and_ends_at_received(scene: Scene) -> None:
    """TEST is sent and its RECEIVED written; then the bridge lets the link go."""
    async with scene.bridge() as lines:
        await scene.button.say(TEST, 1)
        assert await scene.button.took(receipts.RECEIVED) == _value(receipts.RECEIVED, TEST, 1)
        await lines.wait_for("receipt", event=TEST)
        await _until(lambda: not scene.button.connections[0].device.connections)


async def test_heard_is_said_while_the_centre_is_down_and_received_when_it_is_back(scene: Scene) -> None:
    """The button learns that its press is on the bridge's disk, later that it is at the centre."""
    scene.centre.answers = [lambda: web.Response(status=503)] * 2
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        heard = receipts.value(Mac(derive(scene.button.root, "heard")), receipts.HEARD, ALARM, 1)
        assert await scene.button.took(receipts.HEARD) == heard
        await scene.button.took(receipts.RECEIVED)
        assert [line["reason"] for line in lines.of("trouble")] == ["centre_failing"]
    assert [line["reason"] for line in lines.of("retry")] == ["centre_failing"] * 2
    identities = {(post["event"], post["counter"], post["code"]) for post in scene.centre.posts}
    assert len(identities) == 1
    assert len(scene.centre.posts) == 3


class StoppedClock(System):
    """A clock whose retries never come due by themselves."""

    def monotonic_s(self) -> float:
        return 1000.0


async def test_what_waits_is_sent_at_once_when_a_network_has_come(scene: Scene) -> None:
    """Out of the lift: the next try is not waited for."""
    scene.centre.answers = [lambda: web.Response(status=503)]
    async with scene.bridge(clock=StoppedClock()) as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("retry")
        assert lines.bridge
        lines.bridge.hurry()
        await lines.wait_for("received")
    assert len(scene.centre.posts) == 2


async def test_a_press_kept_over_a_restart_is_sent_and_its_receipt_brought(scene: Scene) -> None:
    """The bridge ends before the centre answers; the next one goes on from the journal alone."""
    scene.centre.answers = [lambda: problem(404, "unknown_device")]
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("retry", reason="unknown_device")
        assert await lines.wait_for("trouble", reason="unknown_device")
    assert [press.incident for press in read_presses(scene.journal)] == [None]
    async with scene.bridge() as lines:
        await lines.wait_for("received", incident="1-1-1")
        await scene.button.took(receipts.RECEIVED)
    assert not lines.of("heard")  # the same press: it is not heard a second time
    assert list(scene.centre.stages) == ["1-1-1"]


async def test_a_contact_tells_of_a_press_that_nobody_heard(scene: Scene) -> None:
    """The state names the open press; the bridge reports it under its own code, with its age."""
    mac = Mac(derive(scene.button.root, "state"))
    async with scene.bridge() as lines:
        on_air = code(Mac(derive(scene.button.root, "code")), CONTACT, 7)
        scene.button.state = state.seal(mac, on_air, 99, state.State(150, state.OPEN, 12, 4))
        await scene.button.say(CONTACT, 7)
        assert await scene.button.took(receipts.RECEIVED) == _value(receipts.RECEIVED, ALARM, 4)
        await lines.wait_for("received", incident="1-1-4")
        await lines.wait_for("receipt", counter=4)
    (post,) = scene.centre.posts
    assert (post["event"], post["counter"], post["age_s"]) == (ALARM, 4, 120)
    assert scene.button.written[0][0] == receipts.HEARD


async def test_a_press_is_sent_at_once_and_its_age_when_the_button_has_been_asked(scene: Scene) -> None:
    """The age delays neither the post nor the receipt, and costs one more post: the same press once more."""
    scene.state(ALARM, 1, age_10s=3)
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.RECEIVED)
        assert [post["age_s"] for post in scene.centre.posts] == [None]
        await lines.wait_for("age", counter=1)
        scene.centre.advance("1-1-1", receipts.ACKNOWLEDGED)
        await scene.button.took(receipts.ACKNOWLEDGED)
    first, second = scene.centre.posts
    assert second == first | {"age_s": second["age_s"]}
    assert 25 <= second["age_s"] <= 30
    (press,) = read_presses(scene.journal)
    assert (press.age_s, press.age_told) == (second["age_s"], True)


async def test_an_age_that_the_centre_has_not_taken_is_told_after_a_restart_and_once(scene: Scene) -> None:
    """The bridge ends in between: the journal knows that it is owed."""
    scene.state(ALARM, 1, age_10s=3)
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        scene.centre.answers = [lambda: web.Response(status=503)] * 20
        await lines.wait_for("retry", what_for="age")
    scene.centre.answers = []
    scene.button.silence()
    for runs in (1, 0):
        scene.centre.posts.clear()
        async with scene.bridge() as lines:
            if runs:
                await lines.wait_for("age", counter=1)
            await scene.button.say(TEST, 2 + runs)
            await lines.wait_for("received", event=TEST)
        assert [post["event"] for post in scene.centre.posts] == [ALARM] * runs + [TEST]


async def test_an_age_goes_with_a_press_that_still_waits(scene: Scene) -> None:
    """Read while the centre is away: no second post is needed."""
    scene.state(ALARM, 1, age_10s=3)
    scene.centre.answers = [lambda: web.Response(status=503)] * 20
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await _until(lambda: any(press.age_s is not None for press in read_presses(scene.journal)))
        scene.centre.answers = []
        await lines.wait_for("received")
        await scene.button.took(receipts.RECEIVED)
    assert [post["age_s"] is None for post in scene.centre.posts][-1:] == [False]
    assert not lines.of("age")


async def test_an_impostor_takes_no_receipt(scene: Scene) -> None:
    """Whoever has no K_state may take every write: the receipt counts where the button took it.

    Nothing that an impostor shows is believed, and the next address is tried.
    """
    impostor = AirButton(scene.air, 1, "impostor", is_impostor=True)
    async with scene.bridge() as lines:
        await impostor.say(ALARM, 1)
        await impostor.took(receipts.RECEIVED)
        await _until(lambda: impostor.reads == 1)
        assert not lines.of("receipt")
        assert read_presses(scene.journal)[0].delivered == receipts.HEARD
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.RECEIVED)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
        scene.centre.advance("1-1-1", receipts.ACKNOWLEDGED)
        await scene.button.took(receipts.ACKNOWLEDGED)
        impostor.silence()
    assert len(impostor.connections) == 1
    assert not lines.of("age")


async def test_a_stage_missed_without_a_link_comes_at_the_next_contact(scene: Scene) -> None:
    """The link is gone when the operator acknowledges; the next CONTACT brings the highest stage alone."""
    mac = Mac(derive(scene.button.root, "state"))
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
        scene.button.silence()
        scene.centre.advance("1-1-1", receipts.ACKNOWLEDGED)
        scene.centre.advance("1-1-1", receipts.DISPATCHED)
        await _until(lambda: read_presses(scene.journal)[0].stage == receipts.DISPATCHED)
        on_air = code(Mac(derive(scene.button.root, "code")), CONTACT, 1)
        scene.button.state = state.seal(mac, on_air, 1, state.State(150, state.OPEN, 2, 1))
        await scene.button.say(CONTACT, 1)
        await scene.button.took(receipts.DISPATCHED)
        await lines.wait_for("age", counter=1)
    assert receipts.ACKNOWLEDGED not in {value[0] for value in scene.button.written}
    assert [post["age_s"] is None for post in scene.centre.posts] == [True, False]


async def test_a_forged_state_is_not_believed(scene: Scene) -> None:
    """A stranger who replays a CONTACT code has no K_state; nothing is reported."""
    async with scene.bridge():
        scene.button.state = bytes(20)
        await scene.button.say(CONTACT, 1)
        await _until(lambda: scene.button.reads == 1)
    assert scene.centre.posts == []


async def test_a_link_that_breaks_is_made_again(scene: Scene) -> None:
    """The button's end hangs up before the receipt is there; the bridge connects again by itself."""
    gate = asyncio.Event()
    scene.centre.answers = [lambda: web.Response(status=503)]
    async with scene.bridge():
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.HEARD)
        await scene.button.connections[0].disconnect()
        gate.set()
        await scene.button.took(receipts.RECEIVED)
    assert len(scene.button.connections) == 2


async def test_two_buttons_at_once_get_their_own_receipts(scene: Scene) -> None:
    """Nothing of one button reaches the other."""
    other = AirButton(scene.air, 2, "other")
    async with scene.bridge(buttons=2):
        await asyncio.gather(scene.button.say(ALARM, 1), other.say(ALARM, 1))
        assert await scene.button.took(receipts.RECEIVED) == _value(1, ALARM, 1)
        assert await other.took(receipts.RECEIVED) == bytes([1]) + proof(2, 1, ALARM, 1)
    other.silence()


async def test_more_buttons_than_links_all_get_their_receipts(scene: Scene) -> None:
    """A link that only waits for later stages makes room for a button that has nothing yet."""
    others = [AirButton(scene.air, number, f"button{number}") for number in range(2, 8)]
    async with scene.bridge(buttons=7):
        await asyncio.gather(scene.button.say(ALARM, 1), *(other.say(ALARM, 1) for other in others))
        await asyncio.gather(*(button.took(receipts.RECEIVED) for button in (scene.button, *others)))
    for other in others:
        other.silence()


async def test_a_system_that_filters_by_code_hears_press_after_press(scene: Scene) -> None:
    """The scan is started again with the codes that come next."""
    async with scene.bridge(filtered=True) as lines:
        for counter in range(1, 7):
            await scene.button.say(TEST, counter)
            await lines.wait_for("receipt", counter=counter)


async def test_a_newer_code_ends_the_try_at_an_older_one(scene: Scene) -> None:
    """A new radio session has a new address: waiting at the old one would miss a burst of 3 s."""
    scene.centre.answers = [lambda: web.Response(status=503)]
    async with scene.bridge() as lines:
        await scene.button.say(TEST, 1)
        await scene.button.took(receipts.HEARD)
        await scene.button.say(ALARM, 2)
        await lines.wait_for("receipt", event=ALARM, counter=2, limit_s=CONNECT_S_MAX - 2)


async def test_a_full_disk_does_not_stop_an_alarm(scene: Scene, tmp_path: Path) -> None:
    """It is told, HEARD is not said, the centre gets the press; the journal gets it when it can."""
    scene.journal = tmp_path / "away" / "journal.sqlite"
    heard: list[bytes] = []
    scene.centre.answers = [lambda: web.Response(status=503)]
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("trouble", reason="read_only")
        await lines.wait_for("heard", on_disk=False)
        await scene.button.took(receipts.RECEIVED)
        heard += [value for value in scene.button.written if value[0] == receipts.HEARD]
        scene.journal.parent.mkdir()
        await _until(lambda: scene.journal.exists() and len(read_presses(scene.journal)) == 1)
    assert heard == []
    assert read_presses(scene.journal)[0].incident == "1-1-1"


async def test_tls_wrong_is_told_and_the_press_is_kept(scene: Scene) -> None:
    """Somebody else answers: the press stays, HEARD is true, nothing is sent to them."""
    async with scene.bridge(ca=Authority()) as lines:
        await scene.button.say(ALARM, 1)
        trouble = await lines.wait_for("trouble", reason="tls_wrong")
        assert "nothing was sent" in trouble["text"]
        await scene.button.took(receipts.HEARD)
    assert scene.centre.posts == []
    assert [press.incident for press in read_presses(scene.journal)] == [None]


async def test_strangers_with_our_old_codes_make_no_incident(scene: Scene) -> None:
    """A replayed press is the same press, on the air and at the centre; a forged code is nobody's."""
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("receipt")
        scene.button.silence()
        replayer, forger = AirButton(scene.air, 1, "replayer"), AirButton(scene.air, 9, "forger")
        await asyncio.gather(replayer.say(ALARM, 1), forger.say(ALARM, 2))
        await replayer.took(receipts.RECEIVED)  # it learns nothing that was not on the air before
        replayer.silence()
        forger.silence()
    assert len(scene.centre.posts) == 1
    assert len(lines.of("heard")) == 1
    assert forger.written == []


async def test_a_radio_that_is_off_is_told_and_tried_again(scene: Scene) -> None:
    """Meanwhile a press from the journal goes to the centre; then it listens as if nothing had been."""
    journal = Journal(scene.journal)
    journal.write(Press(device(1).device_id, ALARM, 1, 1_790_000_000_000))
    journal.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        scene.hci = ("127.0.0.1", taken.getsockname()[1])
    async with scene.bridge(wait=False) as lines:
        await lines.wait_for("trouble", reason="bluetooth_no_bluetooth")
        await lines.wait_for("received", counter=1)
        await scene.air.serve_hci(*scene.hci)
        await lines.wait_for("scanning")
        await scene.button.say(TEST, 2)
        await lines.wait_for("receipt", counter=2)


async def _until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 -- a file changes without telling us
            await asyncio.sleep(0.02)


class BrokenReceiver:
    """A position source whose hardware fails each time that it is started."""

    name = "nmea"

    async def run(self, report: Callable[[Fix], None]) -> None:  # noqa: ARG002
        raise RuntimeError("no such device")


async def test_a_position_source_that_fails_costs_no_press(scene: Scene) -> None:
    """The alarm goes without a position, and the protected person is told."""
    async with scene.bridge(sources=[BrokenReceiver()]) as lines:
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.RECEIVED)
        assert scene.centre.posts[0]["fix"] is None
        assert [line["reason"] for line in lines.of("trouble")] == ["no_position"]


async def test_a_code_that_was_recorded_does_not_make_the_phone_show_itself(scene: Scene) -> None:
    """Whoever sends an old press's code again is not called on: it would say whose phone this is."""
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
        await _until(lambda: read_presses(scene.journal)[0].delivered == receipts.RECEIVED)
        scene.button.silence()
    with database_at(scene.journal) as journal:
        journal.execute("UPDATE press SET heard_at_ms = heard_at_ms - 86400000")
    journal.close()
    mimic = AirButton(scene.air, 1, "mimic")
    async with scene.bridge():
        await mimic.say(ALARM, 1)
        await asyncio.sleep(1.5)
        assert (len(mimic.connections), len(mimic.written)) == (0, 0)
        mimic.silence()
    assert len(scene.centre.posts) == 1


async def test_somebody_who_repeats_the_code_keeps_no_later_stage_from_the_button(scene: Scene) -> None:
    """They are looked at, as the button itself would be silent by now; it is told all the same."""
    mimic = AirButton(scene.air, 1, "mimic", is_impostor=True)
    async with scene.bridge():
        await scene.button.say(ALARM, 1)
        await scene.button.took(receipts.RECEIVED)
        for _ in range(5):
            await mimic.say(ALARM, 1)
            await asyncio.sleep(0.2)
        scene.centre.advance("1-1-1", receipts.ACKNOWLEDGED)
        await scene.button.took(receipts.ACKNOWLEDGED)
        mimic.silence()


# -- after the press: positions, call-offs ------------------------------------------------------------


class Receiver:
    """A satellite receiver: it gives what a test has it see."""

    name = "gpsd"

    def __init__(self) -> None:
        self._reports: list[Callable[[Fix], None]] = []

    async def run(self, report: Callable[[Fix], None]) -> None:
        self._reports.append(report)
        await asyncio.Event().wait()

    def see(self, lat: float, radius_m: float, age_s: float = 0, clock_off_s: float = 0) -> None:
        at_ms = int((time.time() - age_s + clock_off_s) * 1000)
        arrived_ms = System().boottime_ms() - int(age_s * 1000)
        for report in self._reports:
            report(Fix(lat, 4.35, radius_m, 95.0, "GNSS", rfc3339(at_ms), "gpsd", (), arrived_ms))


async def test_an_alarm_leaves_without_a_position_and_the_first_one_follows(scene: Scene) -> None:
    """It never waits for one; the first fix goes after it, a much better one too, before the 20 s."""
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]) as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        receiver.see(50.80, 400.0)
        await _until(lambda: len(scene.centre.fixes.get("1-1-1", [])) == 1)
        receiver.see(50.801, 8.0)
        await _until(lambda: len(scene.centre.fixes["1-1-1"]) == 2)
    assert scene.centre.posts[0]["fix"] is None
    assert [fix["lat"] for fix in scene.centre.fixes["1-1-1"]] == [50.80, 50.801]
    assert {fix["source"] for fix in scene.centre.fixes["1-1-1"]} == {"gpsd"}


async def test_an_old_position_is_marked_as_one(scene: Scene) -> None:
    """Ten minutes old: better than nothing, and never taken for fresh."""
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]):
        receiver.see(50.80, 10.0, age_s=600)
        await scene.button.say(ALARM, 1)
        await _until(lambda: len(scene.centre.posts) == 1)
    fix = scene.centre.posts[0]["fix"]
    assert fix["marks"] == ["stale"]
    assert 600 <= fix["age_s"] < 660
    assert "arrived_ms" not in fix


@pytest.mark.parametrize("off_s", [-3720, 61, 1024 * 7 * 86_400])
async def test_a_wrong_clock_makes_no_position_look_old(scene: Scene, off_s: int) -> None:
    """The receiver's time and ours differ: the position is of now, at the centre and on the phone's page."""
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]) as lines:
        receiver.see(50.80, 10.0, clock_off_s=off_s)
        fix = lines.bridge.status().fix
        assert fix
        assert fix.marks == ()
        assert abs(datetime.fromisoformat(fix.taken_at).timestamp() - time.time()) < 60
        await scene.button.say(ALARM, 1)
        await _until(lambda: len(scene.centre.posts) == 1)
    sent = scene.centre.posts[0]["fix"]
    assert sent["age_s"] < 60
    assert "marks" not in sent


async def test_a_test_press_is_not_followed(scene: Scene) -> None:
    """A silent test says once where the protected person is, as an alarm would, and no more."""
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]) as lines:
        await scene.button.say(TEST, 1)
        await lines.wait_for("received")
        receiver.see(50.80, 10.0)
        await asyncio.sleep(1.5)
    assert scene.centre.fixes == {}


async def test_positions_gathered_without_the_centre_reach_it_later(scene: Scene) -> None:
    """The centre fails while the person moves; the trail is not lost, also not by a kill of the bridge."""
    receiver = Receiver()
    scene.centre.answers = [lambda: problem(503, "busy")] * 200
    async with scene.bridge(sources=[receiver]) as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("retry")
        receiver.see(50.80, 400.0)
        await _until(lambda: len(_waypoints(scene.journal)) == 1)
    scene.centre.answers = []
    async with scene.bridge(sources=[receiver]):
        await _until(lambda: len(scene.centre.fixes.get("1-1-1", [])) == 1)
        await _until(lambda: _waypoints(scene.journal) == [])


def _waypoints(journal: Path) -> list[Any]:
    with database_at(journal) as db:
        rows = db.execute("SELECT * FROM waypoint").fetchall()
    db.close()
    return rows


KEY = Key(device(1).device_id, ALARM, 1)


@pytest.mark.parametrize("pin", ["1234", "4321"])
async def test_a_call_off_looks_the_same_with_either_pin(scene: Scene, pin: str) -> None:
    """The protected person's page cannot tell them apart: the bridge does not know which it was."""
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        assert await lines.bridge.call_off(KEY, pin) == "done"
        press = lines.bridge.status().buttons[0].last_press
    assert press is not None
    assert press == PressStatus(*KEY, press.heard_at_ms, 1, press.delivered, CallOff.DONE, False)
    assert scene.centre.call_offs == [{**KEY._asdict(), "pin": pin}]
    assert [(line["outcome"]) for line in lines.of("call_off")] == ["done"]


async def test_a_wrong_pin_is_told_and_may_be_tried_again(scene: Scene) -> None:
    """The centre says so; the right one then calls off."""
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        assert await lines.bridge.call_off(KEY, "9999") == "wrong_pin"
        press = lines.bridge.status().buttons[0].last_press
        assert press is not None
        assert press.can_call_off
        assert await lines.bridge.call_off(KEY, "1234") == "done"


async def test_a_call_off_without_the_centre_is_kept_over_a_restart_and_sent(scene: Scene) -> None:
    """The call-off is not lost, and its PIN is gone from the disk when it is there."""
    scene.centre.answers = [lambda: problem(503, "busy")] * 200
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("retry")
        giving = asyncio.create_task(lines.bridge.call_off(KEY, "1234"))
        await _until(lambda: read_presses(scene.journal)[0].call_off == "kept")
    giving.cancel()
    scene.centre.answers = []
    async with scene.bridge() as lines:
        await lines.wait_for("call_off", outcome="done")
    assert [body["pin"] for body in scene.centre.call_offs] == ["1234"]
    assert all(b"1234" not in file.read_bytes() for file in scene.journal.parent.glob("journal*"))
    assert "1234" not in str(lines.lines)


async def test_a_pin_given_while_another_is_on_its_way_is_sent(scene: Scene) -> None:
    """A slip, and the right one right after it: the second is not lost with the first one's answer."""
    scene.centre.call_offs_wait = asyncio.Event()
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        slip = asyncio.create_task(lines.bridge.call_off(KEY, "9999"))
        await _until(lambda: len(scene.centre.call_offs) == 1)
        right = asyncio.create_task(lines.bridge.call_off(KEY, "1234"))
        await asyncio.sleep(0.1)
        scene.centre.call_offs_wait.set()
        assert await right == "done"
        await slip
    assert [body["pin"] for body in scene.centre.call_offs] == ["9999", "1234"]


class SetClock(System):
    """A clock that somebody has set."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.mark.parametrize("hours", [-8, pytest.param(8, marks=pytest.mark.slow)])
async def test_a_clock_that_jumped_does_not_end_the_following(scene: Scene, hours: int) -> None:
    """The machine slept, or the network has set its clock, since the bridge began: an alarm's positions
    go out at the same moments as ever."""
    receiver, clock = Receiver(), SetClock()
    async with scene.bridge(sources=[receiver], follow_every_s=5, clock=clock) as lines:
        clock.ahead_ms = hours * 3_600_000
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        receiver.see(50.80, 10.0)
        await _until(lambda: len(scene.centre.fixes.get("1-1-1", [])) == 1)
        receiver.see(50.8001, 10.0)
        if hours > 0:  # it is at the 20 s that one sees it
            await lines.wait_for("fixes", count=2)


async def test_a_closed_alarm_is_not_followed_again_after_a_restart(scene: Scene) -> None:
    """The operator has closed it: where the protected person goes is nobody's business any more."""
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]) as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        scene.centre.advance("1-1-1", receipts.CLOSED)
        await scene.button.took(receipts.CLOSED)
        await _until(lambda: read_presses(scene.journal)[0].stage == receipts.CLOSED)
    async with scene.bridge(sources=[receiver]):
        receiver.see(50.80, 10.0)
        await asyncio.sleep(1.5)
    assert scene.centre.fixes == {}


# -- disks --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_journal_that_another_program_holds_costs_no_alarm(scene: Scene) -> None:
    """The alarm that waits in it is sent all the same; what became of it is written when it is free again."""
    journal = Journal(scene.journal)
    journal.write(Press(device(1).device_id, ALARM, 1, int(time.time() * 1000)))
    journal.close()
    with closing(sqlite3.connect(scene.journal, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("DELETE FROM health")
        async with scene.bridge() as lines:
            await lines.wait_for("trouble", where="disk")
            await lines.wait_for("received", counter=1)
            holder.execute("ROLLBACK")
            holder.close()
            await lines.wait_for("well", where="disk")
    assert [press.incident for press in read_presses(scene.journal)] == ["1-1-1"]


async def test_a_position_of_another_version_in_the_journal_costs_no_alarm(scene: Scene) -> None:
    """The bridge starts, and sends it."""
    journal = Journal(scene.journal)
    journal.write(Press(device(1).device_id, ALARM, 1, int(time.time() * 1000), fix={"breadth": 50.8}))
    journal.close()
    async with scene.bridge(sources=[Receiver()]) as lines:
        await lines.wait_for("received", counter=1)


class HungJournal(Journal):
    """On a disk that takes a write, and does not answer before it is let go."""

    def __init__(self, path: Path) -> None:
        # Nobody waits for its thread, which would close it.
        options = {"isolation_level": None, "check_same_thread": False}
        super().__init__(path, lambda path: database_at(path, **options))
        self.let_go = threading.Event()

    def write(self, *rows: Record) -> JournalReason | None:
        self.let_go.wait()
        return super().write(*rows)


async def test_a_disk_that_hangs_stops_no_alarm_and_no_shutdown(scene: Scene) -> None:
    """The press goes to the centre from memory; who stops the bridge does not wait for the disk."""
    journal = HungJournal(scene.journal)
    try:
        async with scene.bridge(journal=journal) as lines:
            await scene.button.say(ALARM, 1)
            await scene.button.took(receipts.RECEIVED)
            assert lines.of("heard")[0]["on_disk"] is False
    finally:
        journal.let_go.set()


# -- notices ------------------------------------------------------------------------------------------


async def test_a_centre_that_comes_and_goes_lights_the_screen_up_once(scene: Scene) -> None:
    """It fails now and then: whoever stands beside the phone sees one notice, and not one a minute."""
    told: list[Trouble] = []

    async def announce(trouble: Trouble) -> None:
        told.append(trouble)

    async with scene.bridge(announce=announce) as lines:
        for count in range(1, 4):
            scene.centre.answers = [lambda: problem(503, "busy")]
            await scene.button.say(TEST, count)
            await lines.wait_for("trouble", where="centre", count=count)
            await lines.wait_for("well", where="centre", count=count)
    assert [(trouble.where, trouble.reason) for trouble in told] == [("centre", "centre_failing")]


async def test_positions_that_the_centre_cannot_take_are_not_called_a_lost_centre(scene: Scene) -> None:
    """The alarm has arrived, and another one would: nothing to worry the protected person with."""
    scene.centre.fixes_fail = True
    receiver = Receiver()
    async with scene.bridge(sources=[receiver]) as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("received")
        receiver.see(50.80, 10.0)
        await lines.wait_for("retry", what_for="positions", count=2)
        assert not lines.of("trouble") or {line["where"] for line in lines.of("trouble")} == {"press"}
        scene.centre.fixes_fail = False
        await lines.wait_for("fixes")


async def test_a_revoked_phone_is_told_before_the_next_press(scene: Scene) -> None:
    """Alarms would be refused: the person hears of it at the next sign of life, not at the alarm."""
    told: list[Trouble] = []

    async def announce(trouble: Trouble) -> None:
        told.append(trouble)

    scene.centre.revoked = True
    async with scene.bridge(announce=announce) as lines:
        await lines.wait_for("trouble", where="supervision", reason="revoked")
    assert [trouble.reason for trouble in told] == ["revoked"]


# -- supervision --------------------------------------------------------------------------------------


async def test_the_centre_is_told_who_lives_and_its_counters_move_the_prediction(scene: Scene) -> None:
    """A button that was heard by other bridges for months is expected where it is by now."""
    far = 5_000_003
    scene.centre.counters = {device(1).device_id: {"press": far - 1, "alive": far - 1}}
    async with scene.bridge(buttons=2) as lines:
        await lines.wait_for("alive")
        told = scene.centre.alives[0]
        await scene.button.say(ALARM, far)
        await lines.wait_for("received", counter=far)
    assert [button["device_id"] for button in told["buttons"]] == [device(n).device_id for n in (1, 2)]
    assert told["buttons"][0]["heard_at"] is None
    assert told["troubles"] == []


async def test_a_bridge_that_is_stopped_says_goodbye(scene: Scene) -> None:
    """As its last sign of life; all of them tell since when it runs."""
    async with scene.bridge() as lines:
        await lines.wait_for("alive")
    first, last = scene.centre.alives
    assert (first.get("leaving"), last["leaving"]) == (None, True)
    assert first["running_since"] == last["running_since"]


async def test_a_goodbye_that_is_not_answered_keeps_nobody_waiting(scene: Scene) -> None:
    """It has two seconds, then the bridge ends all the same."""
    async with scene.bridge() as lines:
        await lines.wait_for("alive")
        scene.centre.hangs = asyncio.Event()
    assert scene.centre.alives[-1]["leaving"]


async def test_what_the_button_says_of_itself_is_known_after_a_restart(scene: Scene) -> None:
    """Battery in 20 mV steps, what is wrong with it, when it was last heard."""
    async with scene.bridge() as lines:
        told = state.State(181, state.PIN_STUCK, 0, 0)
        code_on_air = code(Mac(derive(scene.button.root, "code")), CONTACT, 1)
        scene.button.state = state.seal(Mac(derive(scene.button.root, "state")), code_on_air, 1, told)
        await scene.button.say(CONTACT, 1)
        await lines.wait_for("trouble", reason="stuck")
    async with scene.bridge() as lines:
        button = lines.bridge.status().buttons[0]
    assert (button.battery_mv, button.faults) == (3620, ("stuck",))
    assert button.heard_at_ms is not None


@pytest.mark.slow
async def test_a_centre_that_is_gone_is_told_and_well_again(scene: Scene) -> None:
    """Also without any press, by the signs of life alone."""
    async with scene.bridge(url="https://127.0.0.1:9", wait=False) as lines:
        await lines.wait_for("trouble", where="centre")
        assert lines.bridge.status().centre_ok is False
        assert not await lines.bridge.check()


async def test_supervision_never_delays_an_alarm(scene: Scene) -> None:
    """The centre does not answer signs of life, and a thousand of them are heard right before the press."""
    scene.centre.hangs = asyncio.Event()
    async with scene.bridge(buttons=7) as lines:
        await _until(lambda: len(scene.centre.alives) == 1)
        for number in range(2, 8):
            k_code = Mac(derive(bytes([number]) * 32, "code"))
            for counter in range(1, 180):
                lines.bridge.on_advert(Passer(), [uuid_text(code(k_code, ALIVE, counter))], -70)
        await scene.button.say(ALARM, 1)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
        assert len(scene.centre.alives) == 1
        assert len(lines.of("heard")) == 6 * 179 + 1
        scene.centre.hangs.set()


class Passer:
    """Whoever sends an advert in the street."""

    address = "C0:00:00:00:00:09"


async def test_a_bridge_without_a_single_answer_still_knows_what_is_wrong(scene: Scene) -> None:
    """A page of a hotel, a redirect, a stream without end: each is named, and the press goes on."""

    def endless() -> web.Response:
        return web.Response(text="x" * 200_000, content_type="application/json")

    def hotel() -> web.Response:
        return web.Response(text="<html>log in", status=200, content_type="text/html")

    def moved() -> web.Response:
        return web.Response(status=302, headers={"Location": "https://192.0.2.1/"})

    scene.centre.answers = [hotel, moved, endless]
    async with scene.bridge() as lines:
        await scene.button.say(ALARM, 1)
        await lines.wait_for("receipt", stage=receipts.RECEIVED)
    assert [line["reason"] for line in lines.of("retry")] == ["not_a_centre"] * 3
    assert len(read_presses(scene.journal)) == 1
