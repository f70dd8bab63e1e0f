"""The pages beside a long history: made by bulk SQL, then timed as the server makes them, words and all."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

from centre.console import board_html as html
from centre.console import cases as case_page
from centre.console import pages
from centre.platform.home import Home
from centre.rules import access, incidents, times
from centre.rules import cases as rules
from centre.rules.cases import CaseFile, Person, Stalker
from centre.work import board as desk
from centre.work import cases, incident_sheet
from centre.work.core import open_core
from tests.unit.centre.parts import signed_in
from wire import codes, receipts

Rows = list[tuple[str, str, str, str]]

CASES = 100_000
INCIDENTS = 1_000_000
DAY_MS = 86_400_000
ZONE = "5340"
OPEN_CASES = 10  # one in so many
AT_LENGTH = 30  # runs from which on the history is that long; else a hundredth of it
WITHIN_MS = 100


class History:
    """Cases with a button each, and what they have been through; the last incident of all is open."""

    def __init__(self, path: Path, cases: int, incidents: int) -> None:
        self.core = open_core(Home(path))
        self._cases, self._incidents = cases, incidents
        self._now_ms = self.core.now_ms()
        self.manager = signed_in(self.core, access.CASE_MANAGER, zone=ZONE)
        self.operator = signed_in(self.core, access.OPERATOR)
        db = self.core.store.db
        db.execute("PRAGMA synchronous = OFF")  # while it is made
        with self.core.store.transaction():
            for table, columns, rows in self._tables():
                marks = ", ".join("?" * len(columns.split()))
                names = ", ".join(columns.split())
                db.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        db.execute("PRAGMA synchronous = FULL")
        self.core.store.one("checkpoint")  # else the first page that is looked at would do it
        self.open_incident = self._incident_id(incidents - 1)
        self.open_case = self._case_id((incidents - 1) % cases)

    def _tables(self) -> Iterator[tuple[str, str, Iterable[tuple[object, ...]]]]:
        every, count, root = range(self._cases), self._incidents, b"x" * 60
        yield (
            *("devices", "device_id kind board root_sealed alive_period_s imported_at_ms"),
            ((self._device_id(n), "button", "esp32", root, 900, 0) for n in every),
        )
        yield ("bridges", "bridge_id token_sha256 enrolled_at_ms", ((f"B{n}", f"T{n}", 0) for n in every))
        yield ("bridge_devices", "bridge_id device_id", ((f"B{n}", self._device_id(n)) for n in every))
        yield (
            *("cases", "case_id zone file_sealed opened_at_ms changed_at_ms closed_at_ms"),
            (self._case(n) for n in every),
        )
        yield "case_words", "word_mac case_id", self._words()
        yield (
            *("assignments", "device_id case_id given_at_ms taken_back_at_ms"),
            ((self._device_id(n), self._case_id(n), 0, None if n % OPEN_CASES == 0 else 1) for n in every),
        )
        yield (
            *("grants", "grant_id case_id reference starts_on review_on ends_on recorded_at_ms"),
            (
                (f"G{n}", self._case_id(n), f"R{n}", "2026-01-01", "2026-06-01", "2026-12-31", 0)
                for n in every
            ),
        )
        yield (
            *("incidents", "incident_id device_id event counter opened_at_ms device_revoked case_id stage"),
            (self._incident(n) for n in range(count)),
        )
        yield (
            *("alarms", "incident_id bridge_id path pressed_at_ms received_at_ms repeated_at_ms"),
            (
                (self._incident_id(n), f"B{n % self._cases}", "ble", *[self._at_ms(n)] * 3)
                for n in range(count)
            ),
        )
        yield (
            *("receipts", "incident_id stage proof at_ms"),
            (
                (self._incident_id(n), s, b"x" * 16, self._at_ms(n))
                for n in range(count)
                for s in self._stages(n)
            ),
        )
        yield (
            *("acts", "incident_id stage reason actor name at_ms"),
            (
                (
                    *(self._incident_id(n), receipts.CLOSED, "mis-press"),
                    *(self.operator.actor, self.operator.name, self._at_ms(n)),
                )
                for n in range(count - 1)
            ),
        )
        yield (
            *("fixes", "device_id incident_id bridge_id method lat lon radius_m taken_at_ms received_at_ms"),
            (
                (
                    *(self._device_id(n % self._cases), self._incident_id(n), f"B{n % self._cases}", "GNSS"),
                    *(50.8, 4.3, 20.0, self._at_ms(n), self._at_ms(n)),
                )
                for n in range(count)
            ),
        )

    def _case(self, n: int) -> tuple[object, ...]:
        file = CaseFile(f"BX-{n}", "high", Person(f"Ann Example{n}"), Stalker("Max Sample"), "Two officers.")
        sealed = self.core.sealer.seal(f"case:{self._case_id(n)}", rules.write(file))
        return self._case_id(n), ZONE, sealed, n, n, None if n % OPEN_CASES == 0 else n + 1

    def _words(self) -> Iterator[tuple[object, ...]]:
        for n in range(self._cases):
            for word in ("ann", f"example{n}", "max", "sample"):
                yield self.core.sealer.word(word), self._case_id(n)

    def _incident(self, n: int) -> tuple[object, ...]:
        who, stage = n % self._cases, max(self._stages(n))
        counter = 1 + n // self._cases
        return (
            *(self._incident_id(n), self._device_id(who), codes.ALARM, counter, self._at_ms(n), 0),
            *(self._case_id(who), stage),
        )

    def _stages(self, n: int) -> tuple[int, ...]:
        return (receipts.RECEIVED,) if n == self._incidents - 1 else (receipts.RECEIVED, receipts.CLOSED)

    def _at_ms(self, n: int) -> int:
        """Over a year until now."""
        return self._now_ms - (self._incidents - n) * (365 * DAY_MS // self._incidents)

    def _incident_id(self, n: int) -> str:
        return incidents.new_id(self._at_ms(n), n.to_bytes(4, "big"))

    @staticmethod
    def _case_id(n: int) -> str:
        return f"C{n * 7919 % 10_000_019:08d}"

    @staticmethod
    def _device_id(n: int) -> str:
        return f"D{n * 104_729 % 10_000_019:015d}".translate(str.maketrans("0189", "GHIJ"))


def looks(history: History) -> dict[str, Callable[[], object]]:
    """What is timed: the work and its page, as the routes do it."""
    core, operator, manager = history.core, history.operator, history.manager

    def now_ms() -> int:
        return core.now_ms()

    def board() -> object:
        now = desk.board(core)
        return html.render(now, "en", html.levels(now, now_ms(), 30))

    def listed(**asked: object) -> object:
        asked = {"closed": False, "find": "", "after": ""} | asked
        listing = cases.listing(core, manager, **asked)  # type: ignore[arg-type]
        day = times.day(now_ms())
        return pages.page("case_list.html", manager, listing=listing, today=day, minute=times.minute, **asked)

    def case() -> object:
        return pages.page(
            "case.html",
            manager,
            refused=None,
            form={},
            **case_page._shown(core, manager, history.open_case, 30, 60),
        )

    return {
        "the operator's board": board,
        "an incident's sheet": lambda: html.render_sheet(
            incident_sheet.sheet(core, operator, history.open_incident), "en", now_ms()
        ),
        "the list of cases": listed,
        "the list of closed cases": lambda: listed(closed=True),
        "a search for a name": lambda: listed(find="example4242"),
        "a search for a name that all have": lambda: listed(find="ann"),
        "a case": case,
    }


def rows(runs: int) -> Rows:
    """The median of `runs` of each, after the first, which compiles its template."""
    count, many = (CASES, INCIDENTS) if runs >= AT_LENGTH else (CASES // 100, INCIDENTS // 100)
    found: Rows = []
    with tempfile.TemporaryDirectory() as path:
        history = History(Path(path) / "home", count, many)
        for what, look in looks(history).items():
            took_ms = []
            for _ in range(runs + 1):
                since_s = time.perf_counter()
                look()
                took_ms.append((time.perf_counter() - since_s) * 1000)
            first, *others = took_ms
            note = f"worst {max(others):.1f} ms, the first {first:.1f} ms"
            what = f"{what}, beside {count:,} cases and {many:,} past incidents"
            found.append((what, f"{median(others):.1f} ms", f"< {WITHIN_MS} ms", note))
        history.core.store.close()
    return found
