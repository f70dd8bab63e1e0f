"""The case manager's pages over HTTPS: who may come in, and what bad input gets."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from centre.rules import access
from centre.rules.cases import to_form
from sim.realtime.people import EXAMPLE, placeholder
from tests.unit.centre.parts import Hand, Phone, Serving, centre, core_at

HAND = Hand()
HTML = {"Accept": "text/html"}


async def enter(serving: Serving, phone: Phone, role: str = access.CASE_MANAGER, **who: Any) -> None:
    zone = {"zone": "5340"} if role == access.CASE_MANAGER else {}
    await phone.ask("GET", serving.entrance(role, **(zone | who)).removeprefix(serving.url))


async def opened(phone: Phone, **more: str) -> str:
    """A new case; its address."""
    form = to_form(EXAMPLE) | more
    headers = {"Origin": phone.url, **phone._form("POST", "/console/cases")}
    async with phone.session.post(
        phone.url + "/console/cases", data=form, headers=headers, allow_redirects=False
    ) as response:
        assert response.status == 303, await response.text()
        return response.headers["Location"]


async def test_whoever_is_no_case_manager_sees_nothing(tmp_path: Path) -> None:
    """Nobody, an operator, the Institute, an administrator: not a page, not a photo, not an act."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        at = await opened(phone)
        paths = ("/console/cases", "/console/cases/new", at, f"{at}/edit", f"{at}/photos/stalker")
        for role in (access.OPERATOR, access.INSTITUTE, access.ADMINISTRATOR):
            await enter(serving, phone, role)
            for path in (*paths, "/console/report"):
                assert (await phone.ask("GET", path))[1]["reason"] == "wrong_role"
            for path in (at, f"{at}/close", f"{at}/buttons", f"{at}/grants"):
                assert (await phone.ask("POST", path))[1]["reason"] == "wrong_role"
        await enter(serving, phone, login="neighbour", zone="5415")
        for path in paths[2:]:
            assert (await phone.ask("GET", path))[1]["reason"] == "unknown_case"
        assert (await phone.ask("POST", f"{at}/close"))[1]["reason"] == "unknown_case"
        phone.session.cookie_jar.clear()
        assert (await phone.ask("GET", at))[0] == 401


async def test_a_case_whose_file_is_damaged_is_one_row_that_says_so(tmp_path: Path) -> None:
    """The list and the other cases are as always; its page shows grants and buttons, no form of the file."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        broken, other = await opened(phone), await opened(phone)
        core = core_at(serving.home)
        case_id = broken.rpartition("/")[2]
        core.store.db.execute("UPDATE cases SET file_sealed = x'00' WHERE case_id = ?", (case_id,))
        core.store.close()
        status, page = await phone.ask("GET", "/console/cases", headers=HTML)
        assert status == 200
        assert "The file cannot be opened" in page
        assert EXAMPLE.person.name in page
        status, page = await phone.ask("GET", broken, headers=HTML)
        assert status == 200
        assert "ask your administrator for a backup" in page
        assert f"{broken}/edit" not in page
        assert (await phone.ask("GET", f"{broken}/edit"))[1]["reason"] == "case_broken"
        assert (await phone.ask("GET", other, headers=HTML))[0] == 200


async def test_html_in_every_field_is_text(tmp_path: Path) -> None:
    """On the list, the page and the form; also in what is searched for and what was refused."""
    evil = "<script>alert(1)</script>\"'><img src=x>"
    form = {
        name: value if name.endswith(("born_on", "position")) or name == "danger" else evil
        for name, value in to_form(EXAMPLE).items()
    }
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        at = await opened(phone, **form)
        pages = [(await phone.ask("GET", path))[1] for path in ("/console/cases", at, f"{at}/edit")]
        pages.append((await phone.ask("GET", "/console/cases", params={"find": evil}))[1])
        bad = form | {"danger": evil, "changed_at_ms": "1"}
        status, refused = await phone.ask("POST", at, data=bad, headers=HTML)
        assert status == 400
        for page in (*pages, refused):
            assert "<script>alert" not in page
            assert "<img src=x>" not in page


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"number": "x" * 161}, 422),
        ({"person.name": "Ann\u202eExample"}, 422),
        ({"person.born_on": "0000-00-00"}, 400),
        ({"do_first": "x" * 70_000}, 413),
    ],
)
async def test_a_bad_file_is_refused_and_stores_nothing(
    tmp_path: Path, change: dict[str, str], status: int
) -> None:
    """A user gets the form back with what was typed; a program gets a problem."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        form = to_form(EXAMPLE) | change
        assert (await phone.ask("POST", "/console/cases", data=form))[0] == status
        answer, page = await phone.ask("POST", "/console/cases", data=form, headers=HTML)
        assert answer == status
        if status != 413:
            assert EXAMPLE.do_first in page
        assert "Ann Example" not in (await phone.ask("GET", "/console/cases"))[1]


