"""The case manager's routes: the list, one case, its file, photos and grants (buttons: assignments.py)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from centre.api.routing import Route, read_form, wants_html
from centre.console import pages, person_files, told, uploads, words
from centre.console.guard import Guard
from centre.platform.log import now_ms
from centre.platform.worker import Worker
from centre.rules import access, text, times
from centre.rules import cases as rules
from centre.rules import sightings as seen_rules
from centre.rules.access import CASE_MANAGER, Caller
from centre.rules.refusals import REASONS, Refused
from centre.work import assignments, case_history, cases, grants, person_file, reports, sightings

LIST = "/console/cases"
ROWS_SPARE = 3  # empty ones, in each of a form's lists; more once they are filled


class Cases:
    def __init__(
        self, worker: Worker, looks: Worker, guard: Guard, test_every_days: int, alive_s: int
    ) -> None:
        """Make the routes. `looks`: a thread that only reads, for which no alarm waits."""
        self._looks = looks
        self._worker, self._shown = worker, partial(_shown, test_every_days=test_every_days, alive_s=alive_s)
        sees, does = guard.sees(CASE_MANAGER), guard.does(CASE_MANAGER)
        uploads_photo = guard.does(CASE_MANAGER, read=uploads.read_upload)
        one = f"{LIST}/{{case}}"
        self.routes = (
            Route("GET", LIST, sees, self.list),
            Route("GET", f"{LIST}/new", sees, self.blank),
            Route("POST", LIST, does, self.open),
            Route("GET", one, sees, self.case),
            Route("GET", f"{one}/edit", sees, self.edit),
            Route("POST", one, does, self.change),
            Route("POST", f"{one}/close", does, self.act(lambda _: cases.close_case)),
            Route("POST", f"{one}/reopen", does, self.act(lambda _: cases.reopen_case)),
            Route("GET", f"{one}/photos/{{shows}}", sees, self.photo),
            Route("POST", f"{one}/photos/{{shows}}", uploads_photo, self.set_photo),
            Route("POST", f"{one}/photos/{{shows}}/remove", does, self.remove_photo),
            Route("POST", f"{one}/person-file", does, self.person_file),
            Route("POST", f"{one}/grants", does, self.act(_recording, "grants")),
            Route("POST", f"{one}/grants/{{grant}}/review", does, self.act(_reviewing, "grants")),
            Route("POST", f"{one}/grants/{{grant}}/end", does, self.act(_ending, "grants")),
        )

    async def list(self, request: web.Request, caller: Caller) -> web.Response:
        """Open ones, or closed ones, or those with the words of `find`; grants that are due on top."""
        find, after = request.query.get("find", "")[:200], request.query.get("after", "")[:60]
        closed = request.query.get("state") == "closed"
        work = partial(cases.listing, closed=closed, find=find, after=after)
        listing = await self._worker(work, caller)
        shown = {"listing": listing, "closed": closed, "find": find, "after": after}
        return pages.page("case_list.html", caller, **shown, today=_today(), minute=times.minute)

    async def blank(self, _request: web.Request, caller: Caller) -> web.Response:
        return self._form(caller, {})

    async def open(self, request: web.Request, caller: Caller) -> web.Response:
        """Open a new case, and go on to its page."""
        form = await read_form(request)
        try:
            case_id = await self._worker(cases.open_case, caller, rules.from_form(form))
        except Refused as refused:
            if not wants_html(request):
                raise
            return self._form(caller, form, refused=refused)
        return see(case_id)

    async def case(self, request: web.Request, caller: Caller) -> web.Response:
        return await self.show(request, caller)

    async def show(
        self, request: web.Request, caller: Caller, refused: Refused | None = None, form: Any = None
    ) -> web.Response:
        """Show the page of one case; with what was refused, and what was typed into the form of it."""
        shown = await self._worker(self._shown, caller, request.match_info["case"])
        page = pages.page("case.html", caller, refused=refused, form=form or {}, **shown)
        if refused is not None:
            page.set_status(REASONS[refused.reason][0])
        return page

    async def edit(self, request: web.Request, caller: Caller) -> web.Response:
        record, file = await self._worker(cases.look_into, caller, request.match_info["case"])
        return self._form(caller, rules.to_form(file), record.case_id, record.changed_at_ms)

    async def change(self, request: web.Request, caller: Caller) -> web.Response:
        """Change the whole file; where somebody else has changed it meanwhile, show both instead."""
        case_id, form = request.match_info["case"], await read_form(request)
        read_at_ms = _version(form)
        try:
            await self._worker(cases.change_case, caller, case_id, rules.from_form(form), read_at_ms)
        except Refused as refused:
            if not wants_html(request) or refused.reason == "unknown_case":
                raise
            theirs = None
            if refused.reason == "changed_meanwhile":
                record, file = await self._worker(cases.look_into, caller, case_id)
                read_at_ms, theirs = record.changed_at_ms, rules.to_form(file)
            return self._form(caller, form, case_id, read_at_ms, refused, theirs)
        return see(case_id)

    def _form(
        self,
        caller: Caller,
        form: dict[str, str],
        case_id: str = "",
        read_at_ms: int = 0,
        refused: Refused | None = None,
        theirs: dict[str, str] | None = None,
    ) -> web.Response:
        differs = sorted(name for name, value in (theirs or {}).items() if form.get(name, "") != value)
        page = pages.page(
            "case_form.html",
            caller,
            **form_of(form),
            case_id=case_id,
            read_at_ms=read_at_ms,
            refused=refused,
            theirs=theirs or {},
            differs=differs,
        )
        if refused is not None:
            page.set_status(REASONS[refused.reason][0])
        return page

    async def photo(self, request: web.Request, caller: Caller) -> web.Response:
        case_id, shows = request.match_info["case"], request.match_info["shows"]
        kind, image = await self._worker(cases.look_at_photo, caller, case_id, shows)
        headers = {"Cache-Control": "no-store", "Content-Disposition": "inline"}
        return web.Response(body=image, content_type=kind, headers=headers)

    async def set_photo(self, request: web.Request, caller: Caller) -> web.Response:
        """Keep a JPEG or PNG of at most 512 KiB as it is: what the camera wrote into it stays in it."""
        case_id, shows = request.match_info["case"], request.match_info["shows"]
        work = partial(cases.set_photo, shows=shows, image=await uploads.photo_of(request))
        return await self.acted(request, caller, partial(self._worker, work, caller, case_id), "photos")

    async def remove_photo(self, request: web.Request, caller: Caller) -> web.Response:
        case_id, shows = request.match_info["case"], request.match_info["shows"]
        work = partial(self._worker, cases.remove_photo, caller, case_id, shows)
        return await self.acted(request, caller, work, "photos")

    async def person_file(self, request: web.Request, caller: Caller) -> web.Response:
        """Answer with what is held about the person, as a file to give; noted before it is given."""
        case_id, language = request.match_info["case"], (await read_form(request)).get("language", "")
        if language not in access.LANGUAGES:
            raise Refused("out_of_range", "language must be one of fr, nl, de, en", field="language")
        await self._worker(person_file.give_by, caller, case_id)
        content = await self._looks(partial(person_files.made, case_id=case_id, language=language))
        name = f'attachment; filename="{case_id}.zip"'
        headers = {"Cache-Control": "no-store", "Content-Disposition": name}
        return web.Response(body=content, content_type="application/zip", headers=headers)

    def act(
        self, chosen: Callable[[dict[str, str]], Callable[..., Any]], part: str = ""
    ) -> Callable[[web.Request, Caller], Awaitable[web.Response]]:
        """Make a route that does what `chosen` makes of its form and address, and shows the case again."""

        async def act(request: web.Request, caller: Caller) -> web.Response:
            form = await read_form(request)
            work = chosen(form | dict(request.match_info))
            return await self.acted(
                request, caller, partial(self._worker, work, caller, request.match_info["case"]), part, form
            )

        return act

    async def acted(
        self,
        request: web.Request,
        caller: Caller,
        work: Callable[[], Awaitable[Any]],
        part: str,
        form: dict[str, str] | None = None,
    ) -> web.Response:
        """Do it and show the case again, where a person asks also with what was refused."""
        try:
            await work()
        except Refused as refused:
            if not wants_html(request) or refused.reason == "unknown_case":
                raise
            return await self.show(request, caller, refused, form)
        return see(request.match_info["case"], part)


def form_of(form: dict[str, str]) -> dict[str, Any]:
    """Return what the form of a case file is made of: its fields, their bounds, and what stands in them."""
    rows = {kind: range(min(rules.ROWS_MAX, _rows_filled(form, kind) + ROWS_SPARE)) for kind in rules.LISTS}
    return {
        "form": form,
        "rows": rows,
        "dangers": rules.DANGERS,
        "parts": rules.PARTS,
        "lists": rules.LISTS,
        "names": rules.FIELD_NAMES,
        "texts": rules.TEXTS,
        "line_max": rules.LINE_CHARS_MAX,
        "text_max": rules.TEXT_CHARS_MAX,
    }


def see(case_id: str, part: str = "") -> web.Response:
    """Back to the case's page, after something was done."""
    at = f"{LIST}/{case_id}" + (f"#{part}" if part else "")
    return web.Response(status=303, headers={"Location": at, "Cache-Control": "no-store"})


