"""A tester's mistake is told with its line, what was meant, and what is allowed; nothing is started."""

from importlib.metadata import version
from pathlib import Path

import pytest

from sim.app import main
from sim.faults import FAULTS, REAL
from sim.scenarios.describe import pages, vocabulary
from sim.scenarios.files import SHIPPED, CannotRead, find, load, shipped
from sim.scenarios.model import ACTS, EXPECTS, read
from sim.scenarios.toml_tables import Wrong
from tests.unit.sim.scenarios.parts import GOOD


def wrong(text: str) -> str:
    with pytest.raises(Wrong) as caught:
        read(text)
    return str(caught.value)


def test_a_small_scenario_is_read_with_its_defaults() -> None:
    """Nobody has to say what is usual."""
    scenario = read(GOOD)
    assert (scenario.seed, scenario.loss, scenario.ends_after_ms) == (0, 0.0, 60_000)
    assert scenario.buttons[0].settings == {"hold_ms": 500}
    assert scenario.acts[0].line == 11


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (
            '[[fault]]\nwhat = "network_cut"\nwho = "phone"\nfor_s = 3',
            "line 18: [[fault]] there is no `for_s`",
        ),
        ('[[fault]]\nwhat = "network_cutt"', 'did you mean "network_cut"?'),
        ('[[fault]]\nwhat = "network_cut"\nwho = "fone"', "'fone' is nobody here (did you mean phone?)"),
        ('[[fault]]\nwhat = "network_slow"\nwho = "phone"', "line 15: [[fault]] `latency_ms` is missing"),
        ('[[fault]]\nwho = "phone"', "line 15: [[fault]] `what` is missing"),
        (
            '[[fault]]\nwhat = "radio_loss"\nloss = 1.5',
            "line 17: [[fault]] `loss` is 1.5; a share",
        ),
        (
            '[[fault]]\nwhat = "radio_loss"\nloss = 1\nwho = "phone"',
            "line 18: `radio_loss` takes no `who`: it is everybody's air",
        ),
        ('[[act]]\ndoes = "press"\nwho = "button"\nat_ms = "1s"', "`at_ms` is '1s'; a whole number from 0"),
        ('[[act]]\ndoes = "press"\nwho = "button"\nat_ms = -1', "a whole number from 0 to"),
        ('[[act]]\ndoes = "press"\nwho = "button"\nat_ms = true', "a whole number from 0 to"),
        ('[[act]]\ndoes = "press"\nwho = "phone"', "'phone' is nobody here"),
        ('[[act]]\ndoes = "close"\nafter = "confirmed"', '`reason` goes with does = "close"'),
        ('[[act]]\ndoes = "press"\nwho = "button"\npin = "1234"', '`pin` goes with does = "call_off"'),
        ('[[expect]]\nwhat = "recieved"', 'did you mean "received"?'),
        ('[[expect]]\nwhat = "received"\npress = 2', "press 2: there are only 1"),
        ('[[expect]]\nwhat = "trouble"', '`reason` goes with what = "trouble"'),
        ('[[button]]\nname = "button"', "line 16: there is already somebody called button"),
        ('[[button]]\nname = "centre"', "a short name"),
        ('[[button]]\nname = "b"\ndirect = "maybe"', "`direct` is 'maybe'"),
        ('[[button]]\nname = "b"\ncarriers = ["wifi", "wifi"]', "each once"),
        ('[[button]]\nname = "b"\ncarriers = []', "each once"),
        ('[[fault]]\nwhat = "wifi_gone"\nwho = "phone"', "'phone' is nobody here"),
        ('[[button]]\nname = "b"\nsettings = { hold_ms = "x" }', "a table of whole numbers"),
        ('[[phone]]\nname = "p"\nbutton = "botton"', "'botton' is nobody here (did you mean button?)"),
        ('[[phone]]\nname = "p"\nbutton = "button"\nplace = [1]', "[x, y] in metres is allowed"),
        ('[[phone]]\nname = "p"\nbutton = "button"\nprofile = "iphone"', "allowed are desktop"),
        ("[[wall]]\ncorners = [1, 2, 3]\nloss_db = 3", "`corners` is [1, 2, 3]; [x1, y1, x2, y2] in metres"),
        ("[[wall]]\ncorners = [1, 2, 3, 4]", "line 15: [[wall]] `loss_db` is missing"),
        ("[[wall]]\ncorners = [1, 2, 3, 4]\nloss_db = -3", "a whole number from 1 to 100 dB"),
        ('[[fault]]\nwhat = "interference"\nbusy = [0.5, 2, 0]', "a share from 0 to 1 is allowed"),
        ('[[fault]]\nwhat = "interference"\nbusy = 0.5', "a list of 3 shares from 0 to 1"),
        (
            '[[expect]]\nwhat = "received"\ncount = 2',
            "`count` goes with incidents, fixes, refused, strangers",
        ),
        ('[[expect]]\nwhat = "incidents"\nwithin_ms = 5', "`within_ms` goes with taken,"),
        ('[[expect]]\nwhat = "heard"\nnever = true\nwithin_ms = 5', "leave `within_ms` out"),
        ('[[expect]]\nwhat = "heard"\nwithin_ms = 70_000', "all ends after 60000 (`ends_after_ms`)"),
        ('[[expect]]\nwhat = "closed"\nwho = "phone"', "'phone' is nobody here; allowed are centre"),
        ('[[expect]]\nwhat = "heard"\nwho = "phon"', "did you mean phone?"),
        (
            '[[fault]]\nwhat = "radio_loss"\nloss = 1\nat_ms = 60_000',
            "line 15: `at_ms` is 60000, and all ends",
        ),
        ('[[act]]\ndoes = "close"\nreason = "x"', "allowed are real, mis-press,"),
        ('[[act]]\ndoes = "call_off"\nwho = "phone"\npin = "1234"', "phone has no PIN: give it `pins`"),
        ('[[button]]\nname = "b"\nsettings = { hold = 500 }', 'did you mean "hold_ms"?'),
        (
            '[[button]]\nname = "b"\nsettings = { hold_ms = 5 }',
            "a whole number from 500 to 10000 for hold_ms",
        ),
        ('[[phone]]\nname = "p"\nbutton = "button"\npins = ["1234", "1234"]', "a PIN and another one"),
        ('[[phone]]\nname = "p"\nbutton = "button"\nfix = [500, 4, 25]', "of a place on Earth"),
        (
            '[[act]]\ndoes = "acknowledge"\nwho = "phone"',
            "line 17: `acknowledge` takes no `who`: some operator does it",
        ),
        ('[[act]]\ndoes = "call_off"\npin = 1234', 'a text is allowed: write it in quotes, "1234"'),
        (
            '[[fault]]\nwhat = "network_cut"\nwho = "phone"\nat_ms = 20_000\nfor_ms = 50_000',
            "line 15: network_cut would last until 70000",
        ),
        (
            '[[fault]]\nwhat = "button_reset"\nwho = "button"\nfor_ms = 500',
            "button_reset happens once: leave `for_ms` out",
        ),
        ("[phones]\nname = 1", "there is no `phones` (did you mean phone?)"),
        ("[act]\ndoes = 1", "not TOML"),
        ("[[expect]]\nwhat = ", "not TOML"),
    ],
)
def test_a_mistake_is_told_where_it_stands(added: str, told: str) -> None:
    """The line, what was meant, what is allowed."""
    assert told in wrong(GOOD + "\n" + added)