async def test_the_second_who_saves_is_shown_both(tmp_path: Path) -> None:
    """Nothing is overwritten; what the second has typed is not lost."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        at = await opened(phone)
        _, page = await phone.ask("GET", f"{at}/edit")
        (version,) = re.findall(r'name="changed_at_ms" value="(\d+)"', page)
        form = to_form(EXAMPLE) | {"changed_at_ms": version}
        assert (await phone.ask("POST", at, data=form | {"do_first": "first"}))[0] == 303
        status, page = await phone.ask("POST", at, data=form | {"do_first": "second"}, headers=HTML)
        assert status == 409
        assert ">first<" in page
        assert "second" in page
        assert "first" in (await phone.ask("GET", at))[1]


def form_of(photo: bytes, kind: str = "image/png") -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("photo", photo, filename="x.html", content_type=kind)
    return form


async def test_a_photo_comes_back_as_it_went_and_is_never_kept_elsewhere(tmp_path: Path) -> None:
    """Its type is what its bytes say; no cache keeps it, no browser guesses at it; sealed on the disk."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        at = f"{await opened(phone)}/photos/stalker"
        assert (await phone.ask("POST", at, data=form_of(placeholder(), "text/html")))[0] == 303
        async with phone.session.get(phone.url + at) as response:
            assert await response.read() == placeholder()
            assert response.content_type == "image/png"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Server"] == "amr-centre", "no version of anything"
        for bad, reason in (
            (b"<html><script>1</script>", "bad_photo"),
            (b"\xff\xd8\xff" + bytes(600 * 1024), "too_large"),
            (b"", "bad_photo"),
        ):
            assert (await phone.ask("POST", at, data=form_of(bad)))[1]["reason"] == reason
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        for body in (b"", b"--x", b"--x\r\n\r\n", b"junk" * 100, b"--x\r\nbad\r\n\r\n1\r\n--x--"):
            status, _ = await phone.ask("POST", at, data=body, headers=headers)
            assert 400 <= status < 500
    core = core_at(tmp_path)
    (row,) = core.store.db.execute("SELECT image_sealed FROM photos").fetchall()
    assert placeholder()[:16] not in row[0]
    core.store.close()


async def test_what_is_held_about_the_person_is_given_as_a_file(tmp_path: Path) -> None:
    """A ZIP with a neutral name, for the case's own zone alone."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        at = await opened(phone)
        headers = {"Origin": phone.url, **phone._form("POST", at)}
        async with phone.session.post(
            f"{phone.url}{at}/person-file", data={"language": "nl"}, headers=headers
        ) as response:
            assert response.content_type == "application/zip"
            assert response.headers["Content-Disposition"].endswith(f'"{at.rpartition("/")[2]}.zip"')
            assert (await response.read()).startswith(b"PK")
        assert (await phone.ask("POST", f"{at}/person-file", data={"language": "xx"}))[1][
            "field"
        ] == "language"
        await enter(serving, phone, login="neighbour", zone="5415")
        refused = await phone.ask("POST", f"{at}/person-file", data={"language": "nl"})
        assert refused[1]["reason"] == "unknown_case"
