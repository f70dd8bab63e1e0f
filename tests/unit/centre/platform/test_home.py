"""The centre's directory: keys that nobody else reads."""

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from cryptography import x509

from centre.commands import main
from centre.commands.parts import open_beside
from centre.platform import sealing, tls
from centre.platform.home import CannotServe, Home
from centre.rules import registry
from centre.settings import Settings
from centre.store import MIGRATIONS
from centre.work import accounts, buttons
from centre.work.core import SEALING_KEY, open_core
from tests.unit.centre.parts import Hand, core_at


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_reads_what_is_in_it(tmp_path: Path) -> None:
    """0700 and 0600."""
    home = Home(tmp_path / "deep" / "home")
    open_core(home).store.close()
    tls.development_context(home, "localhost")
    assert mode(home.path) == 0o700
    assert {path.name: mode(path) for path in home.path.iterdir() if mode(path) != 0o600} == {}


def test_the_development_certificate_is_for_every_name_of_the_centre(tmp_path: Path) -> None:
    """Else a phone that was told another of its addresses could not believe it there."""
    told = Settings(
        public_url="https://alarm.example:8443", address=("https://192.0.2.7:1", "https://[2001:db8::7]")
    )
    home = Home(tmp_path)
    tls.development_context(home, "0.0.0.0", *told.hosts)  # noqa: S104
    leaf = x509.load_pem_x509_certificate((tmp_path / tls.LEAF_FILE).read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "alarm.example" in names.get_values_for_type(x509.DNSName)
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert {"192.0.2.7", "2001:db8::7", "127.0.0.1"} <= set(addresses)
    assert "0.0.0.0" not in addresses  # noqa: S104


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """Whoever comes second gets what the first one made."""
    home = Home(tmp_path / "home")
    assert home.secret("x", lambda: b"first") == home.secret("x", lambda: b"second") == b"first"
    home.write("x", b"third", replace=False)
    assert home.secret("x", lambda: b"") == b"first"
    assert [path.name for path in home.path.iterdir()] == ["x"]


def test_a_secret_that_others_read_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    home = Home(tmp_path / "home")
    home.secret("x", lambda: b"x")
    (home.path / "x").chmod(0o644)
    with pytest.raises(CannotServe, match="chmod 600"):
        home.secret("x", lambda: b"x")


def test_a_lost_sealing_key_is_not_replaced(tmp_path: Path) -> None:
    """A new one would hide that every root is lost."""
    home = Home(tmp_path / "home")
    open_core(home).store.close()
    (home.path / "sealing.key").unlink()
    with pytest.raises(CannotServe, match=r"sealing\.key is missing"):
        open_core(home)


def test_no_root_lies_in_the_database_in_clear(tmp_path: Path) -> None:
    """Neither as bytes nor as hex, neither in the file nor in its log; nor do the other keys."""
    home, hand = Home(tmp_path / "home"), Hand()
    core = core_at(home.path)
    buttons.import_buttons(core, [hand.registered])
    token = str(buttons.enrol(core, hand.enrolment_code, None, None)["token"])
    for path in home.path.glob("centre.sqlite*"):
        content = path.read_bytes()
        for secret in (hand.root, hand.root.hex().encode(), token.encode(), hand.enrolment_code.encode()):
            assert secret not in content
    core.store.close()


def another_key(home: Home) -> None:
    home.write(SEALING_KEY, sealing.new_key())


def test_another_sealing_key_is_refused_before_anything_is_sealed_with_it(tmp_path: Path) -> None:
    """Else the log has entries of two keys, and verify-log never holds again."""
    home = Home(tmp_path)
    core = core_at(home.path)
    accounts.add_user(core, "ann", "Ann Example", "operator", None, "en")
    another_key(home)
    with pytest.raises(CannotServe, match="is the wrong key"):
        open_core(home)
    core.store.close()


def test_a_damaged_button_is_no_other_key(tmp_path: Path) -> None:
    """One row that the disk has spoilt keeps no other button from its centre."""
    home = Home(tmp_path)
    core = core_at(home.path)
    for number in (1, 2):
        buttons.import_buttons(core, registry.read(Hand(number).line))
    core.store.db.execute("UPDATE devices SET root_sealed = x'00' WHERE device_id = ?", (Hand(1).device_id,))
    core.store.close()
    open_core(home).store.close()
    another_key(home)
    with pytest.raises(CannotServe, match="is the wrong key"):
        open_core(home)


def test_no_command_takes_an_older_database_over_while_it_is_served(tmp_path: Path) -> None:
    """The centre that serves it would not know its own tables any more; once it has stopped, it is done."""
    home = Home(tmp_path / "home")
    open_core(home).store.close()
    (tmp_path / "next.sql").write_text("CREATE TABLE more (something TEXT) STRICT;")
    migrations = (*MIGRATIONS, tmp_path / "next.sql")
    lock = home.lock()
    with pytest.raises(CannotServe, match="is an older version's, and in use: stop that centre first"):
        open_beside(home, migrations)
    open_core(home).store.close()
    os.close(lock)
    core = open_beside(home, migrations)
    assert core.store.db.execute("SELECT count(*) FROM more").fetchone()[0] == 0
    core.store.close()
    os.close(home.lock())


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "PRAGMA user_version = 8; CREATE TABLE devices (x)",
            "before the first release",
        ),
        ("CREATE TABLE notes (x)", "before the first release"),
        ("CREATE TABLE schema_files (version, sha256); PRAGMA user_version = 99", "a newer version"),
        (
            "CREATE TABLE schema_files (version, sha256); INSERT INTO schema_files VALUES (1, 'x');"
            "PRAGMA user_version = 1",
            "a version that was never released",
        ),
    ],
)
def test_a_database_that_is_not_ours_is_refused_and_left_as_it_is(
    tmp_path: Path, script: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sentence that says whose it is, and exit code 1."""
    home = Home(tmp_path)
    home.secret(SEALING_KEY, sealing.new_key)
    with contextlib.closing(sqlite3.connect(home.database)) as db:
        db.executescript(script)
    before = home.database.read_bytes()
    assert main(["users", "list", "--home", str(tmp_path)]) == 1
    sentence = capsys.readouterr().err
    assert (sentence.count("\n"), why in sentence, "Traceback" in sentence) == (1, True, False)
    assert home.database.read_bytes() == before


def test_one_home_is_served_once(tmp_path: Path) -> None:
    """Two processes would not hear each other's signals."""
    home = Home(tmp_path / "home")
    lock = home.lock()
    assert lock
    with pytest.raises(CannotServe, match="already serves"):
        home.lock()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
@pytest.mark.parametrize(
    "command", [["webhook", "secret"], ["ca"], ["users", "add", "ann", "--name", "Ann", "--role", "operator"]]
)
def test_what_root_makes_belongs_to_whom_the_home_does(tmp_path: Path, command: list[str]) -> None:
    """Else the centre, which is not root's, cannot read its own key."""
    home, owner = tmp_path / "home", 65534
    home.mkdir(mode=0o700)
    os.chown(home, owner, owner)
    assert main([*command, "--home", str(home)]) == 0
    made = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in home.iterdir()}
    assert made
    assert set(made.values()) == {(owner, owner)}
