"""Passwords, second factors, sessions: the rules, in virtual time."""

import re
from pathlib import Path

import pyotp
import pytest

from centre.commands import main
from centre.platform.sealing import Sealer, new_key
from centre.rules import access
from centre.rules.refusals import Refused
from centre.work import accounts, sign_in
from centre.work.core import Core
from tests.unit.centre.parts import store_at

HOUR_MS = 3_600_000
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105  of RFC 6238, appendix B


class Office:
    """A centre with one operator, who has just come in, and a clock that can be set."""

    def __init__(self) -> None:
        self.ms = 1_000 * HOUR_MS
        self.core = Core(store_at(":memory:"), Sealer(new_key()), lambda: self.ms)
        accounts.add_user(self.core, "ann", "Ann Example", access.OPERATOR, None, "en")
        key = accounts.invite(self.core, "ann", "enter", access.ENTER_MS)
        assert key
        self.token, _ = accounts.enter(self.core, key)

    def is_in(self) -> bool:
        try:
            return bool(accounts.session_of(self.core, self.token))
        except Refused:
            return False

    def works(self, hours: float, *, every_s: int = 600) -> bool:
        """Say whether the user is in all the time, with a look now and then."""
        for _ in range(int(hours * 3600 / every_s)):
            self.ms += every_s * 1000
            if not self.is_in():
                return False
        return True


def test_a_session_ends_after_a_long_shift_or_when_nobody_is_there() -> None:
    """12 hours at work; 2 hours without a look."""
    office = Office()
    assert office.works(11.8)
    assert not office.works(0.5)
    office = Office()
    office.ms += 2 * HOUR_MS - 1
    assert office.is_in()
    office.ms += 2 * HOUR_MS
    assert not office.is_in()


@pytest.mark.parametrize("back_h", [0.02, 1, 24, 900])
def test_a_clock_set_back_makes_no_session_live_longer(back_h: float) -> None:
    """What had passed has passed, and the user is not thrown out either."""
    office = Office()
    assert office.works(6)
    office.ms -= int(back_h * HOUR_MS)
    assert office.is_in()
    assert office.works(5.8)
    assert not office.works(0.5)


def test_a_clock_set_back_and_then_left_alone_ends_it_too() -> None:
    """Two hours from the step, without a look."""
    office = Office()
    office.ms -= 10 * HOUR_MS
    assert office.is_in()
    office.ms += 2 * HOUR_MS
    assert not office.is_in()


def test_a_clock_set_forward_by_an_hour_throws_nobody_out() -> None:
    """Summer time, set by hand; a jump by more than the idle time does."""
    office = Office()
    office.ms += HOUR_MS
    assert office.is_in()
    office.ms += 3 * HOUR_MS
    assert not office.is_in()


def test_a_code_is_good_one_step_early_and_late_and_never_twice() -> None:
    """RFC 6238, 5.2; with the example of its appendix."""
    now_ms = 1_111_111_109_000
    assert pyotp.TOTP(SECRET, digits=8).at(1_111_111_109) == "07081804"
    step = now_ms // 30_000
    codes = {ahead: pyotp.TOTP(SECRET).generate_otp(step + ahead) for ahead in (-2, -1, 0, 1, 2)}
    good = {ahead: access.totp_step(SECRET, code, now_ms, 0) for ahead, code in codes.items()}
    assert good == {-2: None, -1: step - 1, 0: step, 1: step + 1, 2: None}
    assert access.totp_step(SECRET, codes[0], now_ms, step) is None
    assert access.totp_step(SECRET, codes[0], now_ms - 86_400_000, step) is None
    assert access.totp_step(SECRET, "", 0, 0) is None


@pytest.mark.parametrize(
    ("password", "mistake"),
    [
        ("four words that rhyme not", None),
        ("ééééèèèèêêêêûûûûçç", None),
        ("elevenchars", "password_short"),
        ("x" * 257, "password_long"),
        ("lotte-example-lotte", None),
        ("LotteLotte123", "password_named"),
        ("l.voorbeeld.99", "password_named"),
        ("voorbeeld2026", "password_named"),
        ("Password1234", "password_common"),
        ("azertyazerty!", "password_common"),
        ("aaaaaaaaaaaaaa", "password_common"),
        ("123456789012", "password_common"),
    ],
)
def test_a_password_is_long_and_not_what_anybody_would_try_first(password: str, mistake: str | None) -> None:
    """There are no rules of which characters; the user's name is no password."""
    assert access.password_mistake(password, "l.voorbeeld", "Lotte Voorbeeld") == mistake


def test_what_is_kept_of_a_user_is_sealed() -> None:
    """The hash, the second factor; and the invitation's address alone does not tell the second factor."""
    office = Office()
    key = accounts.invite(office.core, "ann", "set", access.SET_MS)
    assert key
    secret = sign_in.invited(office.core, key).secret
    code = pyotp.TOTP(secret).generate_otp(office.ms // 30_000)
    sign_in.set_password(office.core, key, "$argon2id$a-hash", code)
    dump = "\n".join(office.core.store.db.iterdump())
    for hidden in (key, secret, "a-hash", b"a-hash".hex(), code):
        assert hidden not in dump
    assert not office.is_in(), "what was open before has ended"
    assert Sealer(new_key()).word("x") != office.core.sealer.word("x"), (
        "who has the address needs the key too"
    )


def test_whoever_changes_role_has_it_from_the_next_click() -> None:
    """And a zone goes with its role."""
    office = Office()
    accounts.change_user(office.core, "ann", role=access.CASE_MANAGER, zone="Zone Example")
    assert accounts.session_of(office.core, office.token).zone == "Zone Example"
    accounts.change_user(office.core, "ann", role=access.INSTITUTE)
    caller = accounts.session_of(office.core, office.token)
    assert (caller.role, caller.zone) == (access.INSTITUTE, None)
    assert not accounts.change_user(office.core, "nobody", name="x")


def test_the_administrator_invites_changes_and_disables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By commands beside the running centre; a mistake is one sentence."""

    def run(*argv: str) -> tuple[int, str]:
        code = main(["users", *argv, "--home", str(tmp_path)])
        said = capsys.readouterr()
        return code, said.out + said.err

    who = ("--name", "Ann Example", "--role", "operator")
    assert run("add", "ann", *who)[0] == 0
    code, said = run("invite", "ann", "--url", "https://centre.example/")
    assert code == 0
    assert re.fullmatch(r"https://centre\.example/console/set\?key=[\w-]{43}\n", said)
    assert run("change", "ann", "--role", "case_manager")[0] == 2, "a case manager has a zone"
    assert run("change", "ann", "--role", "case_manager", "--zone", "Zone Example")[0] == 0
    assert run("change", "ann")[0] == 2
    assert "case_manager  zone Zone Example  in use" in run("list")[1]
    assert run("disable", "ann")[0] == 0
    for command in (
        ("invite", "ann"),
        ("disable", "ann"),
        ("change", "ann", "--name", "x"),
        ("invite", "bob"),
    ):
        assert run(*command) == (1, f"amr-centre: there is no user {command[1]} here\n")
