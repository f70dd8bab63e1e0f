"""Whoever changes the event log is found out; each test is one thing that an attacker may do."""

import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.commands import main
from centre.platform import signing
from centre.platform.home import Home
from centre.platform.sealing import Sealer
from centre.rules import event_log as rules
from centre.rules.event_log import Entry
from centre.work import event_log, verify_log
from centre.work.core import Core
from centre.work.verify_log import Seen
from tests.parts import database_at
from tests.unit.centre.parts import core_at, store_at
from tests.unit.centre.work.parts import DAY_MS, Night

COLUMNS = ("seq", "at_ms", "kind", "actor", "incident_id", "case_id", "device_id", "sealed", "digest", "hash")


class Signed(Night):
    """A night whose log was signed, in the morning and again a day after one more press."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.key = Ed25519PrivateKey.generate()
        self.incident_id = self.whole()
        assert event_log.sign(self.core, self.key)
        self.now_ms += DAY_MS
        self.press(2)
        assert event_log.sign(self.core, self.key)
        self.press(3)
        self.attacker = database_at(path, isolation_level=None)
        self.attacker.execute("PRAGMA foreign_keys = OFF")
        for name in ("log_is_not_deleted", "log_is_only_erased"):
            self.attacker.execute(f"DROP TRIGGER {name}")

    def erase(self) -> int:
        """What the log tells of the incident, as when its term is over; how many entries."""
        which = {"erased": event_log.ERASED, "at_most": 100, "incident_id": self.incident_id}
        seqs = [row["seq"] for row in self.core.store.all("log_to_erase", **which)]
        event_log.erase_entries(self.core, "centre", seqs, why="term", incident_id=self.incident_id)
        return len(seqs)

    def findings(self, **known: tuple[int, bytes]) -> list[str]:
        return list(verify_log.verify(self.core, self.key.public_key(), Seen(), **known))

    def rehash(self, first: int) -> None:
        """Make the chain fit again from entry `first` on, as an attacker would."""
        row = self.attacker.execute("SELECT hash FROM log WHERE seq = ?", (first - 1,)).fetchone()
        before = row[0] if row else rules.BEGINNING
        rows = self.attacker.execute("SELECT * FROM log WHERE seq >= ? ORDER BY seq", (first,)).fetchall()
        for row in rows:
            before = rules.chained(before, Entry(*row[:7]), row[8])
            self.attacker.execute("UPDATE log SET hash = ? WHERE seq = ?", (before, row[0]))


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path / "centre.sqlite")


def test_a_log_that_nobody_touched_holds(signed: Signed) -> None:
    """Also after contents were erased as they should be."""
    assert signed.findings() == []
    with signed.core.store.transaction():
        assert signed.erase() == 6
        assert signed.erase() == 0
    assert signed.findings() == []
    assert [told.content for told in event_log.of_incident(signed.core, signed.incident_id)][:6] == [None] * 6


def test_one_changed_byte_shows(signed: Signed) -> None:
    """Any bit, of any column, of any entry; and when it is as it was, the log holds again."""
    attacker = signed.attacker
    count = attacker.execute("SELECT count(*) FROM log").fetchone()[0]
    for seed in range(40):
        dice = random.Random(seed)
        seq, column = dice.randint(1, count), dice.choice(COLUMNS)
        value = attacker.execute(f"SELECT {column} FROM log WHERE seq = ?", (seq,)).fetchone()[0]  # noqa: S608
        other = _other(value, dice)
        where = seq if column != "seq" else other
        attacker.execute(f"UPDATE log SET {column} = ? WHERE seq = ?", (other, seq))  # noqa: S608
        assert any(f"{seq}" in finding for finding in signed.findings()), (seed, seq, column)
        attacker.execute(f"UPDATE log SET {column} = ? WHERE seq = ?", (value, where))  # noqa: S608
    assert signed.findings() == []


def _other(value: object, dice: random.Random) -> object:
    """One bit of it turned; a word where there was none."""
    if isinstance(value, int):
        return value ^ (1 << dice.randrange(8, 40))
    raw = bytearray(value.encode() if isinstance(value, str) else value or b"x")  # type: ignore[call-overload]
    if value is not None:
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(7)
    return bytes(raw) if isinstance(value, bytes) else raw.decode()


def test_a_deleted_entry_shows(signed: Signed) -> None:
    """And says which are missing, also where the chain was made to fit again."""
    signed.attacker.execute("DELETE FROM log WHERE seq = 5")
    signed.rehash(6)
    findings = signed.findings()
    assert findings[0] == "entries 5 to 5 are missing"
    assert any("is not the one that was signed on" in finding for finding in findings)


def test_an_inserted_entry_shows(signed: Signed) -> None:
    """Something that never happened, put where it fits; the signature knows better."""
    signed.attacker.execute("UPDATE log SET seq = -seq - 1 WHERE seq >= 6")
    signed.attacker.execute("UPDATE log SET seq = -seq WHERE seq < 0")
    signed.attacker.execute(
        "INSERT INTO log SELECT 6, at_ms, kind, actor, incident_id, case_id, device_id, sealed, digest, hash "
        "FROM log WHERE seq = 5"
    )
    signed.rehash(6)
    assert any("entry" in finding and "signed on" in finding for finding in signed.findings())


def test_reordered_entries_show(signed: Signed) -> None:
    """Who was first matters."""
    for old, new in ((5, 0), (6, 5), (0, 6)):
        signed.attacker.execute("UPDATE log SET seq = ? WHERE seq = ?", (new, old))
    findings = signed.findings()
    assert any("entry 5" in finding for finding in findings)
    assert any("entry 6" in finding for finding in findings)


def test_a_cut_tail_shows_by_the_last_signature(signed: Signed) -> None:
    """And, for the latest, by what the tables know."""
    last = signed.attacker.execute("SELECT max(seq) FROM log").fetchone()[0]
    signed.attacker.execute("DELETE FROM log WHERE seq = ?", (last,))
    (finding,) = signed.findings()
    assert finding.endswith("has a receipt of stage 1 that no entry tells of")
    signed.attacker.execute("DELETE FROM log WHERE seq = ?", (last - 1,))
    assert any(f"but the log ends with entry {last - 2}" in finding for finding in signed.findings())


def test_a_head_written_down_elsewhere_must_still_be_there(signed: Signed) -> None:
    """Against whoever has the signing key too."""
    seen = Seen()
    list(verify_log.verify(signed.core, signed.key.public_key(), seen))
    assert signed.findings(known_head=seen.head) == []
    signed.attacker.execute("UPDATE log SET actor = 'user:ELSE' WHERE seq = ?", (seen.head[0],))
    signed.rehash(seen.head[0])
    assert signed.findings(known_head=seen.head) == [f"entry {seen.head[0]} is not the one that you know"]
    assert signed.findings(known_head=(99, bytes(32)))[-1].startswith("you know an entry 99")


def test_a_content_that_vanished_shows(signed: Signed) -> None:
    """Erased without an entry that says so."""
    signed.attacker.execute("UPDATE log SET sealed = NULL WHERE seq = 4")
    assert signed.findings() == ["the content of entry 4 is gone, and no entry tells that it was erased"]


def test_a_content_that_was_only_said_to_be_erased_shows(signed: Signed) -> None:
    """Somebody kept what should be gone."""
    seq, sealed = signed.attacker.execute("SELECT seq, sealed FROM log WHERE kind = 'called_off'").fetchone()
    with signed.core.store.transaction():
        signed.erase()
    signed.attacker.execute("UPDATE log SET sealed = ? WHERE seq = ?", (sealed, seq))
    (finding,) = signed.findings()
    assert finding.endswith(f"tells that entry {seq} was erased, but its content is there")


def test_an_erasing_that_lost_its_own_content_shows(signed: Signed) -> None:
    """What it named can then not be known."""
    with signed.core.store.transaction():
        signed.erase()
    (seq,) = signed.attacker.execute("SELECT seq FROM log WHERE kind = 'erased'").fetchone()
    signed.attacker.execute("UPDATE log SET sealed = NULL WHERE seq = ?", (seq,))
    assert f"entry {seq} tells what was erased, and cannot be read" in signed.findings()


def test_a_content_sealed_anew_shows(signed: Signed) -> None:
    """By somebody who has the sealing key: the chain holds its digest."""
    told = event_log.of_incident(signed.core, signed.incident_id)[2]
    assert told.salt
    assert told.content
    forged = told.salt + told.content.replace('"duress":1', '"duress":0').encode()
    sealed = signed.sealer.seal(f"log:{told.entry.seq}", forged)
    signed.attacker.execute("UPDATE log SET sealed = ? WHERE seq = ?", (sealed, told.entry.seq))
    assert signed.findings() == [f"the content of entry {told.entry.seq} is not the one that was written"]


def test_a_forged_signature_shows(signed: Signed) -> None:
    """By another key, or over something else."""
    (day, at_ms, seq, head) = signed.attacker.execute(
        "SELECT day, at_ms, seq, hash FROM log_signatures ORDER BY day DESC"
    ).fetchone()
    forged = Ed25519PrivateKey.generate().sign(rules.to_sign(day, at_ms, seq, head))
    signed.attacker.execute("UPDATE log_signatures SET signature = ? WHERE day = ?", (forged, day))
    (finding,) = signed.findings()
    assert finding.startswith(f"the signature of {day} is not by this key")


def test_an_incident_without_its_receipts_shows(signed: Signed) -> None:
    """The tables are held against the log, both ways."""
    signed.attacker.execute("DELETE FROM receipts WHERE incident_id = ? AND stage = 4", (signed.incident_id,))
    (finding,) = signed.findings()
    assert finding.endswith(f"tells of stage 4 of incident {signed.incident_id}: it is gone")


def test_a_day_is_signed_once_whatever_the_clock_does(signed: Signed) -> None:
    """A clock that jumped ahead and back signs nothing twice, and no later day is left out."""
    assert not event_log.sign(signed.core, signed.key)
    signed.now_ms += 400 * DAY_MS
    assert event_log.sign(signed.core, signed.key)
    signed.now_ms -= 399 * DAY_MS
    assert event_log.sign(signed.core, signed.key)
    assert not event_log.sign(signed.core, signed.key)
    signed.now_ms += 399 * DAY_MS
    assert not event_log.sign(signed.core, signed.key)
    assert signed.findings() == []


def test_the_command_tells_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 where all holds, 1 where not; the public key and the head can be written down."""
    home, at = Home(tmp_path / "home"), ["--home", str(tmp_path / "home")]
    core = core_at(home.path)
    key = signing.key_of(home)
    event_log.started(core, {})
    event_log.started(core, {})
    assert event_log.sign(core, key)
    assert main(["verify-log", *at]) == 0
    out = capsys.readouterr().out
    head = out.partition("head: ")[2].split()[0]
    public = out.partition("public key: ")[2].split()[0]
    assert public.startswith("--public-key=")
    assert main(["verify-log", *at, public, "--known-head", head]) == 0

    other = signing.write_public(Ed25519PrivateKey.generate().public_key())
    assert main(["verify-log", *at, f"--public-key={other}"]) == 1
    core.store.db.execute("DROP TRIGGER log_is_only_erased")
    core.store.db.execute("UPDATE log SET kind = CAST(x'ff' AS TEXT) WHERE seq = 1")
    capsys.readouterr()
    assert main(["verify-log", *at]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("entry 1 is not as it was written")
    assert "1 finding(s)" in told.err
    with pytest.raises(SystemExit):
        main(["verify-log", *at, "--known-head", "what"])


def test_a_broken_file_is_a_finding_and_no_traceback(signed: Signed) -> None:
    """A disk that lies."""
    signed.attacker.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    signed.attacker.execute("PRAGMA writable_schema = ON")
    (page,) = signed.attacker.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'log'").fetchone()
    signed.core.store.close()
    signed.attacker.close()
    with open(signed.path, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(64))
    core = Core(store_at(str(signed.path)), signed.sealer)
    assert any("damaged" in finding for finding in verify_log.verify(core, signed.key.public_key(), Seen()))


def test_another_sealing_key_reads_no_content(signed: Signed) -> None:
    """Every content is then told as changed: nothing is taken on trust."""
    signed.core.sealer = Sealer(bytes(32))
    assert len(signed.findings()) >= 6