@pytest.mark.parametrize(
    ("walk", "told"), [(None, "No such file"), ("<gpx><trk>", "is not a GPX file"), ("", "is not a GPX file")]
)
def test_a_walk_that_is_missing_or_cut_is_told_before_anything_starts(
    walk: str | None, told: str, tmp_path: Path
) -> None:
    """With the line that names it."""
    if walk is not None:
        (tmp_path / "walk.gpx").write_text(walk)
    scenario = tmp_path / "mine.toml"
    scenario.write_text(GOOD.replace('button = "button"\n', 'button = "button"\ngpx = "walk.gpx"\n'))
    with pytest.raises(CannotRead) as caught:
        load(scenario)
    assert "line 10: [[phone]] `gpx`: " in str(caught.value)
    assert told in str(caught.value)


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    """And is not called missing."""
    with pytest.raises(CannotRead, match="is a folder"):
        find(str(tmp_path))


def test_a_scenario_without_a_button_is_none() -> None:
    """Nobody could press."""
    assert "nobody could press" in wrong('title = "x"\nabout = "y"\n')
    assert "`title` is missing" in wrong('about = "y"\n')


def test_a_text_is_not_taken_for_a_key() -> None:
    """`loss = 2` inside a text of several lines is a text."""
    text = GOOD.replace('about = "what it is about"', 'about = """\nloss = 2\n"""\nloss = 2')
    assert wrong(text).startswith("line 5: `loss` is 2")


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_every_shipped_scenario_can_be_read(path: Path) -> None:
    """And expects something."""
    scenario = load(path)
    assert scenario.expects
    assert not scenario.phones or all((path.parent / phone.gpx).exists() for phone in scenario.phones)


def test_at_least_25_are_shipped_and_every_kind_of_fault_and_act_is_in_one() -> None:
    """What can be written is also shown."""
    scenarios = [load(path) for path in shipped()]
    assert len(scenarios) >= 25
    can_be_played = {what for what, fault in FAULTS.items() if REAL in fault.worlds}
    assert {fault.what for one in scenarios for fault in one.faults} == can_be_played
    assert {act.does for one in scenarios for act in one.acts} == set(ACTS)
    used = {expect.what for one in scenarios for expect in one.expects}
    assert set(EXPECTS) - used <= {"acknowledged", "dispatched"}


def test_the_guide_has_a_page_for_each() -> None:
    """Made by `amr-sim run --describe > docs/scenarios.md`."""
    guide = Path(__file__).parents[4] / "docs/scenarios.md"
    assert guide.read_text("utf-8") == pages()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As the other three programs tell it."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"amr-sim {version('amr')}\n")


def test_the_testers_guide_names_every_key() -> None:
    """Every table, key, fault, act and expectation."""
    text = (Path(__file__).parents[4] / "docs/testers.md").read_text("utf-8")
    for name in vocabulary():
        assert f"`{name}`" in text, name
    assert SHIPPED.is_dir()
