"""`amr-sim explore` as a program: what it says, its exit codes, and Ctrl-C."""

import re
import shlex
import signal
import subprocess
import sys

import pytest

from sim.app import main
from tests.scenario.bugs import BUGS

AMR_SIM = [sys.executable, "-m", "sim.app"]


def test_a_clean_exploration_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """And says how many it played."""
    assert main(["explore", "--seeds", "12", "--seed", "500", "--cores", "2"]) == 0
    assert "all promises kept in 12 schedules" in capsys.readouterr().out


def test_a_broken_promise_ends_with_1_and_can_be_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """With the seed, the promise, the smallest schedule, and a command that shows the same again."""
    (bug,) = [bug for bug in BUGS if bug.name == "a contact that is not fresh"]
    with bug.seeded():
        assert main(["explore", "--seeds", "20", "--cores", "1"]) == 1
        said = capsys.readouterr().out
        assert re.search(r"BROKEN, with seed \d+: no counter is used twice", said)
        command = shlex.split(said.splitlines()[-1])
        assert command[:3] == ["amr-sim", "explore", "--play"]
        assert main(command[1:]) == 1
        assert "BROKEN at" in capsys.readouterr().out
    assert main(command[1:]) == 0


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
