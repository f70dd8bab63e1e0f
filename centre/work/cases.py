"""Cases: opened, found, read, changed, closed, erased. What is personal in them lies sealed.

A case manager works on the cases of one police zone; another zone's is as unknown there as none.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from centre.platform.sealing import Broken
from centre.rules import cases, text, times
from centre.rules.access import Caller
from centre.rules.carriers import Notice
from centre.rules.cases import CaseFile
from centre.rules.grants import Grant
from centre.rules.refusals import Refused
from centre.rules.supervision import LossKind
from centre.store import Row
from centre.work import carriers, case_access, event_log, grants, supervision
from centre.work.buttons import BASE32
from centre.work.case_access import CaseRecord
from centre.work.core import Core

PAGE_CASES = 50
DUE_SHOWN_MAX = 50
ENTRIES_AT_ONCE_MAX = 200
_LAST_MS = 2**62


@dataclass(frozen=True, slots=True)
class Listed:
    """A case as the list shows it; where its file does not open, without what stands in it."""

    case_id: str
    number: str
    name: str
    danger: str
    opened_at_ms: int
    closed_at_ms: int | None
    grant: Grant | None
    buttons: int
    is_broken: bool
    unheard: tuple[LossKind, ...] = ()  # what of its buttons and phones is out of supervision now
    faults: tuple[Notice, ...] = ()  # of its buttons' ways without a phone


@dataclass(frozen=True, slots=True)
class Listing:
    """`due`: their grant is to be reviewed, or has ended. `next`: where the next page begins, or ""."""

    due: list[Listed]
    cases: list[Listed]
    next: str


def open_case(core: Core, caller: Caller, file: CaseFile) -> str:
    """Open a new case of the caller's zone; return its case_id."""
    assert caller.zone
    case_id = "".join(secrets.choice(BASE32) for _ in range(8))
    with core.store.transaction():
        sealed, now_ms = _sealed(core, case_id, file), core.now_ms()
        core.store.run("open_case", case_id=case_id, zone=caller.zone, file_sealed=sealed, now_ms=now_ms)
        _index(core, case_id, file)
        event_log.note(core, "case_opened", caller.actor, case_id=case_id)
    return case_id


def _sealed(core: Core, case_id: str, file: CaseFile) -> bytes:
    return core.sealer.seal(f"case:{case_id}", cases.write(file))


def _index(core: Core, case_id: str, file: CaseFile) -> None:
    core.store.run("forget_words", case_id=case_id)
    for word in cases.words_of(file):
        core.store.run("add_word", word_mac=core.sealer.word(word), case_id=case_id)


def file_of(core: Core, case_id: str) -> CaseFile | None:
    """Return a case's file, or None once it was erased. Whoever shows it to somebody notes "case_seen".

    Raises sealing.Broken.
    """
    row = core.store.one("case", case_id=case_id)
    return None if row is None or row["file_sealed"] is None else opened(core, case_id, row["file_sealed"])


def opened(core: Core, case_id: str, sealed: bytes) -> CaseFile:
    """Return the file that was sealed. Raises sealing.Broken, also where what opens is no file."""
    try:
        return cases.read(core.sealer.unseal(f"case:{case_id}", sealed))
    except (ValueError, TypeError, KeyError) as error:
        raise Broken(f"what was sealed of case:{case_id} is no file") from error


def look(core: Core, caller: Caller, case_id: str) -> tuple[CaseRecord, CaseFile | None]:
    """Return a case and its file, and note that the caller has seen it; None: the file does not open.

    Raises Refused("unknown_case").
    """
    with core.store.transaction():
        record = case_access.of_zone(core, caller, case_id)
        event_log.note(core, "case_seen", caller.actor, case_id=case_id)
    return record, _readable(core, record)


def look_into(core: Core, caller: Caller, case_id: str) -> tuple[CaseRecord, CaseFile]:
    """Do as `look`, but raise Refused("case_broken") where the file does not open."""
    record, file = look(core, caller, case_id)
    if file is None:
        raise Refused("case_broken")
    return record, file


def _readable(core: Core, record: CaseRecord) -> CaseFile | None:
    """Return the file, or None where it does not open: that hides no other, nor the rest of its case."""
    if record.file_sealed is None:
        return None
    try:
        return opened(core, record.case_id, record.file_sealed)
    except Broken:
        return None