def _shown(core: Any, caller: Caller, case_id: str, test_every_days: int, alive_s: int) -> dict[str, Any]:
    """All that the page of a case shows, from one moment."""
    record, file = cases.look(core, caller, case_id)
    held, former = assignments.of_case(core, case_id, test_every_days, alive_s)
    return {
        "case": record,
        "file": file,
        "lists": rules.LISTS,
        "names": rules.FIELD_NAMES,
        "photos": cases.photos_of(core, case_id),
        "shows": rules.SHOWS,
        "grants": grants.all_of(core, case_id),
        "runs": grants.running(core, case_id),
        "buttons": held,
        "former": former,
        "seen": {one.device_id: sightings.of_last_test(core, case_id, one.device_id) for one in held},
        "stays": seen_rules.stays,
        "places": [place.name for place in rules.registered_places(file)] if file else [],
        "networks": sightings.networks_of(core, case_id),
        "free": assignments.free(core),
        "alarms": reports.of_case(core, case_id),
        "history": case_history.of_case(core, case_id),
        "field_words": words.of_field,
        "today": times.day(core.now_ms()),
        "minute": times.minute,
        "grouped": grouped,
        "told": partial(told.say, caller.language),
    }


def grouped(device_id: str) -> str:
    """As it is printed on the button, and easier to compare."""
    return " ".join(device_id[at : at + 4] for at in range(0, len(device_id), 4))


