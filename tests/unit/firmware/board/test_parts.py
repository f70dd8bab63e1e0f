"""The button's smaller parts: peers, vibration, memory, settings."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board import config, memory
from firmware.board.feedback import PATTERNS, Feedback
from firmware.board.memory import Memory, sealed
from firmware.board.peers import PEERS_MAX, Peers
from firmware.board.press import NOT_CONFIRMED, TAKEN, Life
from wire.codes import ALARM, SPARE_FIRST
from wire.receipts import ACKNOWLEDGED, CLOSED, DISPATCHED, HEARD, RECEIVED

# -- peers -------------------------------------------------------------------------------


def test_a_stranger_is_let_go_after_five_seconds_and_a_bridge_stays() -> None:
    """Who proves nothing does not stay."""
    peers = Peers()
    peers.connected(1, 0)
    peers.connected(2, 1000)
    peers.proved(2, HEARD)
    assert (peers.expired(4999), peers.expired(5000), peers.expired(60_000)) == ([], [1], [])
    assert peers.count() == 1


def test_a_fourth_peer_gets_in_and_the_oldest_stranger_goes() -> None:
    """Three strangers who stay cannot keep a bridge out."""
    peers = Peers()
    assert [peers.connected(n, n) for n in range(PEERS_MAX)] == [None] * PEERS_MAX
    assert peers.connected(9, 10) == 0


def test_bridges_are_never_let_go_for_a_newcomer() -> None:
    """With three bridges linked, it is the newcomer that goes."""
    peers = Peers()
    for n in range(PEERS_MAX):
        peers.connected(n, n)
        peers.proved(n, RECEIVED)
    assert peers.connected(9, 10) == 9


def test_links_that_only_repeat_heard_cannot_keep_out_one_that_brings_a_receipt() -> None:
    """HEARD can be overheard and repeated; the oldest of those goes, after all strangers."""
    peers = Peers()
    for n in range(PEERS_MAX):
        peers.connected(n, n)
        peers.proved(n, HEARD)
    peers.proved(1, RECEIVED)
    assert peers.connected(9, 10) == 0
    peers.disconnected(0)
    assert (peers.count(), peers.carriers()) == (3, 1)


# -- vibration ---------------------------------------------------------------------------


def pulses(feedback: Feedback, until_ms: int) -> list[tuple[int, int]]:
    """`(on_ms, length_ms)` of each pulse."""
    return pulses_at(feedback, range(until_ms))


def pulses_at(feedback: Feedback, ticks_ms: Iterable[int]) -> list[tuple[int, int]]:
    """`(on_ms, length_ms)` of each pulse, for a loop that comes round at `ticks_ms`."""
    pulses, since_ms = [], None
    for now_ms in ticks_ms:
        on = feedback.tick(now_ms)
        if on and since_ms is None:
            since_ms = now_ms
        elif not on and since_ms is not None:
            pulses.append((since_ms, now_ms - since_ms))
            since_ms = None
    return pulses


def test_no_two_patterns_can_be_mistaken() -> None:
    """They differ in the number of pulses, or in their length by a factor of three."""
    said = {TAKEN, RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED, NOT_CONFIRMED}
    assert set(PATTERNS) == said
    shapes = [(len(pattern) // 2 + 1, pattern[0]) for pattern in PATTERNS.values()]
    for n, (count, length_ms) in enumerate(shapes):
        for other_count, other_ms in shapes[n + 1 :]:
            assert count != other_count or max(length_ms, other_ms) >= 3 * min(length_ms, other_ms)


def test_the_quiet_profile_has_the_same_pulses_at_half_the_length() -> None:
    """Their number still tells the stage."""
    feedback = Feedback(quiet=True)
    feedback.play(RECEIVED)
    assert pulses(feedback, 1000) == [(0, 60), (220, 60)]


def test_a_pulse_that_a_late_loop_began_late_is_felt_all_the_same() -> None:
    """Held up for 130 ms at the wrong moment, RECEIVED is still two pulses."""
    feedback = Feedback()
    feedback.play(RECEIVED)
    assert pulses_at(feedback, (0, 120, 410, 420, 530, 600)) == [(0, 120), (410, 120)]


@pytest.mark.parametrize("name", list(PATTERNS))
@given(waits_ms=st.lists(st.integers(1, 900), min_size=40, max_size=40))
def test_however_late_the_loop_is_a_pattern_is_never_another_word(name: object, waits_ms: list[int]) -> None:
    """Each pulse and each pause lasts at least its length; none is skipped."""
    feedback = Feedback()
    feedback.play(name)
    ticks_ms = list(itertools.accumulate(waits_ms))
    ticks_ms += range(ticks_ms[-1], ticks_ms[-1] + 3000)
    shape = PATTERNS[name]
    felt = pulses_at(feedback, ticks_ms)
    assert len(felt) == len(shape[::2])
    for (_, length_ms), wanted_ms in zip(felt, shape[::2], strict=True):
        assert length_ms >= wanted_ms
    for (on_ms, length_ms), (next_ms, _), wanted_ms in zip(felt, felt[1:], shape[1::2], strict=False):
        assert next_ms - on_ms - length_ms >= wanted_ms


def test_patterns_wait_for_each_other_with_a_pause() -> None:
    """A receipt that comes within the taken pulse is felt after it, apart from it."""
    feedback = Feedback()
    feedback.play(TAKEN)
    feedback.tick(0)
    feedback.play(RECEIVED)
    assert pulses(feedback, 2000) == [(0, 60), (460, 120), (740, 120)]


def test_a_receipt_in_the_pause_still_waits_for_its_end() -> None:
    """Otherwise two patterns would be felt as one."""
    feedback = Feedback()
    feedback.play(TAKEN)
    assert pulses(feedback, 100) == [(0, 60)]
    feedback.play(RECEIVED)
    assert pulses(feedback, 2000)[0][0] == 460


def test_the_motor_stops_by_itself_however_long_nothing_looked() -> None:
    """A loop that was busy does not leave the motor running."""
    feedback = Feedback()
    feedback.play(CLOSED)
    assert feedback.tick(0)
    assert (feedback.tick(5000), feedback.due_ms()) == (False, None)


def test_a_new_press_is_felt_before_what_was_still_to_be_said_of_the_last() -> None:
    """Nobody who has just pressed again is told that help comes for the press before."""
    feedback = Feedback()
    feedback.play(ACKNOWLEDGED)
    feedback.tick(0)
    feedback.play(DISPATCHED)
    feedback.play(TAKEN)
    assert [length_ms for _, length_ms in pulses(feedback, 5000)] == [120, 120, 120, 60]


# -- memory ------------------------------------------------------------------------------


class Rtc:
    """RTC memory as `machine.RTC` gives it; power loss empties it."""

    def __init__(self) -> None:
        self.content = b""

    def memory(self, content: bytes | None = None) -> bytes:
        if content is not None:
            self.content = content
        return self.content


@pytest.fixture
def flash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The board's root folder is a folder of the test's."""
    monkeypatch.setattr(memory, "PRESS_FILE", str(tmp_path / "press.bin"))
    monkeypatch.setattr(memory, "ALIVE_FILE", str(tmp_path / "alive.bin"))
    (tmp_path / "press.bin").write_bytes(sealed(">IBB", 0, 0, 0))
    (tmp_path / "alive.bin").write_bytes(sealed(">I", 32))
    return tmp_path


