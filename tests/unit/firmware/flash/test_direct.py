"""How a button reaches the centre without a phone: checked before anything is written."""

import io
import json
from pathlib import Path

import pytest
from littlefs import LittleFS

from centre.platform import tls
from centre.platform.home import Home
from firmware.board.config import DIRECT_FILE
from firmware.board.direct_config import CA_FILE, NETWORKS_MAX, networks_of
from firmware.flash.app import main
from firmware.flash.build import BLOCK_BYTES, BLOCK_COUNT
from firmware.flash.errors import CommandError
from firmware.flash.networks import file_of, pmk_of, ssid_of

ADDRESS = ("--address", "203.0.113.5:4433")
DIRECT = ("--direct", "backup", *ADDRESS)


def provision(folder: Path, *more: str) -> int:
    return main(["provision", "--image", str(folder), *more])


def files(folder: Path) -> dict[str, bytes]:
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
    disk.context.buffer = bytearray((folder / "flash.img").read_bytes())
    disk.mount()
    found = {}
    for name in disk.listdir("/"):
        if "." in name:
            with disk.open(name, "rb") as file:
                found[name] = file.read()
    return found


def test_what_is_asked_for_is_on_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Profile, addresses, HTTPS with the CA, modem on the board's pins, APN, and the PIN that was typed."""
    ca = tls.development(Home(tmp_path / "centre")).path
    monkeypatch.setattr("sys.stdin", io.StringIO("0123\n"))
    more = ["--address", "[2001:db8::5]:443", "--address", "2001:db8::6", "--host", "Alarm.example.org"]
    more += ["--ca", str(ca), "--modem", "sim7080g", "--apn", "iot.example", "--pin"]
    more += ["--first", "lte"]
    assert provision(tmp_path / "b", *DIRECT, *more) == 0
    made = files(tmp_path / "b")
    assert json.loads(made[DIRECT_FILE]) == {
        "profile": "backup",
        "addresses": [["203.0.113.5", 4433], ["2001:db8::5", 443], ["2001:db8::6", 443]],
        "host": "alarm.example.org",
        "https_port": 443,
        "modem": "sim7080g",
        "first": "lte",
        "apn": "iot.example",
        "pin": "0123",
        "uart": {"tx": 17, "rx": 16, "pwrkey": 4},
    }
    assert made[CA_FILE].startswith(b"\x30\x82")  # DER
    printed = capsys.readouterr()
    assert "0123" not in printed.out + printed.err


def test_the_labels_address_is_the_one_for_https(tmp_path: Path) -> None:
    """Who names the centre once need not name it again."""
    ca = tls.development(Home(tmp_path / "centre")).path
    more = ["--centre", "https://alarm.example.org:8443", "--ca", str(ca)]
    assert provision(tmp_path / "b", *DIRECT, *more) == 0
    direct = json.loads(files(tmp_path / "b")[DIRECT_FILE])
    assert (direct["host"], direct["https_port"]) == ("alarm.example.org", 8443)


@pytest.mark.parametrize("more", [(), ("--direct", "off")])
def test_a_button_that_needs_its_phone_has_no_such_file(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Nothing of the direct path is loaded on it."""
    assert provision(tmp_path, *more) == 0
    assert not files(tmp_path).keys() & {DIRECT_FILE, CA_FILE}


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("--direct", "always"), "", "one to four --address"),
        ((*DIRECT, *ADDRESS * 4), "", "one to four --address"),
        (("--direct", "backup", "--address", "1.2.3"), "", "1.2.3 is no address"),
        (("--direct", "backup", "--address", "centre.example:443"), "", "is no address"),
        (("--direct", "backup", "--address", "203.0.113.5:0"), "", "from 1 to 65535"),
        (("--direct", "backup", "--address", "203.0.113.5:x"), "", "from 1 to 65535"),
        ((*DIRECT, "--https-port", "0"), "", "from 1 to 65535"),
        ((*DIRECT, "--host", "a b"), "", "--host"),
        ((*DIRECT, "--host", "alarm.example.org"), "", "needs --ca"),
        ((*DIRECT, "--apn", "a" * 101), "", "at most 100 characters"),
        ((*DIRECT, "--apn", 'iot"'), "", "no space"),
        ((*DIRECT, "--pin"), "123456789\n", "4 to 8 digits"),
        ((*DIRECT, "--pin"), "12e4\n", "4 to 8 digits"),
        ((*DIRECT, "--pin"), "", "nothing came"),
        ((*DIRECT, "--modem", "gm02s", "--modem-pins", "17"), "", "--modem-pins"),
        ((*DIRECT, "--modem", "gm02s", "--modem-pins", "17,17"), "", "--modem-pins"),
        ((*DIRECT, "--modem", "gm02s", "--modem-pins", "17,33"), "", "--modem-pins"),
        ((*DIRECT, "--modem", "gm02s", "--set", "motor_gpio=17"), "", "--modem-pins"),
        ((*DIRECT, "--board", "xiao"), "", "no Wi-Fi"),
        (ADDRESS, "", "belong to --direct"),
        (("--pin",), "0123\n", "belong to --direct"),
    ],
)
def test_a_mistake_gets_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    typed: str,
    said: str,
) -> None:
    """Before anything is written; what was typed in secret is not repeated."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert provision(tmp_path / "b", *words) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence
    assert not typed or typed.strip() not in sentence
    assert not (tmp_path / "b").exists()


# -- networks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ssid", "passphrase", "pmk"),
    [  # IEEE 802.11, J.4.2
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        (
            "ThisIsASSID",
            "ThisIsAPassword",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
        ("Z" * 32, "a" * 32, "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62"),
        ("any", "AB" * 32, "ab" * 32),  # a key already
    ],
)
def test_the_key_is_the_one_that_wifi_derives(ssid: str, passphrase: str, pmk: str) -> None:
    """As the standard's own examples have it."""
    assert pmk_of(ssid_of(ssid), passphrase) == pmk


@pytest.mark.parametrize("passphrase", ["", "short77", "g" * 64, "a" * 65, "pässword", "pass\tword"])
def test_a_passphrase_that_wpa2_does_not_have_is_refused(passphrase: str) -> None:
    """The sentence does not repeat it."""
    with pytest.raises(CommandError) as refused:
        pmk_of(b"home", passphrase)
    assert not passphrase or passphrase not in str(refused.value)


@pytest.mark.parametrize("name", ["", "x" * 33, "é" * 17])
def test_a_name_that_no_network_has_is_refused(name: str) -> None:
    """Counted in bytes, as on the air."""
    with pytest.raises(CommandError, match="1 to 32 bytes"):
        ssid_of(name)


def test_a_button_knows_eight_networks_at_most() -> None:
    """What is written is what the button itself takes."""
    many = {bytes([number] * 8): "ab" * 32 for number in range(NETWORKS_MAX + 1)}
    with pytest.raises(CommandError, match="at most 8"):
        file_of(many)
    many.popitem()
    assert networks_of(json.loads(file_of(many))) == many
