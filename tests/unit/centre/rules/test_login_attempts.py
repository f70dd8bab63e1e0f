"""Wrong sign-ins: who pays for them. The rules and the tables, in virtual time."""

import pytest

from centre.platform.sealing import Sealer, new_key
from centre.rules import access, login_attempts
from centre.rules.login_attempts import BROWSER, NETWORK, STRANGER, Place, network_of
from centre.rules.refusals import Refused
from centre.work import accounts, attempt_counters, event_log, sign_in
from centre.work import login_attempts as kept
from centre.work.core import Core
from tests.unit.centre.parts import store_at

HOUR_MS = 3_600_000
HERE, ELSEWHERE = "192.0.2.7", "2001:db8:5:6::1"


class Desk:
    """A centre with one operator who has signed in from here, in one browser, and a clock that can be set."""

    def __init__(self) -> None:
        self.ms = 1_000 * HOUR_MS
        self.core = Core(store_at(":memory:"), Sealer(new_key()), lambda: self.ms)
        accounts.add_user(self.core, "ann", "Ann Example", access.OPERATOR, None, "en")
        self.core.store.db.execute("UPDATE users SET password_sealed = x'00'")  # never opened here
        at_first = self.place()
        with self.core.store.transaction():
            kept.know(self.core, at_first)
        self.browser = at_first.browser

    def place(self, address: str = HERE, browser: str = "") -> Place:
        return kept.place_of(self.core, browser, address)

    def may_try(self, place: Place, login: str = "ann") -> bool:
        try:
            kept.refuse_locked(self.core, place, login)
        except Refused:
            return False
        return True

    def wrong(self, place: Place, login: str, times: int = 1) -> None:
        """Try as often as the desk lets, like a program that goes on and on."""
        for _ in range(times):
            if self.may_try(place, login):
                with self.core.store.transaction():
                    kept.count(self.core, place, login)

    def noted(self, kind: str) -> list[dict[str, object]]:
        rows = [row for row in self.core.store.all("log_entries") if row["kind"] == kind]
        return [event_log.told(self.core, row).facts for row in rows]


def test_a_strangers_flood_locks_nobody_out_who_has_signed_in_there_before() -> None:
    """It tries Ann's login from 200 networks: Ann's browser gets in from anywhere, Ann's network too."""
    desk = Desk()
    for n in range(200):
        desk.wrong(desk.place(f"2001:db8:{n:x}::1"), "ann", 30)
    assert not desk.may_try(desk.place(ELSEWHERE)), "Ann's login, strangers' tries"
    assert desk.may_try(desk.place(ELSEWHERE, desk.browser))
    assert desk.may_try(desk.place(HERE))


def test_no_number_of_networks_buys_more_tries_of_one_login() -> None:
    """Whoever has stolen Ann's password has five tries of a code, then one an hour in the end."""
    desk = Desk()
    for n in range(200):
        desk.wrong(desk.place(f"2001:db8:{n:x}::1"), "ann", 30)
    row = desk.core.store.db.execute("SELECT max(tries) FROM sign_in_tries WHERE place = x''").fetchone()
    assert row[0] == 1 + access.FREE_TRIES
    for _ in range(24):
        desk.ms += HOUR_MS
        desk.wrong(desk.place(ELSEWHERE), "ann", 30)
    row = desk.core.store.db.execute("SELECT max(tries) FROM sign_in_tries WHERE place = x''").fetchone()
    assert row[0] <= 1 + access.FREE_TRIES + 24


def test_one_network_does_not_try_all_logins() -> None:
    """It is locked after 21; another network is not; a block of 2^64 addresses is one network."""
    desk = Desk()
    for n in range(40):
        desk.wrong(desk.place(f"2001:db8::{n:x}"), f"login{n}")
    assert not desk.may_try(desk.place("2001:db8::ffff"), "bob")
    assert desk.may_try(desk.place("2001:db8:0:1::1"), "bob")
    assert desk.may_try(desk.place("2001:db8::1", desk.browser)), "Ann's browser in an attacker's network"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_a_network_is_an_address_or_a_block_of_64_bits(address: str, network: str) -> None:
    """Whoever has one address of IPv6 has them all."""
    assert network_of(address) == network


