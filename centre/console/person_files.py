"""What is held about a protected person, as a file with a page to read: for the page and the command."""

from datetime import datetime

from centre.console import pages, words
from centre.console.words import of_field
from centre.rules.sightings import cell_text
from centre.work import person_file
from centre.work.core import Core


def made(core: Core, case_id: str, language: str) -> bytes:
    """Return the ZIP. Raises Refused: unknown_case, case_broken."""
    facts = person_file.held(core, case_id)
    page = pages.render(
        "person_file.html",
        language,
        facts=facts,
        when=_when,
        kind_words=lambda kind: words.find(language, f"log.{kind}") or kind,
        role_words=lambda role: (
            words.find(language, f"common.role_{role}") or words.say(language, "log.by_centre")
        ),
        field_words=of_field,
        cell_text=cell_text,
    )
    return person_file.packed(core, facts, page)


def _when(text: str | None) -> str:
    """Write a time as people read it, where the centre stands."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M") if text else "–"
