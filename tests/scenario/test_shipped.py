"""The shipped scenarios hold, against the real firmware, bridge and centre; a broken one is told broken."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sim.app import main
from sim.scenarios.files import shipped

# What a laptop can play in a few seconds each; `make test-slow` plays the others.
QUICK = ("one-press",)


def amr_sim(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sim.app", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(120)
def test_a_scenario_is_played_judged_and_reported(tmp_path: Path) -> None:
    """Exit code, three reports, and no key in any of them."""
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "html")}
    done = amr_sim(*QUICK, *(word for kind, path in files.items() for word in (f"--{kind}", path)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.endswith("1 of 1 scenario(s) held\n")
    first = json.loads(files["json"].read_text())[0]
    assert first["holds"]
    assert set(first["presses"][0]["stages_ms"]) >= {"taken", "heard", "received", "confirmed", "closed"}
    suites = ElementTree.fromstring(files["junit"].read_text())  # noqa: S314  our own
    assert [suite.get("failures") for suite in suites] == ["0"]
    page = files["html"].read_text()
    assert page.count("<figure>") == 1
    for text in (page, files["json"].read_text(), done.stdout):
        assert "#" not in "".join(line for line in text.splitlines() if "/e#" in line)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_promise_that_is_broken_is_the_exit_code(tmp_path: Path) -> None:
    """Nobody can confirm a press within a millisecond; and what never came about has shown nothing."""
    text = (Path(shipped()[0]).parent / "no-position.toml").read_text().replace("10_000", "1")
    text = text.replace("ends_after_ms = 30_000", "ends_after_ms = 5_000")
    scenario = tmp_path / "too-soon.toml"
    scenario.write_text(f'{text}[[fault]]\nwhat = "power_cut"\nwho = "button"\nafter = "closed"\n')
    done = amr_sim(scenario, "--quiet", "--junit", tmp_path / "junit.xml")
    assert done.returncode == 1
    assert "BROKEN press 1 confirmed" in done.stdout
    assert (
        "BROKEN power_cut: it never came to that: waits for press 1 to be closed; the play ended"
        in done.stdout
    )
    assert 'failures="3"' in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "there is no scenario nowhere"),
        ([], "name a scenario"),
        (["one-press", "--json", "nowhere/report.json"], "there is no folder nowhere"),
        (["one-press", "--html", "/"], "is a folder"),
        (["one-press", "{wrong}"], "line 1: there is no `titel` (did you mean title?)"),
    ],
)
def test_what_cannot_be_read_starts_nothing(
    tmp_path: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even the right ones beside it; one sentence, exit code 2."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('titel = "x"\n')
    assert main(["run", *(word.format(wrong=wrong) for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err


SLOW = [path.stem for path in shipped() if path.stem not in QUICK]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", [SLOW[n : n + 2] for n in range(0, len(SLOW), 2)], ids=" ".join)
def test_every_shipped_scenario_holds(names: list[str]) -> None:
    """Each in a world of its own; two side by side, as they wait most of the time."""
    done = amr_sim(*names, "--at-once", 2)
    assert done.returncode == 0, done.stdout + done.stderr
