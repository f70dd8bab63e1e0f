"""Bugs that somebody could well make, each as a small patch of the product, to see that they are found.

Applied in tests alone, for as long as the block lasts. What a checker does not find here it would not find in
earnest.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from unittest.mock import patch

from bridge.centre.errors import CentreError, NotACentre
from bridge.location import nmea
from bridge.location.positions import Positions
from bridge.model import FOLLOWED_MS
from bridge.radio.bleak_radio import BleakRadio
from bridge.rules import fix_choice, retry_queue
from bridge.rules.accuracy import taken_ms
from bridge.rules.press_flow import PressFlow
from bridge.rules.visit import Visit
from bridge.store.journal import Journal
from bridge.store.journal_writer import JournalWriter
from bridge.tasks.presses import Presses
from bridge.tasks.relay import Relay
from centre.rules import newest_position
from centre.store import Store
from centre.work import presses
from firmware.board.direct import Direct
from firmware.board.feedback import Feedback
from firmware.board.memory import Memory
from firmware.board.press import (
    BLUETOOTH,
    NEVER_MS,
    QUIET_PHASE,
    SAVE_PRESS,
    SESSION,
    SILENCE,
    VIBRATE,
    Press,
)
from sim.judge import promises
from sim.virtual import button as _virtual_button  # first, so that the firmware finds its `bluetooth`
from wire import receipts

assert _virtual_button
App: Any = import_module("firmware.board.app").App
DirectApp: Any = import_module("firmware.board.direct_app").DirectApp
Radio: Any = import_module("firmware.board.radio").Radio


@dataclass(frozen=True)
class Bug:
    """`seeded()` has it in the product; `breaks` are the promises of which one must be seen to break."""

    name: str
    seeded: Callable[[], Any]
    breaks: tuple[str, ...]
    is_of_own_way: bool = False  # of the direct path: else that may bring what the bug has lost


BUGS: list[Bug] = []


def bug(*breaks: str, is_of_own_way: bool = False) -> Callable[[Callable[[], Iterator[None]]], None]:
    """The function's name, with spaces, is the bug's."""

    def add(seeded: Callable[[], Iterator[None]]) -> None:
        BUGS.append(Bug(seeded.__name__.replace("_", " "), contextmanager(seeded), breaks, is_of_own_way))

    return add


def instead(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Patch `owner.name` by what `make(original)` gives."""
    return patch.object(owner, name, make(getattr(owner, name)))


# -- the bridge ---------------------------------------------------------------------------------------


@bug(promises.HEARD)
def a_journal_without_sync() -> Iterator[None]:
    def make(connect: Any) -> Any:
        def unsynced(self: Journal) -> sqlite3.Connection:
            db: sqlite3.Connection = connect(self)
            db.execute("PRAGMA synchronous = NORMAL")
            return db

        return unsynced

    with instead(Journal, "_connect", make):
        yield


@bug(promises.HEARD)
def heard_before_the_journal() -> Iterator[None]:
    def make(heard: Any) -> Any:
        def early(self: PressFlow, *arguments: Any) -> Any:
            actions = heard(self, *arguments)
            self.is_kept = True
            return actions

        return early

    with instead(PressFlow, "heard", make), patch.object(JournalWriter, "is_kept", lambda *_: True):
        yield


@bug(promises.LOST, promises.INVENTED)
def a_retry_with_a_new_identity() -> Iterator[None]:
    def make(failed: Any) -> Any:
        def renamed(self: Presses, job: retry_queue.Job, flow: PressFlow, error: CentreError) -> None:
            failed(self, job, flow, error)
            if job.kind is retry_queue.Kind.ALARM:
                flow.press = replace(flow.press, counter=flow.press.counter + 1)

        return renamed

    with instead(Presses, "_failed", make):
        yield


@bug(promises.LOST, promises.LATE)
def an_alarm_given_up_on_an_error() -> Iterator[None]:
    def give_up(self: Presses, job: retry_queue.Job, _reason: str, _permanent: bool) -> bool:
        self._queue.done(job)
        return True

    with patch.object(Presses, "_again", give_up):
        yield


