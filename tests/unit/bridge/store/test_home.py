"""The home: what the centre answered is kept whole, for our eyes only."""

from pathlib import Path
from typing import Any

import pytest

from bridge.store.home import Credentials, Home, HomeError, parse_enrolment
from tests.unit.bridge.parts import TOKEN, device, write_private


def answer(**changes: Any) -> dict[str, Any]:
    it = device(1)
    keys = {name: getattr(it, name).hex() for name in ("k_code", "k_heard", "k_state")}
    described = {"device_id": it.device_id, "epoch": 0, **keys, "alive_period_s": 900}
    described["counters"] = {"press": 0, "alive": 0}
    return {"token": TOKEN, "devices": [described | changes]}


def test_an_enrolment_tells_of_addresses_and_of_a_pin() -> None:
    """Both optional: an older centre says neither."""
    plain = parse_enrolment(answer())
    assert plain.addresses == ()
    assert plain.devices == (device(1),)
    assert plain.devices[0].has_pin
    more = parse_enrolment(
        answer(has_pin=False) | {"addresses": ["https://b.example:8443/", "https://c.example"]}
    )
    assert more.addresses == ("https://b.example:8443", "https://c.example")
    assert not more.devices[0].has_pin


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ["http://plain.example"]},
        {"addresses": "https://a.example"},
        {"addresses": ["https://a.example"] * 9},
        {"addresses": [7]},
        {"addresses": {"a": 1}},
        {"devices": []},
        {"devices": [{}]},
        {"token": "short"},
        {"token": 7},
        {"token": "token of three"},
    ],
)
def test_an_answer_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    """A hostile centre cannot have us keep what we cannot use."""
    with pytest.raises(ValueError, match=r"not a|not what is allowed|without a button"):
        parse_enrolment(answer() | wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"has_pin": "yes"},
        {"k_code": "00"},
        {"device_id": "../../etc/passwd"},
        {"alive_period_s": 0},
        {"epoch": -1},
    ],
)
def test_a_button_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """Field by field."""
    with pytest.raises(ValueError, match="not a"):
        parse_enrolment(answer(**wrong))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def test_everything_comes_back_from_the_file(home: Home) -> None:
    """Addresses and PINs, too."""
    written = Credentials(
        "https://a.example", "ca", (device(1), device(2, has_pin=False)), ("https://b.example",)
    )
    home.write(written)
    assert home.read() == written
    assert (home.path / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_credentials_of_before_there_were_addresses_are_read(home: Home) -> None:
    """An update must not cost an enrolment."""
    home.write(Credentials("https://a.example", "ca", (device(1),)))
    path = home.path / "credentials.json"
    text = path.read_text().replace('"addresses": [],', "").replace(',\n   "has_pin": true', "")
    assert "addresses" not in text
    assert "has_pin" not in text
    write_private(path, text)
    assert home.read() == Credentials("https://a.example", "ca", (device(1),))


def test_the_pages_secret_is_made_once_and_for_our_eyes_only(home: Home) -> None:
    """Long enough that nobody guesses it; refused when others can read it."""
    secret = home.page_secret()
    assert len(secret) >= 32
    assert home.page_secret() == secret
    path = home.path / "page-secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        home.page_secret()


def test_what_a_kill_has_left_is_cleared_away(home: Home) -> None:
    """A temporary file holds keys, too."""
    write_private(home.path / ".credentials.json-abc", "half of a key")
    home.write(Credentials("https://a.example", "ca", (device(1),)))
    assert [path.name for path in home.path.iterdir()] == ["credentials.json"]


def test_a_rehearsal_leaves_nothing(home: Home) -> None:
    """It is asked before the label's code, which works once, is used up."""
    home.rehearse("file")
    assert list(home.path.iterdir()) == []


def test_nothing_shows_a_key_by_accident() -> None:
    """A representation is what ends up in logs and in tests' output."""
    shown = repr(Credentials("https://a.example", "ca", (device(1),)))
    assert TOKEN not in shown
    assert device(1).k_code.hex() not in shown
    assert repr(device(1).k_code) not in shown
    assert TOKEN not in repr(parse_enrolment(answer()))
