"""How a page is made: a template, a language, what is to be shown. Every value is escaped (Jinja2)."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from centre.api.routing import Route, anyone, unchanging
from centre.console import words
from centre.console.guard import csrf
from centre.platform import time_zone
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import Refused

_HERE = Path(__file__).parent
# What the bar at the top of a role's pages leads to: only what is there (a test walks them).
LINKS: dict[str, tuple[tuple[str, str], ...]] = {
    access.OPERATOR: (
        ("/console", "common.board"),
        ("/console/open", "board.all_open"),
        ("/console/shift", "acts.shift"),
    ),
    access.CASE_MANAGER: (
        ("/console/cases", "cases.title"),
        ("/console/report", "report.title"),
        ("/console/standing-order", "acts.order_page"),
    ),
    access.INSTITUTE: (("/console/figures", "figures.title"),),
    access.ADMINISTRATOR: (
        ("/console/administration", "administration.title"),
        ("/console/administration/users", "administration.users"),
        ("/console/administration/log", "log_page.title"),
        ("/console/standing-order", "acts.order_page"),
    ),
}
LANGUAGES = {"fr": "Français", "nl": "Nederlands", "de": "Deutsch", "en": "English"}
assert tuple(LANGUAGES) == access.LANGUAGES
_STATIC = "/console/static/"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}

templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, language: str, **shown: Any) -> str:
    """`t(key, **values)` in the template says the words of `key`, with the values escaped."""

    def t(key: str, **values: object) -> Markup:
        text = Markup(words.say(language, key))  # noqa: S704  ours, not theirs; `format` escapes the values
        return text.format(**values) if values else text

    always = {
        "t": t,
        "language": language,
        "languages": LANGUAGES,
        "caller": None,
        "charge": partial(words.charge, language),
        "zone": time_zone.label(),
        "zone_name": time_zone.own_name(),
    }
    return templates.get_template(template).render(always | shown)


def compile_now(*names: str) -> None:
    """Before anybody waits for them: the first use of a template takes tens of milliseconds."""
    for name in names:
        templates.get_template(name)


def page(template: str, caller: Caller, **shown: Any) -> web.Response:
    """Answer with a whole page for somebody signed in; `csrf` is what its forms must carry."""
    frame = {"caller": caller, "links": LINKS[caller.role], "csrf": csrf(caller)}
    text = render(template, caller.language, home=access.home_of(caller.role), **frame, **shown)
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


class Static:
    """Styles, scripts and pictures of the pages; nothing in them is secret."""

    def __init__(self) -> None:
        self._files = {
            path.relative_to(_HERE / "static").as_posix(): _with_tag(path.read_bytes())
            for path in sorted((_HERE / "static").rglob("*"))
            if path.suffix in TYPES
        }
        self.routes = tuple(
            Route("GET", f"{_STATIC}{folder}{{file}}", anyone, self.file) for folder in ("", "leaflet/")
        )

    async def file(self, request: web.Request, _caller: str) -> web.Response:
        name = request.path.removeprefix(_STATIC)
        if name not in self._files:
            raise Refused("unknown_path")
        charset = None if name.endswith(".png") else "utf-8"
        return unchanging(request, *self._files[name], TYPES[Path(name).suffix], charset)


def _with_tag(content: bytes) -> tuple[bytes, str]:
    return content, hashlib.sha256(content).hexdigest()
