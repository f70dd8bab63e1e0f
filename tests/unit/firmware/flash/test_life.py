"""Battery life: the firmware in virtual time, a table of currents with sources, one sentence per mistake."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from firmware.board.press import Life
from firmware.flash import app, direct_life, life
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import KINDS
from wire.codes import ALIVE, CONTACT

ROOT = Path(__file__).resolve().parents[4]
# What a capability is called on a board's page.
ROWS = {
    "fresh_address": "a new random address per event",
    "deep_sleep": "deep sleep between events",
    "rtc_memory": "memory through deep sleep and reset (RTC memory)",
    "battery": "battery voltage",
    "wifi": "Wi-Fi, or a modem at a UART, for a button without a phone",
}
TABLE = tomllib.loads(life.CURRENTS.read_text())
BOARDS = list(TABLE["boards"])
SOURCES = (
    "data sheet",
    "measured",
    "assumed",
    "computed",
    "as the",
    "percent a month; Battery",
    "no deep sleep",
)


def days(board: str = "esp32", mah: float = 500, period_s: float = 900, presses: float = 2) -> life.Triple:
    currents = life.Currents(board)
    return life.days_of(currents, mah, life.estimate(currents, mah, period_s, presses))


def command(*words: str) -> int:
    try:
        return app.main(["life", *words])
    except SystemExit as ended:  # what argparse does with what it does not understand
        return int(ended.code or 0)


def test_two_days_hold_the_signs_of_life_that_the_setting_says() -> None:
    """96 slots a day at 15 min +-20 %, one of them the check-in; each on the air for 2 to 4 s."""
    uses = life.live(Life(), 900, 2 * 86_400_000)
    assert 180 <= uses[ALIVE].wakes <= 205
    assert 2 <= uses[CONTACT].wakes <= 3
    assert 2_800 < sum(uses[ALIVE].air_ms.values()) / uses[ALIVE].wakes < 3_200
    assert set(uses[ALIVE].air_ms) == {152_500}


def test_an_open_alarm_costs_more_than_a_closed_one_and_that_more_than_a_test() -> None:
    """20 ms adverts until it is heard, the link, a CONTACT every minute until it is closed."""
    awake_ms = [sum(life.one_press(level).air_ms.values()) for level in life.LEVELS]
    assert awake_ms == sorted(awake_ms)
    assert life.one_press(life.LOW).air_ms == {20_000: 1_000}
    assert life.one_press(life.TYPICAL).air_ms[20_000] == 11_000
    assert 600_000 < awake_ms[life.TYPICAL] < 700_000
    assert life.one_press(life.HIGH).wakes > 100


@pytest.mark.parametrize("board", BOARDS)
def test_a_life_is_plausible_on_every_board(board: str) -> None:
    """Low to high; longer with a larger battery and a longer period, shorter with more presses."""
    shortest, typical, longest = days(board)
    assert 1 < shortest < typical < longest < 3650
    assert days(board, mah=1000)[1] > typical
    assert days(board, period_s=3600)[1] > typical
    assert days(board, presses=100)[1] < typical


def test_an_hour_on_the_air_is_charged_as_measured_by_others() -> None:
    """An ESP32 at 20 ms takes some 5 mA more than at 10 s (espressif/esp-idf#753)."""
    currents = life.Currents("esp32")

    def hour(interval_us: int) -> float:
        return currents.mah(life.Use(air_ms={interval_us: 3_600_000}), life.TYPICAL)

    assert 3 < hour(20_000) - hour(10_000_000) < 12
    assert hour(10_000_000) == pytest.approx(TABLE["boards"]["esp32"]["air_ma"][1], abs=0.1)


def test_the_direct_path_adds_a_few_percent_to_a_day_and_an_alarm_costs_its_sessions() -> None:
    """Two hours of polling are what an open alarm costs; a check-in a day is less than the signs of life."""
    currents = life.Currents("esp32")
    for way in direct_life.WAYS:
        rows = {row.what.split(",")[0]: row for row in life.direct_rows(currents, 30.4, [way])}
        checkin, alarm = rows["check-in"].mah, rows["alarm direct"].mah
        assert all(0.01 < mah < 0.3 for mah in checkin)
        assert alarm[life.LOW] < alarm[life.TYPICAL] < alarm[life.HIGH]
        assert 0.5 < alarm[life.TYPICAL] < 5
        assert ("rest" in rows) == (way in direct_life.MODEMS)
    assert days("esp32", presses=0)[1] > 0


@pytest.mark.parametrize("carrier", ["wifi", "lte"])
def test_an_open_alarm_comes_up_less_and_less_often(carrier: str) -> None:
    """At once and held for two minutes; then each minute; then every five, until two hours are over."""
    test, half_hour, two_hours = (direct_life.of_level(carrier, level) for level in life.LEVELS)
    assert test.count == 1
    assert 120 <= half_hour.waited_s < 240
    assert 10 <= half_hour.count <= 16
    assert 15 <= two_hours.count - half_hour.count <= 20


PARTS = {"common": TABLE["common"], **TABLE["boards"], **TABLE["direct"]}


@pytest.mark.parametrize("part", PARTS)
def test_every_current_is_a_range_and_says_where_it_is_from(part: str) -> None:
    """A data sheet's table, a measurement with its place, or plainly `assumed`."""
    entries = PARTS[part]
    for name in [name for name in entries if not name.endswith("_from")]:
        low, typical, high = entries[name]
        assert 0 <= low <= typical <= high, name
        source = entries[f"{name}_from"]
        assert any(word in source for word in SOURCES) or re.search(r"\w+#\d+", source), (name, source)


def test_the_command_prints_the_table_and_draws_the_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Per event times a day, awake time and mAh; the life with its range; the sources; a PNG."""
    picture = tmp_path / "life.png"
    wanted = ("--board", "esp32", "--battery", "500mAh", "--alive", "15min", "--plot", str(picture))
    assert command(*wanted) == 0
    said = capsys.readouterr().out
    for what in (
        "sign of life (ALIVE)",
        "daily check-in (CONTACT)",
        "press",
        "self-discharge",
        "all together",
    ):
        assert re.search(rf"^{re.escape(what)}.*\d+\.\d+ +\d+\.\d+ +\d+\.\d+$", said, re.MULTILINE), what
    assert re.search(r"^life of 500 mAh: \d+ days \(\d+ to \d+\)$", said, re.MULTILINE)
    assert "data sheet ESP32" in said
    assert "MicroPython VM" in said
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert len(image.convert("P").getcolors() or []) > 3  # not blank


@pytest.mark.parametrize(
    "words",
    [
        ("--battery", "500"),
        ("--battery", "500Wh"),
        ("--battery", "-500mAh"),
        ("--battery", "0mAh"),
        ("--battery", "1e9Ah"),
        ("--battery", "500mAh", "--alive", "15"),
        ("--battery", "500mAh", "--alive", "1s"),
        ("--battery", "500mAh", "--alive", "3days"),
        ("--battery", "500mAh", "--presses-per-month", "nan"),
        ("--battery", "500mAh", "--presses-per-month", "-1"),
        ("--battery", "500mAh", "--plot", "life.jpg"),
        ("--battery", "500mAh", "--board", "arduino"),
        (),
    ],
)
def test_a_wrong_unit_or_value_gets_a_sentence(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, nothing computed, and what to write instead."""
    assert command(*words) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert "error: " in printed.err.splitlines()[-1]


def test_a_picture_that_cannot_be_written_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1."""
    assert command("--battery", "500mAh", "--plot", str(tmp_path / "nowhere" / "life.png")) == 1
    assert "cannot write" in capsys.readouterr().err


def test_without_measured_times_there_is_no_estimate(tmp_path: Path) -> None:
    """Neither with a file that holds something else."""
    (tmp_path / "awake.json").write_text("[]")
    for name in ("awake.json", "none.json"):
        with pytest.raises(CommandError, match="make bench"):
            life.Currents("esp32", tmp_path / name)


@pytest.mark.parametrize("board", KINDS)
def test_every_board_has_a_page_that_says_what_its_firmware_says(board: str) -> None:
    """docs/boards/BOARD.md, linked from the guide; CAPABILITIES of its firmware are rows of its table."""
    assert f"(boards/{board}.md)" in (ROOT / "docs" / "integrators.md").read_text()
    assert board in BOARDS
    page = (ROOT / "docs" / "boards" / f"{board}.md").read_text()
    source = (ROOT / "firmware" / "board" / "boards" / f"{KINDS[board].family}.py").read_text()
    found = re.search(r"^CAPABILITIES = (\{.*?\})", source, re.MULTILINE | re.DOTALL)
    assert found
    capabilities = ast.literal_eval(found[1])
    for name, row in ROWS.items():
        answer = re.search(rf"^\| {re.escape(row)} \| (yes|\*\*no\*\*)", page, re.MULTILINE)
        assert answer, (board, row)
        assert (answer[1] == "yes") == capabilities[name], (board, row)
    if board == "esp32c3":  # it has no ext0
        assert ("Not yet for the firmware" in page) == ("wake_on_gpio" not in source)