def opened() -> Life:
    life = Life()
    life.press_counter, life.event, life.alive_counter, life.alive_reserve = 7, ALARM, 40, 64
    life.unsaved = 3
    life.opened_ms, life.alive_ms, life.told_not_confirmed = 1 << 40, (1 << 40) + 5, True
    return life


def test_deep_sleep_keeps_the_whole_life(flash: Path) -> None:
    """Everything in Life comes back from RTC memory."""
    rtc = Rtc()
    kept = Memory(rtc, lambda: 0)
    kept.save_press(opened())
    kept.save(opened())
    again = Memory(rtc, lambda: 0)
    assert vars(again.load()) == vars(opened())
    assert not again.power_lost


def test_power_loss_keeps_the_open_press_and_skips_to_the_reserve(flash: Path) -> None:
    """The counter, the press and the stage from flash; the alive counter from its reserve."""
    kept = Memory(Rtc(), lambda: 0)
    kept.save_press(opened())
    kept.save_alive(opened())
    again = Memory(Rtc(), lambda: 0)
    life = again.load()
    assert again.power_lost
    assert (life.press_counter, life.event, life.alive_counter + 1) == (7, ALARM, 64)


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "longer"])
def test_a_damaged_file_after_power_loss_is_lost_counters(flash: Path, damage: str) -> None:
    """Reported, and the next press is drawn from the spare range by press.py."""
    path = flash / "press.bin"
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": good[:-1], "flipped": b"\x01" + good[1:], "longer": good + b"x"}[damage])
    assert Memory(Rtc(), lambda: 0).load().counters_lost


def test_lost_counters_stay_lost_and_alive_goes_to_the_spare_range(flash: Path) -> None:
    """Until it is provisioned again; RTC memory remembers."""
    (flash / "press.bin").unlink()
    (flash / "alive.bin").unlink()
    rtc = Rtc()
    first = Memory(rtc, lambda: 3)
    life = first.load()
    assert life.alive_counter == SPARE_FIRST + 3
    first.save(life)
    assert Memory(rtc, lambda: 3).load().counters_lost


def test_damaged_rtc_memory_is_power_loss(flash: Path) -> None:
    """One wrong byte, and flash decides."""
    rtc = Rtc()
    Memory(rtc, lambda: 0).save(opened())
    rtc.content = rtc.content[:-1] + bytes((rtc.content[-1] ^ 1,))
    again = Memory(rtc, lambda: 0)
    again.load()
    assert again.power_lost