@bug(promises.LOST, promises.LATE)
def a_captive_portal_believed() -> Iterator[None]:
    def make(failed: Any) -> Any:
        def believes(self: Presses, job: retry_queue.Job, flow: PressFlow, error: CentreError) -> None:
            if isinstance(error, NotACentre):
                self._queue.done(job)
            else:
                failed(self, job, flow, error)

        return believes

    with instead(Presses, "_failed", make):
        yield


@bug(promises.LOST, promises.LATE)
def a_journal_that_is_written_and_never_read() -> Iterator[None]:
    with patch.object(Relay, "_resume_presses", lambda *_: None):
        yield


@bug(promises.LOST, promises.LATE)
def a_retry_that_comes_too_late() -> Iterator[None]:
    with (
        patch.object(retry_queue, "RETRY_MS_MIN", 600_000),
        patch.object(retry_queue, "RETRY_MS_MAX", 600_000),
        patch.object(retry_queue.RetryQueue, "hurry", lambda *_: None),
    ):
        yield


@bug(promises.LOST, promises.LATE)
def a_filter_that_forgets_what_it_missed() -> Iterator[None]:
    button = import_module("bridge.rules.expected_codes")._Button
    with patch.object(button, "missed", lambda *_: ([], 0)):
        yield


# -- the centre ---------------------------------------------------------------------------------------


@bug(promises.ONCE, promises.LOST)
def a_dedupe_on_the_wrong_key() -> Iterator[None]:
    def make(one: Any) -> Any:
        def by_device(self: Store, query: str, **values: Any) -> Any:
            if query != "press_of_bridge":
                return one(self, query, **values)
            sql = self._queries[query].replace("AND i.event = :event AND i.counter = :counter", "")
            return self.db.execute(sql, values).fetchone()

        return by_device

    with instead(Store, "one", make):
        yield


class _Undone(Exception):
    pass


@bug(promises.KEPT)
def received_before_the_commit() -> Iterator[None]:
    take_alarm = presses.take_alarm

    def early(core: Any, bridge_id: str, press: Any) -> Any:
        with suppress(_Undone), core.store.group():
            taken = take_alarm(core, bridge_id, press)
            raise _Undone  # answered, and not committed
        asyncio.get_running_loop().call_later(1.0, take_alarm, core, bridge_id, press)
        return taken

    with patch.object(presses, "take_alarm", early):
        yield


# -- the button ---------------------------------------------------------------------------------------


@bug(promises.FORGED, promises.ORDER)
def a_receipt_without_proof() -> Iterator[None]:
    with patch.object(receipts, "check", lambda received, *_: min(received[0], receipts.CLOSED)):
        yield


@bug(promises.REUSED, promises.LOST, promises.INVENTED)
def a_counter_that_rolls_back() -> Iterator[None]:
    def make(load: Any) -> Any:
        def rolled(self: Memory) -> Any:
            life = load(self)
            life.press_counter = max(life.press_counter - self.power_lost, 0)
            return life

        return rolled

    with instead(Memory, "load", make):
        yield


@bug(promises.LOST, promises.LATE)
def an_open_press_forgotten_after_power_loss() -> Iterator[None]:
    def make(load: Any) -> Any:
        def forgotten(self: Memory) -> Any:
            life = load(self)
            life.event = 0 if self.power_lost else life.event
            return life

        return forgotten

    with instead(Memory, "load", make):
        yield


@bug(promises.LOST, promises.REUSED, promises.LATE)
def a_press_felt_before_it_is_on_flash() -> Iterator[None]:
    def make(opens: Any) -> Any:
        def late(self: Press, event: int, now_ms: int) -> Any:
            return [action for action in opens(self, event, now_ms) if action[0] != SAVE_PRESS]

        return late

    with instead(Press, "_open", make):
        yield


@bug(promises.REUSED, promises.ORDER)
def a_stage_that_is_not_kept() -> Iterator[None]:
    def make(receipt: Any) -> Any:
        def forgets(self: Press, stage: int, now_ms: int) -> Any:
            return [action for action in receipt(self, stage, now_ms) if action[0] != SAVE_PRESS]

        return forgets

    with instead(Press, "receipt", make):
        yield