def test_a_known_place_has_its_own_few_tries() -> None:
    """Who has stolen the workstation guesses no faster than anybody; at the next one nobody notices."""
    desk = Desk()
    browser, network = desk.place(HERE, desk.browser), desk.place(HERE)
    assert (browser.kind, network.kind) == (BROWSER, NETWORK)
    desk.wrong(browser, "ann", 50)
    assert not desk.may_try(browser)
    assert desk.may_try(browser, "bob"), "a colleague at the same screen"
    assert desk.may_try(network)
    for n in range(40):
        desk.wrong(browser, f"login{n}")
    assert not desk.may_try(browser, "bob"), "somebody plays with this screen"


def test_a_cookie_that_was_planted_is_not_taken_over() -> None:
    """Only one of ours; and none that is too long, or no text."""
    desk = Desk()
    for planted in ("planted", "x" * 5000, "\udcff", ""):
        place = desk.place(ELSEWHERE, planted)
        assert place.kind == STRANGER
        assert place.browser not in (planted, desk.browser)


def test_a_place_is_forgotten_after_a_quarter_and_there_are_only_so_many() -> None:
    """What nobody uses is a stranger's again."""
    desk = Desk()
    desk.ms += login_attempts.KNOWN_MS + 1
    assert desk.place(HERE, desk.browser).kind == STRANGER
    desk.core.store.db.executemany(
        "INSERT INTO known_places VALUES (?, ?)",
        [(n.to_bytes(16), desk.ms + n) for n in range(login_attempts.KNOWN_MAX + 100)],
    )
    kept.forget(desk.core)
    assert (
        desk.core.store.db.execute("SELECT count(*) FROM known_places").fetchone()[0]
        == login_attempts.KNOWN_MAX
    )


def test_what_is_counted_stays_bounded_and_a_lock_is_not_flushed_away() -> None:
    """However many logins are tried: what is forgotten first is older than the longest lock."""
    desk = Desk()
    desk.core.store.db.executemany(
        "INSERT INTO sign_in_tries VALUES (?, x'01', 1, ?, 0)",
        [(n.to_bytes(16), desk.ms - 2 * HOUR_MS + n) for n in range(login_attempts.KEPT_MAX + 1000)],
    )
    desk.wrong(desk.place(ELSEWHERE), "ann", 5)
    kept.forget(desk.core)
    count = desk.core.store.db.execute("SELECT count(*) FROM sign_in_tries").fetchone()[0]
    assert count == login_attempts.KEPT_MAX
    assert not desk.may_try(desk.place(ELSEWHERE))
    desk.ms += login_attempts.FORGOTTEN_MS + HOUR_MS
    while desk.core.store.db.execute("SELECT count(*) FROM sign_in_tries").fetchone()[0]:
        kept.forget(desk.core)


def test_a_clock_that_is_set_back_locks_nobody_out_for_a_year() -> None:
    """A lock lasts an hour at most, by whatever clock."""
    desk = Desk()
    place = desk.place(ELSEWHERE)
    desk.wrong(place, "ann", 5)
    assert not desk.may_try(place)
    desk.ms -= 365 * 24 * HOUR_MS
    assert desk.may_try(place)


def test_nobody_who_guesses_fills_the_event_log() -> None:
    """Logins that are nobody's are noted once a minute, with their number, and never as locked."""
    desk = Desk()
    for n in range(500):
        desk.ms += 100
        tried = sign_in.Try(f"login{n}", desk.place(ELSEWHERE), None, "", None, "A" * 32, 0)
        with pytest.raises(Refused, match="wrong_sign_in"):
            sign_in.sign_in(desk.core, tried, "000000", is_right=False)
        attempt_counters.due(desk.core)
    assert [facts["count"] for facts in desk.noted("sign_in_failed")] == [1]
    desk.ms += attempt_counters.EVERY_MS
    attempt_counters.due(desk.core)
    attempt_counters.due(desk.core)
    assert [facts["count"] for facts in desk.noted("sign_in_failed")] == [1, 499]
    for _ in range(5):
        sign_in.try_sign_in(desk.core, "nobody", desk.place(ELSEWHERE))
    assert desk.noted("sign_in_locked") == []


def test_no_login_and_no_address_can_be_read_in_the_tables() -> None:
    """Words under a key outside the database, 16 bytes each, or nothing."""
    desk = Desk()
    desk.wrong(desk.place(ELSEWHERE), "bob", 2)
    dump = "\n".join(desk.core.store.db.iterdump())
    for hidden in ("bob", b"bob".hex(), ELSEWHERE, "2001:db8:5:6", HERE, desk.browser):
        assert hidden not in dump
