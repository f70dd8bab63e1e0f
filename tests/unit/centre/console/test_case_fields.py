"""What a case manager writes is read by whoever goes there: every field of the file is everywhere."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from centre.api import openapi
from centre.console import cases as case_pages
from centre.console import pages, words
from centre.console.board_html import render_sheet
from centre.console.pages import render
from centre.rules import access, cases
from centre.rules.access import Caller
from centre.rules.cases import CaseFile
from centre.work.case_access import CaseRecord
from centre.work.case_history import History
from centre.work.incident_sheet import Incident, Sheet
from wire import receipts

MANAGER = Caller("U", "Ann", access.CASE_MANAGER, "5340", "en", "s")


def marker(name: str) -> str:
    """A word that is nowhere else."""
    return "Zq" + name.replace("_", "x").replace(".", "y").title()


def marked() -> CaseFile:
    """A file with a word of its own in every field that takes any."""
    values: dict[str, Any] = {name: marker(name) for name in cases.SINGLE} | {"danger": "extreme"}
    for part, kind in cases.PARTS.items():
        values[part] = kind(**{name: marker(f"{part}.{name}") for name in cases.FIELD_NAMES[part]})
    for part, kind in cases.LISTS.items():
        values[part] = (kind(**{name: marker(f"{part}.{name}") for name in cases.FIELD_NAMES[part]}),)
    return CaseFile(**values)


FILE = marked()
NAMES = [
    *(name for name in cases.SINGLE if name != "danger"),
    *(f"{part}.{name}" for part in cases.PARTS | cases.LISTS for name in cases.FIELD_NAMES[part]),
]


def form() -> str:
    values = cases.to_form(FILE)
    frame: Any = {"caller": MANAGER, "links": pages.LINKS[MANAGER.role], "home": "/", "csrf": ""}
    shown = case_pages.form_of(values) | {"case_id": "", "read_at_ms": 0, "refused": None}
    return render("case_form.html", "en", theirs={}, differs=[], **shown, **frame)


def case_page() -> str:
    record = CaseRecord("C", "5340", 1, 1, None, None)
    frame: Any = {"caller": MANAGER, "links": pages.LINKS[MANAGER.role], "home": "/", "csrf": ""}
    none: Any = {name: [] for name in ("photos", "shows", "grants", "buttons", "former", "free", "alarms")}
    shown = {"case": record, "file": FILE, "runs": None, "today": "2026-11-29", "form": {}, "refused": None}
    none["history"] = History([], [], True)
    more: Any = {
        "field_words": words.of_field,
        "minute": str,
        "grouped": str,
        "lists": cases.LISTS,
        "names": cases.FIELD_NAMES,
    }
    return render("case.html", "en", **shown, **none, **more, **frame)


def sheet() -> str:
    incident = Incident("i", "D", "button", "esp32", 1, 1, False, receipts.ACKNOWLEDGED, [(1, 1)], [], [])
    return render_sheet(Sheet(incident, FILE, "C"), "en", 1_795_000_000_000)


def export_page() -> str:
    exported: Any = {
        "exported_at": "", "format": "", "arrivals": [], "positions": [], "call_off": None, "stages": [],
        "people": {}, "chain": None, "running_log": [], "case": {"case_id": "C", "file": asdict(FILE)},
        "incident": {
            "incident_id": "i", "device_id": "D", "event": 1, "counter": 1,
            "opened_at_ms": 1, "exercise": None, "erased_at_ms": None,
        },
    }  # fmt: skip
    return render("export.html", "en", exported=exported, utc=str, local=str)


@pytest.mark.parametrize("place", [form, case_page, sheet, export_page], ids=lambda place: place.__name__)
def test_every_field_of_the_case_file_is_shown(place: Any) -> None:
    """A field that is added and left out somewhere is named here, with the place."""
    html = place()
    assert [name for name in NAMES if marker(name) not in html] == []


def test_every_field_of_the_case_file_is_in_openapi() -> None:
    """In the form of a new case and of a changed one."""
    paths = openapi.document()["paths"]
    for path in ("/console/cases", "/console/cases/{case}"):
        (content,) = paths[path]["post"]["requestBody"]["content"].values()
        schema = content["schema"]
        patterns = " ".join([*schema["properties"], *schema.get("patternProperties", {})])
        for name in NAMES:
            assert name in schema["properties"] or name.rpartition(".")[2] in patterns, f"{path}: {name}"
    assert {field.name for field in fields(CaseFile)} == {*cases.SINGLE, *cases.PARTS, *cases.LISTS}