@pytest.mark.parametrize("flash_is_ahead", [True, False])
def test_the_greater_counter_wins(flash: Path, flash_is_ahead: bool) -> None:
    """A reset between two writes, or a flash that failed: the counter never goes back."""
    rtc = Rtc()
    kept = Memory(rtc, lambda: 0)
    ahead, behind = opened(), opened()
    behind.press_counter, behind.event = 6, 0
    kept.save_press(ahead if flash_is_ahead else behind)
    kept.save(behind if flash_is_ahead else ahead)
    life = Memory(rtc, lambda: 0).load()
    assert (life.press_counter, life.event) == (7, ALARM)


def test_a_press_that_flash_alone_knows_has_none_of_the_times_of_the_one_before(flash: Path) -> None:
    """Reset between flash and RTC memory: it is not told as hours old."""
    rtc = Rtc()
    memory_of_board = Memory(rtc, lambda: 0)
    before, now = opened(), opened()
    now.press_counter, now.told_not_confirmed = 8, False
    memory_of_board.save(before)
    memory_of_board.save_press(now)
    life = Memory(rtc, lambda: 0).load()
    assert (life.press_counter, life.is_undated, life.told_not_confirmed) == (8, True, False)


def test_flash_remembers_that_not_confirmed_was_told_and_that_power_was_lost(flash: Path) -> None:
    """Neither is told or begun anew at the next loss of power."""
    life = opened()
    life.stage, life.told_not_confirmed, life.age_is_lower_bound = DISPATCHED, True, True
    Memory(Rtc(), lambda: 0).save_press(life)
    again = Memory(Rtc(), lambda: 0).load()
    assert (again.stage, again.told_not_confirmed, again.age_is_lower_bound) == (DISPATCHED, True, True)


def test_what_flash_could_not_take_is_not_undone_by_what_it_still_holds(flash: Path) -> None:
    """RECEIVED is in RTC memory alone: after deep sleep the press is not opened again."""
    rtc = Rtc()
    kept = Memory(rtc, lambda: 0)
    kept.save_press(opened())
    received = opened()
    received.stage = RECEIVED
    kept.save(received)
    assert Memory(rtc, lambda: 0).load().stage == RECEIVED


def test_a_spare_counter_read_back_after_power_loss_is_still_a_fault(flash: Path) -> None:
    """It goes on saying that its counters are lost."""
    life = opened()
    life.press_counter = SPARE_FIRST + 5
    Memory(Rtc(), lambda: 0).save_press(life)
    assert Memory(Rtc(), lambda: 0).load().counters_lost


# -- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hold_ms", "defaulted"),
    [
        ("{}", 2000, False),
        ('{"hold_ms": 3000}', 3000, False),
        ('{"hold_ms": 10}', 2000, True),
        ('{"hold_ms": "long"}', 2000, True),
        ('{"colour": 1}', 2000, True),
        ("[1]", 2000, True),
        ("{hold", 2000, True),
    ],
)
def test_a_bad_setting_is_its_default_and_said(
    tmp_path: Path, text: str, hold_ms: int, defaulted: bool
) -> None:
    """The button works with whatever the file holds."""
    path = tmp_path / "config.json"
    path.write_text(text)
    settings, was_defaulted = config.load_settings({"button_gpio": 4}, str(path))
    assert (settings["hold_ms"], was_defaulted) == (hold_ms, defaulted)
    assert settings["button_gpio"] == 4  # the board's own default


@pytest.mark.parametrize("text", ['{"button_gpio": 26, "motor_gpio": 26}', '{"motor_gpio": 4}'])
def test_the_motor_is_never_at_the_buttons_pin(tmp_path: Path, text: str) -> None:
    """Such a button could not be pressed; both go back to the board's own pins."""
    path = tmp_path / "config.json"
    path.write_text(text)
    settings, was_defaulted = config.load_settings({"button_gpio": 4}, str(path))
    assert (settings["button_gpio"], settings["motor_gpio"], was_defaulted) == (4, 25, True)


@pytest.mark.parametrize("text", ["", "{}", '{"device_id": "A", "root": "00", "epoch": 0}', '{"root": 1}'])
def test_without_an_identity_it_is_no_button(tmp_path: Path, text: str) -> None:
    """Said plainly, not guessed."""
    path = tmp_path / "identity.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="not provisioned"):
        config.load_identity(str(path))


def test_identity_is_read(tmp_path: Path) -> None:
    """Name, root and epoch."""
    path = tmp_path / "identity.json"
    path.write_text(json.dumps({"device_id": "ABCDEFGHIJKLMNOP", "root": "11" * 32, "epoch": 0}))
    assert config.load_identity(str(path)).root == b"\x11" * 32
