"""`amr-sim explore` as a program: what it says, its exit codes, and Ctrl-C."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sim.app import main
from sim.scenarios.files import load
from sim.scenarios.model import read
from sim.virtual.fault_script import Schedule, Step, draw
from sim.virtual.scenario_file import as_schedule, as_toml
from sim.virtual.verdict import play
from tests.scenario.bugs import BUGS

AMR_SIM = [sys.executable, "-m", "sim.app"]


def test_a_clean_exploration_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """And says how many it played."""
    assert main(["explore", "--seeds", "12", "--seed", "500", "--cores", "2"]) == 0
    assert "all promises kept in 12 schedules" in capsys.readouterr().out


def test_a_broken_promise_ends_with_1_and_can_be_replayed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the seed, the promise, the smallest schedule, and a command that shows the same again."""
    monkeypatch.chdir(tmp_path)
    (bug,) = [bug for bug in BUGS if bug.name == "a contact that is not fresh"]
    with bug.seeded():
        assert main(["explore", "--seeds", "20", "--cores", "1"]) == 1
        said = capsys.readouterr().out
        assert re.search(r"BROKEN, with seed \d+: no counter is used twice", said)
        command = shlex.split(next(line for line in said.splitlines() if "--play '{" in line))
        assert command[:3] == ["amr-sim", "explore", "--play"]
        assert main(command[1:]) == 1
        assert "BROKEN at" in capsys.readouterr().out
        (scenario,) = tmp_path.glob("broken-*.toml")
        assert f"the same as a scenario file: {scenario.name}" in said
        assert main(["explore", "--play", scenario.name]) == 1
    assert main(command[1:]) == 0
    assert main(["explore", "--play", scenario.name]) == 0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_breaks_in_virtual_time_breaks_on_real_parts(tmp_path: Path) -> None:
    """The same file in both worlds, with the same bug the same promise; and without it neither."""
    (bug,) = [bug for bug in BUGS if bug.name == "a dedupe on the wrong key"]
    schedule = Schedule(1, (Step(1, "hold", "button"), Step(14, "hold", "button")), minutes=0.6)
    scenario = tmp_path / "twice.toml"
    scenario.write_text(as_toml(schedule, "Pressed twice", "Two presses are two incidents."))
    with bug.seeded():
        broken = {one.promise for one in play(as_schedule(load(scenario)))}
    with_bug, without = played(scenario, bug.name), played(scenario, "")
    assert broken & set(bug.breaks)
    found = {promise for promise in broken if f"BROKEN {promise}" in with_bug.stdout}
    assert found & set(bug.breaks), with_bug.stdout + with_bug.stderr
    assert with_bug.returncode == 1
    assert without.returncode == 0, without.stdout + without.stderr


def played(scenario: Path, bug: str) -> "subprocess.CompletedProcess[str]":
    """Run a scenario; each of its processes begins with the bug in it."""
    start = scenario.parent / "with-bug"
    start.mkdir(exist_ok=True)
    (start / "sitecustomize.py").write_text(_SEED_IT)
    paths = {"PYTHONPATH": f"{start}:{ROOT}", "AMR_TEST_BUG": bug} if bug else {}
    command = [*AMR_SIM, "run", str(scenario), "--quiet"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | paths, cwd=ROOT
    )


ROOT = Path(__file__).parents[2]
_SEED_IT = """
import os, sys
if "serve" in sys.orig_argv:
    from tests.scenario.bugs import BUGS
    kept = next(one for one in BUGS if one.name == os.environ["AMR_TEST_BUG"]).seeded()
    kept.__enter__()
"""


def test_a_schedule_survives_being_a_scenario_file() -> None:
    """And being read again, whatever is in it."""
    for seed in range(300):
        text = as_toml(draw(seed), "title", "about")
        assert as_toml(as_schedule(read(text)), "title", "about") == text, seed


def test_what_one_world_does_not_have_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By either, before anything is played; and the other one is named."""
    assert main(["explore", "--play", "cellar"]) == 2
    assert "no walls" in capsys.readouterr().err
    assert main(["explore", "--play", "certificate-expired"]) == 2
    assert "virtual time has no certificate_expired: amr-sim run" in capsys.readouterr().err
    virtual = tmp_path / "virtual.toml"
    virtual.write_text(as_toml(Schedule(1, (Step(9, "flash_fails", "button", 5),)), "t", "a"))
    assert main(["run", str(virtual)]) == 2
    told = capsys.readouterr().err
    assert "only virtual time has flash_fails: amr-sim explore --play" in told
    assert re.search(r"line \d+:", told)


@pytest.mark.parametrize(
    "wrong",
    [("--minutes", "1"), ("--seeds", "0"), ("--seed", "soon"), ("--play", "{}"), ("--for", "0")],
)
def test_wrong_usage_ends_with_2(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence, and nothing played."""
    try:
        code = main(["explore", *wrong])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    assert code == 2
    assert err
    assert "kept" not in out


def test_it_ends_when_its_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    """As many as fit."""
    assert main(["explore", "--seeds", "1000000", "--seed", "today", "--for", "0.5", "--cores", "1"]) == 0
    assert re.search(r"from seed 20\d{11},", capsys.readouterr().out)


def test_ctrl_c_ends_it_at_once() -> None:
    """Without a trace, with 130, and its processes with it."""
    command = [*AMR_SIM, "explore", "--seeds", "1000000", "--cores", "2"]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stdout
    assert "1000000 schedules" in program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in out + err
