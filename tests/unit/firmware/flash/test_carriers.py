"""What a board says while it tries its own ways to the centre becomes sentences, and one verdict."""

import re
from pathlib import Path

import pytest

from firmware.flash.carriers import ERRORS, Trial, verdict
from firmware.flash.errors import CommandError
from wire import direct
from wire.direct import cell

CELL = cell(2, 262, 1, 4711, 123456, -101).hex()
HOME = b"Zuhause".hex()


def trial(*lines: str) -> tuple[Trial, str]:
    said: list[str] = []
    made = Trial(said.append)
    for line in lines:
        made.line(f"carrier {line}")
    return made, "\n".join(said)


def test_each_step_is_a_sentence() -> None:
    """From what is in reach to the centre's answer, for each network by its name."""
    made, said = trial(
        "networks 2",
        f"heard {HOME} -61 3",
        "other",
        f"try {HOME}",
        "up 2100 -61",
        "answer udp 210",
        "answer https 900",
    )
    assert "Zuhause is in reach, at -61 dBm" in said
    assert "up after 2.1 s, -61 dBm" in said
    assert "answered a datagram after 210 ms" in said
    assert "answered HTTPS after 900 ms" in said
    assert verdict(made, "networks") == "Zuhause: the button reaches the centre without a phone"


def test_a_modem_says_which_kind_of_network_it_is_in() -> None:
    """And how long it took, for the first time takes minutes."""
    made, said = trial("modem sim7080g", "waiting 10", f"up 42000 -101 {CELL}", "answer lte 1500")
    assert "still trying, for 10 s" in said
    assert "up after 42.0 s, NB-IoT, -101 dBm" in said
    assert verdict(made, "modem").startswith("sim7080g: ")


@pytest.mark.parametrize(
    ("lines", "what", "said"),
    [
        (["off"], "networks", "the direct path is off"),
        (["off wrong"], "modem", "holds a wrong value"),
        (["networks 0"], "networks", "networks add"),
        (["networks 3", "other", "other"], "networks", "in reach here, of others 2"),
        (["modem -"], "modem", "--modem"),
        (["networks 1", f"try {HOME}", "down 2"], "networks", "by all ways of Zuhause"),
        (
            ["networks 1", f"try {HOME}", "up 900 -50", "answer udp 9", "silent https 8"],
            "networks",
            "Zuhause",
        ),
        (["networks 1", f"try {HOME}", "up 900 -50", "unproven udp", "silent udp 4"], "networks", "Zuhause"),
        (["networks 1", f"try {HOME}", "up 900 -50"], "networks", "Zuhause"),
        (["networks 1", "raised OSError('Wifi Out of Memory')"], "networks", "Wi-Fi"),
        (["modem gm02s", "down 7"], "modem", "gm02s"),
    ],
)
def test_what_does_not_reach_the_centre_is_a_failure(lines: list[str], what: str, said: str) -> None:
    """One way that works does not hide another that does not."""
    made, _ = trial(*lines)
    with pytest.raises(CommandError, match="(?i)" + said):
        verdict(made, what)


def test_one_network_that_works_does_not_hide_another() -> None:
    """Only what does not work is named."""
    made, _ = trial(
        *("networks 2", f"try {HOME}", "up 900 -50", "answer udp 9", f"try {b'Work'.hex()}", "down 3")
    )
    with pytest.raises(CommandError, match="all ways of Work:"):
        verdict(made, "networks")


def test_a_strange_name_on_the_air_is_shown_harmlessly() -> None:
    """Anybody may call a network anything; a terminal must not obey it."""
    name = b"\x1b[2Jevil\xff\n".hex()
    _, said = trial(f"heard {name} -40 3")
    assert "\x1b" not in said
    assert said.splitlines() == [r"\x1b[2Jevil\xff\n is in reach, at -40 dBm"]


def test_what_else_a_board_prints_is_passed_over() -> None:
    """A driver has words of its own."""
    said: list[str] = []
    made = Trial(said.append)
    for line in (
        "",
        "carrier",
        "carrier unknown 5",
        "up 5",
        "wifi OSError",
        "W (31) wifi: Haven't to connect",
    ):
        made.line(line)
    assert (said, made.tried) == ([], [])


def test_every_error_of_a_carrier_has_a_sentence() -> None:
    """As SPEC.md numbers them, but for none and for another one."""
    spec = (Path(direct.__file__).parent / "SPEC.md").read_text()
    table = spec[spec.index("### Errors") : spec.index("### Facts")]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert len(codes) > 9
    assert set(ERRORS) == codes - {0, 15}