def change_case(core: Core, caller: Caller, case_id: str, file: CaseFile, read_at_ms: int) -> None:
    """Change the whole file. `read_at_ms`: `changed_at_ms` of the file that the caller has read.

    Raises Refused: unknown_case, case_closed, changed_meanwhile, case_broken.
    """
    with core.store.transaction():
        record = case_access.of_zone(core, caller, case_id)
        if record.closed_at_ms is not None:
            raise Refused("case_closed")
        if record.changed_at_ms != read_at_ms:
            raise Refused("changed_meanwhile")
        before = _readable(core, record)
        if before is None:
            raise Refused("case_broken")
        names = cases.changed(before, file)
        if not names:
            return
        now_ms = max(core.now_ms(), read_at_ms + 1)  # it rises, whatever the clock does
        core.store.run(
            "change_case", case_id=case_id, file_sealed=_sealed(core, case_id, file), now_ms=now_ms
        )
        _index(core, case_id, file)
        event_log.note(core, "case_changed", caller.actor, case_id=case_id, fields=names)


def listing(core: Core, caller: Caller, *, closed: bool, find: str, after: str) -> Listing:
    """List one page of the zone's cases, the newest first.

    `find`: a case's or a button's id, a telephone number, or words, all of which must be there.

    Raises Refused("out_of_range") for an `after` that no page has given.
    """
    find = find.strip()
    rows = _found(core, caller, find, after) if find else _page(core, caller, closed, after)
    shown = rows[:PAGE_CASES]
    following = _cursor(shown[-1], closed, bool(find)) if len(rows) > PAGE_CASES else ""
    due: list[Row] = []
    if not (closed or find or after):
        today = times.day(core.now_ms())
        due = core.store.all("due_cases", zone=caller.zone, today=today, at_most=DUE_SHOWN_MAX)
    with core.store.transaction():
        ids = [row["case_id"] for row in [*due, *shown]]
        event_log.note(core, "cases_listed", caller.actor, cases=ids)
    return Listing([_listed(core, row) for row in due], [_listed(core, row) for row in shown], following)


def _page(core: Core, caller: Caller, closed: bool, after: str) -> list[Row]:
    at = [_LAST_MS, _LAST_MS] if closed else [_LAST_MS]
    *numbers, before_id = after.split("-") if after else [*map(str, at), "~"]
    if len(numbers) != len(at) or not all(n.isascii() and n.isdigit() and len(n) < 20 for n in numbers):
        raise Refused("out_of_range", "after is what the page before it has given", field="after")
    before_ms, *before_opened = (min(int(number), _LAST_MS) for number in numbers)
    values = {"zone": caller.zone, "before_ms": before_ms, "before_id": before_id, "at_most": PAGE_CASES + 1}
    if closed:
        return core.store.all("closed_cases", before_opened_ms=before_opened[0], **values)
    return core.store.all("open_cases", **values)


def _found(core: Core, caller: Caller, find: str, after: str) -> list[Row]:
    """Return the cases of the id that is asked for, else of the telephone number, else of the words."""
    words = text.words(find)
    page = {"zone": caller.zone, "after_id": after, "at_most": PAGE_CASES + 1}
    found = core.store.all("case_of_id", any_id="".join(words).upper(), **page)
    for asked in ([text.phone(find)], words[: cases.WORDS_ASKED_MAX]):
        if not found and asked and asked[0]:
            found = _found_by_words(core, list(filter(None, asked)), page)
    return found


def _found_by_words(core: Core, words: list[str], page: Mapping[str, object]) -> list[Row]:
    macs = [core.sealer.word(word) for word in words]
    macs += [macs[0]] * (cases.WORDS_ASKED_MAX - len(macs))
    named = {f"word_{number}": mac for number, mac in enumerate(macs, 1)}
    return core.store.all("found_cases", **page, **named)


def _cursor(row: Row, closed: bool, found: bool) -> str:
    if found:
        return str(row["case_id"])
    at = f"{row['opened_at_ms']}-{row['case_id']}"
    return f"{row['closed_at_ms']}-{at}" if closed else at


def _listed(core: Core, row: Row) -> Listed:
    file, which = _readable(core, case_access.record(row)), {"case_id": row["case_id"]}
    count = core.store.one("buttons_of_case_count", **which)
    assert count is not None
    return Listed(
        row["case_id"],
        file.number if file else "",
        file.person.name if file else "",
        file.danger if file else "",
        row["opened_at_ms"],
        row["closed_at_ms"],
        grants.last(core, row["case_id"]),
        count["count"],
        file is None,
        tuple(dict.fromkeys(loss.kind for loss in supervision.unheard(core, case_id=row["case_id"]))),
        tuple(carriers.faults_of_case(core, row["case_id"])),
    )


