"""The home: what the centre answered is kept whole, for our eyes only, and for one bridge at a time."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.store.home import FILE, Credentials, Home, HomeError, default_home, parse_enrolment
from tests.unit.bridge.parts import TOKEN, device, remount, write_private
from tests.unit.bridge.store.parts import credentials


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


def test_the_home_is_where_linux_keeps_a_programs_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$XDG_DATA_HOME`, where it is a whole path; else ~/.local/share (basedir-spec)."""
    monkeypatch.setenv("HOME", "/home/somebody")
    for value, folder in (("/data/x y", "/data/x y"), ("", "/home/somebody/.local/share")):
        monkeypatch.setenv("XDG_DATA_HOME", value)
        assert default_home() == Path(folder) / "amr-bridge"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_home() == Path("/home/somebody/.local/share/amr-bridge")


# -- one bridge at a time ---------------------------------------------------------------------------------


def enrolled(path: Path) -> Home:
    home = Home(path)
    home.make()
    home.write(credentials(1, kept=FILE))
    return home


def refuses_a_second_one(home: Home) -> bool:
    with pytest.raises(HomeError, match="another bridge"), home.lock():
        pass
    return home.is_locked()


def test_a_home_is_held_by_one_bridge(tmp_path: Path) -> None:
    """It is free again afterwards."""
    home = enrolled(tmp_path / "home")
    for _ in range(2):
        with home.lock():
            assert refuses_a_second_one(home)
        assert not home.is_locked()


def test_a_home_that_cannot_be_written_is_held_by_one_bridge(small_disk: Path) -> None:
    """As on a card whose errors made Linux mount it read-only, before its first lock and after it."""
    pytest.importorskip("fcntl")
    home = enrolled(small_disk / "home")
    for _ in range(2):
        remount(small_disk, "ro")
        with home.lock():
            assert refuses_a_second_one(home)
        assert not home.is_locked()
        remount(small_disk, "rw")
        with home.lock():
            assert refuses_a_second_one(home)


@contextmanager
def seen_read_only(folder: Path, view: Path) -> Iterator[None]:
    view.mkdir()
    subprocess.run(["/bin/mount", "--bind", str(folder), str(view)], check=True)
    try:
        remount(view, "bind,ro")
        yield
    finally:
        subprocess.run(["/bin/umount", str(view)], check=True)


def test_a_home_that_became_read_only_is_still_held_by_who_has_it(small_disk: Path, tmp_path: Path) -> None:
    """A lock of when it could be written counts for who comes later, and the other way round."""
    pytest.importorskip("fcntl")
    home = enrolled(small_disk / "home")
    with home.lock():
        pass
    with seen_read_only(small_disk, tmp_path / "view"):
        later = Home(tmp_path / "view" / "home")
        with home.lock():
            assert refuses_a_second_one(later)
        with later.lock():
            assert refuses_a_second_one(home)
        assert not home.is_locked()