@bug(promises.LINKED)
def a_reused_address() -> Iterator[None]:
    def warm(self: Any) -> None:
        self._ble.active(True)
        self._record, self._warm = [], True

    with patch.object(Radio, "warm", warm):
        yield


@bug(promises.ORDER)
def a_stage_that_goes_backwards() -> Iterator[None]:
    def make(receipt: Any) -> Any:
        def any_stage(self: Press, stage: int, now_ms: int) -> Any:
            if stage > receipts.HEARD:
                self.life.stage = min(self.life.stage, stage - 1)
            return receipt(self, stage, now_ms)

        return any_stage

    with instead(Press, "receipt", make):
        yield


@bug(promises.REUSED, promises.LOST)
def a_contact_that_is_not_fresh() -> Iterator[None]:
    def make(slot: Any) -> Any:
        def stale(self: Press, now_ms: int) -> Any:
            self.life.alive_counter -= bool(self.life.event)
            return slot(self, now_ms)

        return stale

    with instead(Press, "_slot", make):
        yield


@bug(promises.TOLD)
def a_hand_that_is_never_told() -> Iterator[None]:
    with patch.object(Press, "_confirm_ms", lambda _: None):
        yield


@bug(promises.LOST, promises.LATE)
def a_contact_once_an_hour() -> Iterator[None]:
    with patch.object(import_module("firmware.board.press"), "_CONTACT_EVERY_MS", 3_600_000):
        yield


# -- what was found in the field: positions and clocks ---------------------------------------------------


@bug(promises.PLACED)
def a_receivers_date_believed() -> Iterator[None]:
    """A fix that claims an earlier time than the last one is late, whenever it comes."""

    def make(take: Any) -> Any:
        def by_date(self: Any, fix: Any) -> None:
            if self.newest is None or taken_ms(fix) >= taken_ms(self.newest):
                take(self, fix)

        return by_date

    believed = patch.object(nmea, "reference_ms", lambda phone_ms, said_ms: said_ms or phone_ms)
    with believed, instead(fix_choice._Origin, "take", make):
        yield


@bug(promises.PLACED)
def a_fix_as_old_as_the_phones_clock_says() -> Iterator[None]:
    def make(init: Any) -> Any:
        def by_wall(self: Positions, sources: Any, *, boottime_ms: Any, **rest: Any) -> None:
            init(self, sources, boottime_ms=boottime_ms, **rest)
            clock, offer = boottime_ms.__self__, self._selector.offer

            def offer_by_wall(fix: Any) -> None:
                offer(replace(fix, arrived_ms=clock.boottime_ms() - (clock.now_ms() - taken_ms(fix))))

            self._selector.offer = offer_by_wall  # type: ignore[method-assign]

        return by_wall

    with instead(Positions, "__init__", make):
        yield


@bug(promises.PLACED)
def the_newest_position_by_the_phones_date() -> Iterator[None]:
    def make(every: Any) -> Any:
        def by_date(self: Store, query: str, **values: Any) -> Any:
            if query != "newest_fixes":
                return every(self, query, **values)
            return self.db.execute(
                self._queries[query].replace("BY at_ms", "BY taken_at_ms"), values
            ).fetchall()

        return by_date

    by_date = patch.object(newest_position, "moment_ms", lambda fix, _: fix.taken_at_ms)
    with by_date, instead(Store, "all", make):
        yield


@bug(promises.PLACED)
def tracking_that_ends_by_the_phones_clock() -> Iterator[None]:
    def make(resumed: Any) -> Any:
        def by_wall(self: PressFlow, now: Any, *rest: Any) -> Any:
            left_ms = max(0, FOLLOWED_MS - (now.boottime_ms - self.heard_boottime_ms))
            self.press = replace(self.press, follow_left_ms=left_ms)
            return resumed(self, now, *rest)

        return by_wall

    with instead(PressFlow, "resumed", make):
        yield