def set_photo(core: Core, caller: Caller, case_id: str, shows: str, image: bytes) -> None:
    """Keep a photo in place of the one before.

    Raises Refused: unknown_case, case_closed, bad_photo, out_of_range.
    """
    kind = cases.media_type(image)
    if shows not in cases.SHOWS:
        raise Refused("out_of_range", f"shows must be one of {', '.join(cases.SHOWS)}", field="shows")
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            raise Refused("case_closed")
        sealed = core.sealer.seal(_photo(case_id, shows), image)
        core.store.run("set_photo", case_id=case_id, shows=shows, media_type=kind, image_sealed=sealed)
        event_log.note(core, "photo_set", caller.actor, case_id=case_id, shows=shows)


def remove_photo(core: Core, caller: Caller, case_id: str, shows: str) -> None:
    """Remove a photo, if it is there. Raises Refused: unknown_case, case_closed."""
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            raise Refused("case_closed")
        if core.store.run("remove_photo", case_id=case_id, shows=shows):
            event_log.note(core, "photo_removed", caller.actor, case_id=case_id, shows=shows)


def look_at_photo(core: Core, caller: Caller, case_id: str, shows: str) -> tuple[str, bytes]:
    """Return a photo's media type and bytes, and note the look. Raises Refused: unknown_case, case_broken."""
    with core.store.transaction():
        case_access.of_zone(core, caller, case_id)
        photo = photo_of(core, case_id, shows)
        if photo is None:
            raise Refused("unknown_case")
        event_log.note(core, "photo_seen", caller.actor, case_id=case_id, shows=shows)
    return photo


def photo_of(core: Core, case_id: str, shows: str) -> tuple[str, bytes] | None:
    """Return a photo's media type and bytes, or None. Whoever shows it to somebody notes "photo_seen".

    Raises Refused("case_broken").
    """
    row = core.store.one("photo", case_id=case_id, shows=shows)
    if row is None:
        return None
    try:
        image = core.sealer.unseal(_photo(case_id, shows), row["image_sealed"])
    except Broken:
        raise Refused("case_broken") from None
    return row["media_type"], image


def photos_of(core: Core, case_id: str) -> list[str]:
    """Return what there are photos of."""
    there = {row["shows"] for row in core.store.all("photos", case_id=case_id)}
    return [shows for shows in cases.SHOWS if shows in there]


def _photo(case_id: str, shows: str) -> str:
    return f"photo:{case_id}:{shows}"


def close_case(core: Core, caller: Caller, case_id: str) -> None:
    """Close a case. Raises Refused: unknown_case, case_closed, buttons_out, grant_runs."""
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            raise Refused("case_closed")
        if _buttons_out(core, case_id):
            raise Refused("buttons_out")
        if grants.running(core, case_id) is not None:
            raise Refused("grant_runs")
        core.store.run("close_case", case_id=case_id, now_ms=core.now_ms())
        event_log.note(core, "case_closed", caller.actor, case_id=case_id)


def _buttons_out(core: Core, case_id: str) -> int:
    row = core.store.one("buttons_of_case_count", case_id=case_id)
    assert row is not None
    return int(row["count"])


def reopen_case(core: Core, caller: Caller, case_id: str) -> None:
    """Open a closed case again. Raises Refused("unknown_case")."""
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            core.store.run("reopen_case", case_id=case_id)
            event_log.note(core, "case_reopened", caller.actor, case_id=case_id)


def check_erasable(core: Core, case_id: str) -> None:
    """Refuse a case that cannot be erased. Raises Refused: unknown_case, case_open."""
    row = core.store.one("case", case_id=case_id)
    if row is None or row["erased_at_ms"] is not None:
        raise Refused("unknown_case")
    if row["closed_at_ms"] is None:
        raise Refused("case_open")


def erase_case(core: Core, actor: str, case_id: str) -> bool:
    """Erase everything that tells whose case it was; an empty tombstone stays, for what refers to it.

    First what the log tells of it, which can be long: so much in one transaction that no alarm waits for it.
    Return whether all is erased; else call it again. Raises Refused: unknown_case, case_open.
    """
    with core.store.transaction():
        check_erasable(core, case_id)
        at_most = {"erased": event_log.ERASED, "at_most": ENTRIES_AT_ONCE_MAX}
        seqs = [row["seq"] for row in core.store.all("log_of_case_to_erase", case_id=case_id, **at_most)]
        event_log.erase_entries(core, actor, seqs, why="case erased", case_id=case_id)
        if len(seqs) == ENTRIES_AT_ONCE_MAX:
            return False
        for query in ("forget_words", "remove_photos", "forget_references", "erase_place_networks"):
            core.store.run(query, case_id=case_id)
        core.store.run("erase_case", case_id=case_id, now_ms=core.now_ms())
        event_log.note(core, "case_erased", actor, case_id=case_id)
    return True
