"""What is recorded on the air is heard again by the real bridge, with nobody there any more."""

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim.app import main
from sim.physics.medium import Medium
from sim.radio.air import Air
from sim.radio.bleak_backend import backends
from sim.recording.lines import read
from sim.recording.record import from_adapter, from_air
from tests.unit.bridge.air_button import AirButton
from wire import codes
from wire.codes import ALARM, ALIVE, TEST
from wire.keys import Mac, derive

ROOT = bytes([1]) * 32
DEVICE_ID = "AAAAAAAAAAAAAAAA"
STRANGERS_NUMBER = 2  # a button of somebody else's


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry.jsonl"
    line = {
        "device_id": DEVICE_ID,
        "root": ROOT.hex(),
        "enrolment_sha256": hashlib.sha256(b"code").hexdigest(),
        "kind": "button",
        "board": "esp32",
    }
    path.write_text(json.dumps(line) + "\n")
    return path


def tape(path: Path, *said: tuple[float, int, int, int]) -> Path:
    """A recording of `(at_ms, button's number, event, counter)`."""
    lines: list[dict[str, object]] = [{"kind": "amr-adverts", "version": 1, "source": "air"}]
    for at_ms, number, event, counter in said:
        code = codes.code(Mac(derive(bytes([number]) * 32, "code")), event, counter)
        address = f"C0:00:00:00:{number:02X}:{counter % 256:02X}"
        lines.append(
            {
                "at_ms": at_ms,
                "rssi_dbm": -50,
                "address": address,
                "address_type": "random",
                "kind": "ADV_IND",
                "data": codes.advert(code).hex(),
            }
        )
    lines.append({"end": True, "adverts": len(said)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def replayed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = main(["replay", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


async def test_a_press_on_the_air_is_recorded_and_heard_again(
    tmp_path: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a radio on the air and by an adapter; own pace and fast; its journal has it; no key in the file."""
    air = Air(Medium(1))
    host, port = await air.serve_hci()
    ours, other = AirButton(air), AirButton(air, STRANGERS_NUMBER, "other")
    await ours.say(ALARM, 7)
    await other.say(ALARM, 1)
    files = [tmp_path / "air.jsonl", tmp_path / "adapter.jsonl"]
    try:
        scanner, _ = backends(host, port, "adapter")
        await asyncio.gather(from_air(f"{host}:{port}", files[0], 0.6), from_adapter(files[1], 0.6, scanner))
    finally:
        ours.silence()
        other.silence()
        await air.close()
    capsys.readouterr()
    secrets = [ROOT.hex(), *(derive(ROOT, label).hex() for label in ("code", "heard", "state"))]
    for file in files:
        with file.open("rb") as opened:
            assert len({heard.address for heard in read(opened)}) == 2
        assert not any(secret in file.read_text() for secret in secrets)
        for pace in ([], ["--fast"]):
            code, told = await asyncio.to_thread(replayed, capsys, file, "--registry", registry, *pace)
            assert code == 0
            (event,) = told["events"]
            assert (event["name"], event["counter"], event["on_disk"]) == ("ALARM", 7, True)
            assert event["times"] > 5
            assert told["foreign_addresses"] == 1


def test_a_day_is_played_in_virtual_time(
    tmp_path: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signs of life that came on time and one that did not; presses in any order; a code that is past is
    nobody's any more."""
    quarter = 900_000
    said = [(n * quarter, 1, ALIVE, n + 1) for n in range(8)]
    said += [(8 * quarter, 1, TEST, 2), (8 * quarter + 1, 1, ALARM, 1), (8 * quarter + 2, 1, ALIVE, 3)]
    said += [(40 * quarter, 1, ALIVE, 10)]  # eight hours late: recorded, and played again
    path = tape(tmp_path / "day.jsonl", *said)
    code, told = replayed(capsys, path, "--registry", registry, "--fast")
    assert code == 0
    events = {(event["name"], event["counter"]): event for event in told["events"]}
    assert len(events) == 11
    assert [key for key, event in events.items() if event["stale"]] == [("ALIVE", 10)]
    assert events["ALARM", 1]["on_disk"]
    assert events["TEST", 2]["on_disk"]
    assert (events["ALIVE", 3]["times"], told["foreign"]) == (1, 1)


def test_what_a_registry_does_not_name_is_foreign(
    tmp_path: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A button of somebody else's has codes, too; counters that are too far ahead are named by hand."""
    path = tape(tmp_path / "tape.jsonl", (0, STRANGERS_NUMBER, ALARM, 1), (5, 1, ALIVE, 4005))
    _, told = replayed(capsys, path, "--registry", registry, "--fast")
    assert (told["events"], told["foreign"], told["of_codes_form"]) == ([], 2, 2)
    _, told = replayed(capsys, path, "--registry", registry, "--fast", "--counters", "0,4000")
    assert (len(told["events"]), told["foreign"]) == (1, 1)


def test_people_are_told_in_words(tmp_path: Path, registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each event, and what was nobody's."""
    path = tape(tmp_path / "tape.jsonl", (0, 1, ALARM, 1), (20, 1, ALARM, 1), (30, 2, TEST, 1))
    assert main(["replay", str(path), "--registry", str(registry), "--fast"]) == 0
    told = capsys.readouterr().out
    assert f"ALARM 1 of {DEVICE_ID}, 2 time(s) until 0.020 s, on disk" in told
    assert "foreign: 1 advert(s) of 1 address(es), 1 of them with a UUID of the form that codes have" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{cut}", "--registry", "{registry}"], "line 3: it ends here without a last line"),
        (["nowhere", "--registry", "{registry}"], "nowhere: No such file"),
        (["{good}", "--registry", "{good}"], "line 1: device_id must be"),
        (["{good}", "--registry", "nowhere"], "nowhere: No such file"),
        (["{good}", "--bridge-home", "nowhere"], "no button is enrolled in nowhere"),
        (["{good}", "--registry", "{registry}", "--centre", "https://x"], "goes with --bridge-home"),
        (["{good}", "--registry", "{registry}", "--journal", "{good}"], "is there already"),
    ],
)
def test_what_is_wrong_plays_nothing(
    tmp_path: Path, registry: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence with the line, exit code 2, and not half of a recording."""
    good = tape(tmp_path / "good.jsonl", (0, 1, ALARM, 1), (1, 1, ALARM, 1))
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(good.read_text().splitlines(keepends=True)[:-1]))
    names = {"good": good, "cut": cut, "registry": registry}
    assert main(["replay", *(word.format(**names) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, told in err) == ("", True), err


def test_an_air_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And so is a file that is."""
    assert main(["record", "--air", "127.0.0.1:1", "--to", str(tmp_path / "a")]) == 1
    assert "127.0.0.1:1 cannot be listened to" in capsys.readouterr().err
    assert main(["record", "--air", "127.0.0.1:1", "--to", str(tmp_path)]) == 2
    assert main(["record", "--scenario", "nowhere", "--to", str(tmp_path / "b")]) == 2
    assert "there is no scenario nowhere" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_scenario_is_recorded_and_replayed_with_its_own_registry(tmp_path: Path) -> None:
    """The whole of two women's alarms, from the command line."""
    tape_file, world = tmp_path / "tape.jsonl", tmp_path / "world"
    command = [sys.executable, "-m", "sim.app"]
    record = [*command, "record", "--scenario", "two-women", "--to", str(tape_file), "--keep", str(world)]
    subprocess.run(record, check=True)
    registries = sorted(world.glob("*/registry.jsonl"))
    assert len(registries) == 2
    named = [word for path in registries for word in ("--registry", str(path))]
    for pace in ([], ["--fast"]):
        done = subprocess.run(
            [*command, "replay", str(tape_file), *named, *pace, "--json"], check=True, capture_output=True
        )
        told = json.loads(done.stdout)
        assert sum(event["name"] == "ALARM" and event["on_disk"] for event in told["events"]) == 2
        assert told["foreign"] == 0