def _recording(form: dict[str, str]) -> Callable[..., Any]:
    days = {name: form.get(name, "").strip() for name in ("starts_on", "review_on", "ends_on")}
    recording: Callable[..., Any] = grants.record
    return partial(recording, reference=text.clean(form.get("reference", "")), **days)


def _reviewing(form: dict[str, str]) -> Callable[..., Any]:
    return partial(grants.review, grant_id=form["grant"], review_on=form.get("review_on", "").strip())


def _ending(form: dict[str, str]) -> Callable[..., Any]:
    return partial(grants.end, grant_id=form["grant"], ended_on=form.get("ended_on", "").strip())


def _rows_filled(form: dict[str, str], kind: str) -> int:
    """How many rows of a form's list reach as far as the last one that is not empty."""
    numbers = [name.split(".")[1] for name, value in form.items() if name.startswith(f"{kind}.") and value]
    return max((int(n) + 1 for n in numbers if n.isascii() and n.isdigit() and len(n) < 3), default=0)


def _version(form: dict[str, str]) -> int:
    """Read which file was changed. Raises Refused("out_of_range")."""
    text = form.get("changed_at_ms", "")
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        raise Refused("out_of_range", "changed_at_ms is the file's that was read", field="changed_at_ms")
    return int(text)


def _today() -> str:
    return times.day(int(now_ms()))