@bug(promises.PLACED)
def the_newest_position_by_the_centres_clock_as_it_was() -> Iterator[None]:
    """What came before the clock was set back stays the newest until the clock is there again."""

    def make(run: Any) -> Any:
        def as_it_was(self: Store, query: str, **values: Any) -> Any:
            if query == "add_fix":  # not sooner: a database that is made once for all worlds keeps it
                self.db.execute("DROP TRIGGER IF EXISTS arrival_follows_the_clock")
            return run(self, query, **values)

        return as_it_was

    with instead(Store, "run", make):
        yield


# -- what was found in the field: the button, and who passes for it ---------------------------------------


@bug(promises.FELT, promises.FORGED, promises.ORDER)
def a_pulse_skipped_by_a_late_loop() -> Iterator[None]:
    def make(tick: Any) -> Any:
        def by_plan(self: Feedback, now_ms: int) -> bool:
            while now_ms >= self._until_ms and not self.is_idle():
                tick(self, self._until_ms if self._left or self.is_on else now_ms)
            return self.is_on

        return by_plan

    with instead(Feedback, "tick", make):
        yield


@bug(promises.FELT, promises.TOLD)
def a_sleep_that_asks_not_what_is_to_be_done() -> Iterator[None]:
    def make(due_ms: Any) -> Any:
        def hasty(self: Any) -> int | None:
            is_stuck = self.press.phase == QUIET_PHASE and self.gesture.is_stuck()
            return None if is_stuck else due_ms(self)

        return hasty

    with instead(App, "_due_ms", make):
        yield


@bug(promises.TOLD)
def not_confirmed_counted_from_each_reset() -> Iterator[None]:
    def make(boot: Any) -> Any:
        def anew(self: Press, now_ms: int, slept: bool, power_lost: bool) -> Any:
            if not slept:
                self.life.started_ms = now_ms
            return boot(self, now_ms, slept, power_lost)

        return anew

    with instead(Press, "boot", make):
        yield


@bug(promises.ORDER, promises.REUSED)
def a_stage_felt_before_it_is_saved() -> Iterator[None]:
    def make(receipt: Any) -> Any:
        def felt_first(self: Press, stage: int, now_ms: int) -> Any:
            return sorted(receipt(self, stage, now_ms), key=lambda action: action[0] != VIBRATE)

        return felt_first

    with instead(Press, "receipt", make):
        yield


@bug(promises.AGED, promises.REUSED)
def a_press_of_flash_with_the_time_of_the_one_before() -> Iterator[None]:
    """The motor starts before RTC memory has the press, and the next start does not date it anew."""

    def make_load(load: Any) -> Any:
        def dated(self: Memory) -> Any:
            life = load(self)
            life.is_undated = life.is_undated and self.power_lost
            return life

        return dated

    def make_commit(commit: Any) -> Any:
        def flash_alone(self: Any, verb: str) -> None:
            self.remember = lambda: None
            commit(self, verb)
            del self.remember

        return flash_alone

    with instead(Memory, "load", make_load), instead(App, "_commit", make_commit):
        yield


@bug(promises.ON_AIR)
def a_code_off_the_air_while_links_linger() -> Iterator[None]:
    def connectable(self: Any, interval_us: int) -> int:
        try:
            self._ble.gap_advertise(interval_us, adv_data=self._advert, connectable=self._connectable)
        except OSError:
            return 100
        return 0

    with patch.object(Radio, "advertise", connectable):
        yield


@bug(promises.BROUGHT, promises.LATE)
def a_write_that_is_answered_taken_for_the_buttons() -> Iterator[None]:
    def make(wrote: Any) -> Any:
        def believed(self: Visit, stage: int) -> None:
            wrote(self, stage)
            self.proved()

        return believed

    def uncontested(next_: Any) -> Any:
        return lambda self, press, is_kept, _=False: next_(self, press, is_kept)

    with instead(Visit, "wrote", make), instead(Visit, "next", uncontested):
        yield


@bug(promises.FORGED)
def a_radio_switched_off_while_the_motor_runs() -> Iterator[None]:
    def make(may: Any) -> Any:
        return lambda self, verb: verb in (SESSION, SILENCE) or may(self, verb)

    with instead(App, "_may", make):
        yield


