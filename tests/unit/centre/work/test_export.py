"""An incident on paper and as JSON, and that a stranger can check it with what is in the file alone."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from centre.commands import main
from centre.platform import signing
from centre.platform.home import Home
from centre.rules import access
from centre.rules.cases import CaseFile, Person, Stalker
from centre.store import Row, Store
from centre.work import cases, event_log, running_log
from centre.work.core import Core
from centre.work.export import export
from tests.browser.chromium import CHROMIUM
from tests.unit.centre.parts import granted, signed_in
from tests.unit.centre.work.parts import HAND, Night

FILE = CaseFile("GE 55.L1.000123/26", "high", Person("Anna <Muster>"), Stalker("Max Muster"), "Ring nobody.")


class Told(Night):
    """A night of somebody's case, and another's press in between."""

    def __init__(self, home: Path) -> None:
        Home(home)
        super().__init__(home / "centre.sqlite")
        self.at = ("--home", str(home))
        self.home = home
        manager = signed_in(self.core, access.CASE_MANAGER, zone="Brussels North")
        self.case_id = cases.open_case(self.core, manager, FILE)
        granted(self.core, manager, self.case_id, HAND)
        self.incident_id = self.press(1)
        self.other = self.press(2)
        self.follow(self.incident_id, *range(30))
        self.call_off(self.incident_id)
        self.close(self.incident_id)
        Home(home).write("sealing.key", self.sealing_key)

    def export(self, *arguments: str, to: Path) -> int:
        return main(["export", *arguments, "--to", str(to), *self.at])


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "home")


def of(to: Path, incident_id: str) -> dict[str, Any]:
    return dict(json.loads((to / f"incident-{incident_id}.json").read_text("utf-8")))


def hashed(found: dict[str, Any]) -> bytes:
    """The chain's last hash, reckoned as `how` says, by nothing of ours."""
    entries = {entry["seq"]: entry for entry in found["chain"]["entries"]}
    before = bytes.fromhex(found["chain"]["before"])
    for seq, link_hex in found["chain"]["links"]:
        link = bytes.fromhex(link_hex)
        before = hashlib.sha256(before + link).digest()
        if seq not in entries:
            continue
        entry = entries[seq]
        digest = hashlib.sha256(bytes.fromhex(entry["salt"]) + entry["content"].encode()).digest()
        head = hashlib.sha256()
        for name in ("seq", "at_ms", "kind", "actor", "incident_id", "case_id", "device_id"):
            raw = b"" if entry[name] is None else str(entry[name]).encode()
            head.update(len(raw).to_bytes(4, "big") + raw)
        head.update(digest)
        assert head.digest() == link
        assert before.hex() == entry["hash"]
    return before


def test_a_stranger_can_check_it(told: Told, tmp_path: Path) -> None:
    """With hashlib and Ed25519 alone; and nothing of the other incident is in it."""
    assert told.export(told.case_id, "--incident", told.incident_id, to=tmp_path / "out") == 0
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())] == [".html", ".json"]
    found = of(tmp_path / "out", told.incident_id)
    assert told.other not in json.dumps(found)
    signed = found["chain"]["signature"]
    last = hashed(found)
    assert last.hex() == signed["hash"]
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(found["chain"]["public_key"] + "="))
    text = f"amr-centre log 1\n{signed['day']}\n{signed['at_ms']}\n{signed['seq']}\n".encode()
    key.verify(base64.urlsafe_b64decode(signed["signature"] + "=="), text + last)
    assert len(found["positions"]) == 31
    assert [stage["stage"] for stage in found["stages"]][-1] == "CLOSED"


def test_a_changed_export_shows(told: Told, tmp_path: Path) -> None:
    """One word in one entry."""
    told.export(told.case_id, to=tmp_path / "out")
    found = of(tmp_path / "out", told.incident_id)
    found["chain"]["entries"][0]["actor"] = "bridge:NOBODY22"
    with pytest.raises(AssertionError):
        hashed(found)


