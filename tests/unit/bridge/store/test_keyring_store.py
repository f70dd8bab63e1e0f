"""Keys in the system's keyring: all or none of them, whenever we are killed, and never in the open."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from bridge.store import keyring_store
from bridge.store.home import FILE, KEYRING, Home, HomeError
from bridge.store.keyring_store import KeyringError
from tests.unit.bridge.parts import TOKEN, device
from tests.unit.bridge.store.parts import NULL, WorldKeyring, credentials

ROOT = Path(__file__).resolve().parents[4]


class LockedKeyring(WorldKeyring):
    """Its owner has not unlocked it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"{service} {username} {TOKEN}")

    set_password = get_password  # type: ignore[assignment]


class CuttingKeyring(WorldKeyring):
    """Keeps only the beginning of what is long."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[:100])


class PlainKeyring(WorldKeyring):
    """By its name, one of those that keep everything in the open."""


PlainKeyring.__module__ = "keyrings.alt.file"
FAILING: KeyringBackend = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Return a home on a machine with a keyring."""
    monkeypatch.setenv("WORLD_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(WorldKeyring())
    home = Home(tmp_path / "home")
    home.make()
    yield home
    keyring.set_keyring(before)


def in_the_open(home: Home) -> str:
    return "".join(path.read_text() for path in home.path.iterdir() if path.is_file())


def entries(tmp_path: Path) -> list[str]:
    return list(json.loads((tmp_path / "keyring.json").read_text()))


def test_the_keyring_holds_every_secret_and_the_file_none(home: Home, tmp_path: Path) -> None:
    """One entry, with a name that says nothing; all comes back."""
    written = credentials(1, 2)
    home.write(written)
    assert home.read() == written
    secret = [TOKEN, *(getattr(device(1), name).hex() for name in ("k_code", "k_heard", "k_state"))]
    for text in secret:
        assert text not in in_the_open(home)
        assert text in (tmp_path / "keyring.json").read_text()
    assert [name.partition("/")[0] for name in entries(tmp_path)] == [keyring_store.SERVICE]


def test_enrolling_again_leaves_no_old_key_behind(home: Home, tmp_path: Path) -> None:
    """Neither in the keyring, nor in the file when the owner moves from one to the other."""
    for token in ("token-one", "token-two", "token-three"):
        home.write(credentials(1, word=token))
        assert len(entries(tmp_path)) == 1
    home.write(credentials(1, kept=FILE, word="token-four"))
    assert entries(tmp_path) == []
    assert home.read() == credentials(1, kept=FILE, word="token-four")
    home.write(credentials(1, word="token-five"))
    assert "token-" not in in_the_open(home)


def test_two_homes_share_a_keyring(home: Home, tmp_path: Path) -> None:
    """Each has its own entry."""
    other = Home(tmp_path / "other")
    other.make()
    home.write(credentials(1))
    other.write(credentials(2))
    assert home.read() == credentials(1)
    assert other.read() == credentials(2)


@pytest.mark.parametrize(
    ("before", "kill"),
    [
        *((before, "1") for before in (None, FILE, KEYRING)),
        (KEYRING, "2+"),  # there it also takes the old entry out
        *(pytest.param(before, "1+", marks=pytest.mark.slow) for before in (None, FILE, KEYRING)),
        pytest.param(KEYRING, "2", marks=pytest.mark.slow),
    ],
)
def test_a_kill_in_the_middle_leaves_the_old_or_the_new(
    home: Home, tmp_path: Path, before: str | None, kill: str
) -> None:
    """Before and after each step; then the next enrolment goes through, and nothing old is left."""
    old = None if before is None else credentials(1, kept=before, word="token-old")
    if old:
        home.write(old)
    new = credentials(1, word="token-new")
    program = (
        "from pathlib import Path; from bridge.store.home import Home;"
        "from tests.unit.bridge.store.parts import credentials;"
        f"Home(Path({str(home.path)!r})).write(credentials(1, word='token-new'))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {
            "PYTHON_KEYRING_BACKEND": "tests.unit.bridge.store.parts.WorldKeyring",
            "WORLD_KEYRING_KILL": kill,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = home.read()
    tokens = [it.token for it in found.devices] if found else None
    assert tokens in ([["token-new"], [old.devices[0].token]] if old else [["token-new"], None])
    home.write(new)
    home.write(new)
    assert home.read() == new
    assert "token-" not in in_the_open(home)
    assert len(entries(tmp_path)) == 1


def test_a_locked_keyring_is_a_sentence_with_a_way_out(home: Home) -> None:
    """And what the backend says, which may be anything, is not repeated."""
    home.write(credentials(1))
    keyring.set_keyring(LockedKeyring())
    with pytest.raises(HomeError, match="unlock it and try again") as caught:
        home.read()
    assert TOKEN not in str(caught.value)
    with pytest.raises(HomeError, match="unlock it"):
        home.rehearse(KEYRING)


def test_a_keyring_that_is_gone_or_empty_is_a_sentence(home: Home, tmp_path: Path) -> None:
    """Another desktop, a service before login, a keyring that was made anew."""
    home.write(credentials(1))
    keyring.set_keyring(FAILING)
    with pytest.raises(HomeError, match="none here"):
        home.read()
    keyring.set_keyring(WorldKeyring())
    (tmp_path / "keyring.json").unlink()
    with pytest.raises(HomeError, match="enrol again"):
        home.read()
    (tmp_path / "keyring.json").write_text(json.dumps({entry: "[]" for entry in ("x",)}))
    with pytest.raises(HomeError):
        home.read()


class SilentKeyring(WorldKeyring):
    """Shows a dialogue on a screen that nobody sees, until the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.over.wait()
        return super().get_password(service, username)


def test_a_keyring_that_does_not_answer_is_waited_for_only_so_long(home: Home) -> None:
    """The sentence says that it may be locked."""
    home.write(credentials(1))
    silent = SilentKeyring()
    keyring.set_keyring(silent)
    with pytest.raises(KeyringError, match=r"locked or does not answer \(no answer"):
        keyring_store.get("an entry", answer_s_max=0.05)
    silent.over.set()


def test_a_keyring_that_cuts_what_is_long_is_found_out_before(home: Home) -> None:
    """The old keys stay; the sentence says what to do."""
    before = credentials(1, kept=FILE)
    home.write(before)
    keyring.set_keyring(CuttingKeyring())
    with pytest.raises(HomeError, match="--secrets file"):
        home.write(replace(before, secrets=KEYRING))
    assert home.read() == before


def test_only_a_keyring_that_keeps_secrets_is_one(home: Home) -> None:
    """Not the null one, not the one that always fails, not a plain file."""
    assert home.path.is_dir()
    assert keyring_store.usable()
    for useless in (NULL, FAILING, PlainKeyring()):
        keyring.set_keyring(useless)
        assert not keyring_store.usable()
