"""An attacker beside a real button, bridge and centre: what he tries comes to nothing, and is told."""

import json
from pathlib import Path

import pytest

from sim.app import main
from sim.scenarios.files import SHIPPED


@pytest.mark.slow
def test_what_he_tries_against_a_press_is_told_and_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replay, forgery, jam and replay, reading, wrong receipts: no incident is invented, nothing is felt."""
    report = tmp_path / "report.json"
    code = main(["stalk", "no-position", "--hours", "0", "--json", str(report)])
    told = capsys.readouterr().out
    assert code == 0, told
    data = json.loads(report.read_text())
    assert data["holds"]
    came = {attempt["what"]: attempt["came"] for attempt in data["attempts"]}
    assert {attempt["succeeded"] for attempt in data["attempts"]} == {False}, told
    assert "nothing was counted" in came["replays the code of a press that was heard earlier"]
    assert "its age is told as unknown" in came["jams a press, and replays it later"]
    assert "20 sealed bytes" in came["connects and reads the state"]
    assert "nothing felt" in came["writes the centre's own receipt, of the press before"]
    assert "the button its receipt" in came["stops jamming"]
    press = data["overheard"][0]["answers"][2]
    assert press["right"] == 1
    for key in ("root", "k_code", "k_state"):
        assert key not in report.read_text()
    assert "What the stalker tries, and what comes of it" in told


def test_a_wrong_scenario_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with the line."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('titel = "x"\n')
    assert main(["stalk", str(wrong)]) == 2
    assert "line 1: there is no `titel`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["stalk", "one-press", "--hours", "99"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["one-press", "two-women", "pressed-again", "nobody", "button-destroyed"])
def test_he_succeeds_in_no_scenario(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where nobody is there, or nothing is left to attack."""
    assert (SHIPPED / f"{name}.toml").is_file()
    assert main(["stalk", name, "--hours", "1"]) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_owner_of_the_router_learns_nothing_of_a_press(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real board, real sockets and centre; the phone is off, and the press goes by the home's Wi-Fi."""
    report = tmp_path / "report.json"
    assert main(["stalk", "wifi-phone-off", "--hours", "0", "--json", str(report)]) == 0, (
        capsys.readouterr().out
    )
    (watched,) = json.loads(report.read_text())["watched"]
    assert watched["presses"] >= 1
    assert watched["leaks"] == []
    assert any("spoke in" in seen for seen in watched["seen"])