@bug(promises.LOST, promises.LATE)
def a_late_start_of_discovery_in_progress_for_ever() -> Iterator[None]:
    async def nothing(_: BleakRadio) -> None:
        """Leave BlueZ at what it was doing."""

    with patch.object(BleakRadio, "_begin_afresh", nothing):
        yield


@bug(promises.HEARD, promises.LOST, promises.LATE)
def a_damaged_journal_set_aside_with_all_its_presses() -> Iterator[None]:
    def make(repair: Any) -> Any:
        return lambda self, contents: repair(self, replace(contents, presses=[]))

    with instead(Journal, "_repair", make):
        yield


@bug(promises.SOUND, promises.LOST, promises.HEARD)
def a_journal_read_as_a_whole() -> Iterator[None]:
    """What cannot be read of it raises, and the bridge does not start."""

    def make(load: Any) -> Any:
        def whole(self: Journal, now_ms: int) -> Any:
            contents = load(self, now_ms)
            if contents.reason is not None:
                raise KeyError("battery_mv")
            return contents

        return whole

    with instead(Journal, "load", make):
        yield


# -- the button's own way -----------------------------------------------------------------------------


@bug(promises.ORDER, is_of_own_way=True)
def a_stage_felt_once_for_each_answer() -> Iterator[None]:
    def make(receipt: Any) -> Any:
        def each(self: Press, stage: int, now_ms: int, way: int = BLUETOOTH) -> Any:
            is_again = way != BLUETOOTH and self.life.event and receipts.RECEIVED <= stage == self.life.stage
            return [(VIBRATE, stage)] if is_again else receipt(self, stage, now_ms, way)

        return each

    with instead(Press, "receipt", make):
        yield


@bug(promises.FORGED, promises.LATE, promises.LOST, is_of_own_way=True)
def an_answer_believed_without_its_seal() -> Iterator[None]:
    def believe(self: Any, name: str, _: bytes) -> None:
        self._app.say("receipt", receipts.RECEIVED, name)
        self._app.do(self._app.press.receipt(receipts.RECEIVED, self._app.board.now_ms(), self._bit(name)))

    with patch.object(DirectApp, "_received", believe):
        yield


@bug(promises.OWN_WAY, promises.LOST, is_of_own_way=True)
def a_way_of_its_own_left_once_a_bridge_has_heard() -> Iterator[None]:
    def leave(self: Direct) -> None:
        self.state, self.life.direct_ms = 0, NEVER_MS

    with patch.object(Direct, "heard", leave):
        yield


@bug(promises.OWN_WAY, promises.LOST, is_of_own_way=True)
def a_network_without_datagrams_never_asked_otherwise() -> Iterator[None]:
    def make(send: Any) -> Any:
        return lambda self, name, now_ms, kind, wait_s, _, n, again: send(
            self, name, now_ms, kind, wait_s, False, n, again
        )

    with instead(DirectApp, "_send", make):
        yield


@bug(promises.ON_AIR, is_of_own_way=True)
def a_code_off_the_air_once_another_way_has_brought_it() -> Iterator[None]:
    def make(receipt: Any) -> Any:
        return lambda self, stage, now_ms, _=BLUETOOTH: receipt(self, stage, now_ms, BLUETOOTH)

    with instead(Press, "receipt", make):
        yield


@bug(promises.SOUND, is_of_own_way=True)
def a_carrier_that_takes_the_program_with_it() -> Iterator[None]:
    def unguarded(self: Any, name: str, work: Any, *args: Any) -> None:
        work(name, *args)

    def step(self: Any) -> None:
        if self._load_direct and self.may_block():
            self._begin_direct()
        if self.direct:
            self.direct.step()

    with patch.object(DirectApp, "_guarded", unguarded), patch.object(App, "_step_direct", step):
        yield


@bug(promises.LOST, promises.OWN_WAY, promises.LATE, is_of_own_way=True)
def a_rest_that_lasts_as_long_as_the_button_is_awake() -> Iterator[None]:
    with patch.object(DirectApp, "wake_ms", lambda _: NEVER_MS):
        yield