def test_every_export_is_noted(told: Told, tmp_path: Path) -> None:
    """Who has taken what out."""
    told.export(told.case_id, to=tmp_path / "out")
    entries = event_log.of_case(told.core, told.case_id)[-2:]
    assert [entry.entry.kind for entry in entries] == ["exported", "exported"]
    assert {entry.entry.incident_id for entry in entries} == {told.incident_id, told.other}


def test_nothing_is_overwritten_and_what_is_not_here_is_said(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence each; a directory is whole or is not there."""
    (tmp_path / "out").mkdir()
    assert told.export(told.case_id, to=tmp_path / "out") == 2
    assert told.export("NOSUCH22", to=tmp_path / "new") == 1
    assert told.export(told.case_id, "--incident", "none", to=tmp_path / "new") == 1
    assert told.export(to=tmp_path / "new") == 2
    assert told.export(told.case_id, to=tmp_path / "nowhere/new") == 1
    assert capsys.readouterr().err.count("\n") == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out"]


def test_the_running_log_is_in_it_word_for_word(told: Told, tmp_path: Path) -> None:
    """However long a remark is; on the page and in the file, under its author."""
    words = "Neighbour <rang>. " + "x" * 1900
    running_log.remark(told.core, told.operator, told.incident_id, words)
    running_log.send_patrol(told.core, told.operator, told.other, "Zone 12")
    for incident_id in (told.incident_id, told.other):
        assert told.export("--incident", incident_id, to=tmp_path / incident_id) == 0
    last = of(tmp_path / told.incident_id, told.incident_id)["running_log"][-1]
    assert (last["kind"], last["by"], last["text"]) == ("remark", "Operator", words)
    page = (tmp_path / told.incident_id / f"incident-{told.incident_id}.html").read_text("utf-8")
    assert words.replace("<", "&lt;").replace(">", "&gt;") in page
    page = (tmp_path / told.other / f"incident-{told.other}.html").read_text("utf-8")
    assert "patrol Zone 12: sent" in " ".join(page.split())


def test_names_are_escaped_and_there_only_while_the_case_is(told: Told, tmp_path: Path) -> None:
    """A name is what somebody has typed."""
    told.export(told.case_id, to=tmp_path / "out")
    page = (tmp_path / "out" / f"incident-{told.incident_id}.html").read_text("utf-8")
    assert "Anna &lt;Muster&gt;" in page
    assert "UNDER DURESS" in page
    with told.core.store.transaction():
        told.core.store.db.execute("UPDATE cases SET file_sealed = NULL")
    told.export(told.case_id, to=tmp_path / "later")
    for path in (tmp_path / "later").iterdir():
        assert "Muster" not in path.read_text("utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize(
    "language",
    [pytest.param(name, marks=() if name == "de" else pytest.mark.slow) for name in access.LANGUAGES],
)
def test_it_prints(told: Told, tmp_path: Path, language: str) -> None:
    """A real browser makes a PDF of it, in every language."""
    told.export(told.case_id, "--language", language, to=tmp_path / "out")
    page, pdf = tmp_path / "out" / f"incident-{told.incident_id}.html", tmp_path / "out.pdf"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    subprocess.run(
        [str(CHROMIUM), *flags, f"--print-to-pdf={pdf}", page.as_uri()], check=True, capture_output=True
    )
    assert pdf.read_bytes().startswith(b"%PDF")


def test_no_alarm_waits_for_an_export(told: Told) -> None:
    """It reads a year of the log: presses are taken meanwhile, and its chain is of one moment."""

    class Reader(Store):
        def each(self, query: str, **values: Any) -> Iterator[Row]:
            if query == "log_span":
                told.press(3)
            return super().each(query, **values)

    reader = Core(Reader(str(told.home / "centre.sqlite")), told.core.sealer)
    told.core.store.db.execute("PRAGMA busy_timeout = 0")
    found = export(reader, "command", told.incident_id, signing.key_of(Home(told.home)))
    assert found["incident"]["incident_id"] == told.incident_id
    hashed(found)
    reader.store.close()
