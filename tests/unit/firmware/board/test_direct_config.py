"""The direct path's files: right, absent, off or wrong, the button goes on; a wrong one is said."""

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from firmware.board import config, direct_config

RIGHT: dict[str, Any] = {
    "profile": "backup",
    "addresses": [["203.0.113.5", 443], ["2001:db8::5", 4433]],
    "host": "alarm.example.org",
    "https_port": 8443,
    "modem": "sim7080g",
    "apn": "iot.example",
    "pin": "0123",
    "uart": {"tx": 17, "rx": 16, "pwrkey": 4},
}
NETWORK = {"id": "01" * 8, "pmk": "ab" * 32}
PINS = {"button_gpio": 33, "motor_gpio": 25, "battery_gpio": 35, "hold_ms": 2000}


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, direct: object, networks: object = None) -> Any:
    """Write both files, as text or as JSON, and read them as the button does."""
    monkeypatch.chdir(folder)
    for name, value in (("direct.json", direct), ("networks.json", networks)):
        if value is not None:
            Path(name).write_text(value if isinstance(value, str) else json.dumps(value))
    return config.load_direct(PINS)


def test_what_is_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profile, addresses, modem and networks; the CA is read when it is needed."""
    direct, defaulted = loaded(tmp_path, monkeypatch, RIGHT, [NETWORK])
    assert not defaulted
    assert [tuple(address) for address in direct.addresses] == [("203.0.113.5", 443), ("2001:db8::5", 4433)]
    assert (direct.profile, direct.host, direct.https_port) == ("backup", "alarm.example.org", 8443)
    assert (direct.modem, direct.apn, direct.pin, direct.uart["pwrkey"]) == (
        "sim7080g",
        "iot.example",
        "0123",
        4,
    )
    assert direct.first == "wifi"
    assert direct.networks == {b"\x01" * 8: "ab" * 32}
    with pytest.raises(OSError, match="ca"):
        direct.ca()
    Path("ca.der").write_bytes(b"\x30\x00")
    assert direct.ca() == b"\x30\x00"


@pytest.mark.parametrize("direct", [None, {"profile": "off"}, {**RIGHT, "profile": "off", "addresses": []}])
def test_without_the_file_or_off_there_is_no_direct_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: object
) -> None:
    """And nothing is wrong with that."""
    assert loaded(tmp_path, monkeypatch, direct, [NETWORK]) == (None, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "sometimes"},
        {"profile": None},
        {"addresses": []},
        {"addresses": [["203.0.113.5", 443]] * 5},
        {"addresses": [["1.2.3", 443]]},
        {"addresses": [["1.2.3.256", 443]]},
        {"addresses": [["centre.example", 443]]},
        {"addresses": [["203.0.113.5", 0]]},
        {"addresses": [["203.0.113.5", 65536]]},
        {"addresses": [["203.0.113.5", "443"]]},
        {"addresses": [["203.0.113.5", True]]},
        {"addresses": "203.0.113.5"},
        {"addresses": 5},
        {"addresses": {"ab": 1}},
        {"host": 'a"b'},
        {"host": "a" * 254},
        {"host": ["a"]},
        {"https_port": 0},
        {"modem": "another"},
        {"modem": ["sim7080g"]},
        {"first": "bluetooth"},
        {"apn": "a" * 101},
        {"apn": 'iot"\r\nAT+CFUN=0'},
        {"apn": 7},
        {"pin": "123"},
        {"pin": "123456789"},
        {"pin": 1234},
        {"pin": "12a4"},
        {"uart": None},
        {"uart": {"tx": 17}},
        {"uart": {"tx": 17, "rx": 17}},
        {"uart": {"tx": 17, "rx": 49}},
        {"uart": {"tx": 17, "rx": 33}},
        {"uart": {"tx": 17, "rx": 16, "pwrkey": 25}},
        {"uart": {"tx": [17], "rx": 16}},
        {"uart": 17},
    ],
)
def test_a_wrong_value_turns_the_direct_path_off_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """The button must neither hang nor guess; its own pins are never the modem's."""
    assert loaded(tmp_path, monkeypatch, {**RIGHT, **wrong}, [NETWORK]) == (None, True)


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", '"backup"', "\x00\x01"])
def test_a_damaged_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Whatever it holds instead."""
    assert loaded(tmp_path, monkeypatch, text, [NETWORK]) == (None, True)


@pytest.mark.parametrize(
    "networks",
    [
        [],
        [{**NETWORK, "id": f"{number:016x}"} for number in range(9)],
        [NETWORK, NETWORK],
        [{**NETWORK, "pmk": "a" * 63}],
        [{**NETWORK, "pmk": "g" * 64}],
        [{**NETWORK, "pmk": 5}],
        [{**NETWORK, "id": "01"}],
        [{"id": "01" * 8}],
        {"id": 1},
        7,
        "{",
        "\x00",
    ],
)
def test_wrong_networks_cost_the_wifi_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks: object
) -> None:
    """The modem still reaches the centre, and the button says that something is wrong."""
    direct, defaulted = loaded(tmp_path, monkeypatch, RIGHT, networks)
    assert (direct.modem, direct.networks, defaulted) == ("sim7080g", {}, True)


def test_without_networks_a_modem_works_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how it may be meant: nothing is wrong."""
    direct, defaulted = loaded(tmp_path, monkeypatch, RIGHT)
    assert (direct.networks, defaulted) == ({}, False)


@pytest.mark.parametrize(
    "host",
    ["203.0.113.5", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::5", "fe80:0:0:0:1:2:3:4"],  # noqa: S104
)
def test_a_numeric_address_is_known_as_one(host: str) -> None:
    """As Python's own library knows it."""
    assert ipaddress.ip_address(host)
    assert direct_config.is_numeric(host)
