"""The centre's manners in HTTP: heads, methods, caches, what is no HTTP at all, pages of refusals."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from centre.console import words
from centre.rules import access
from centre.rules.access import LANGUAGES
from tests.unit.centre.parts import Phone, Serving, centre

HTML = {"Accept": "text/html"}


def trusting(serving: Serving) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=serving.authority.pem.decode())


async def said(serving: Serving, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Send these bytes; return the status line, the headers and the body that come back."""
    host, port = serving.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting(serving))
    writer.write(request)
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.lower().split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/alarms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
    ids=["words", "version", "header", "length", "two lengths", "long line", "binary"],
)
async def test_what_is_no_http_is_refused_as_all_else_is(tmp_path: Path, request_bytes: bytes) -> None:
    """A problem with a reason, our headers, and no library's version."""
    async with centre(tmp_path) as (serving, _):
        status, headers, body = await said(serving, request_bytes)
        assert status.split()[1] == "400"
        assert headers["content-type"].startswith("application/problem+json")
        assert json.loads(body)["reason"] == "malformed_http"
        assert headers["server"] == "amr-centre"
        assert "x-content-type-options" in headers
        for name in (b"aiohttp", b"Python"):
            assert name.lower() not in body.lower() + str(headers).encode()


async def enter(serving: Serving, phone: Phone, url: str) -> None:
    assert (await phone.ask("GET", url.removeprefix(serving.url)))[0] == 303


async def page_of(phone: Phone, path: str, **headers: str) -> tuple[int, str]:
    """Return what a person's browser gets, which the API's document does not tell of."""
    status, _, body = await asked(phone.session, "GET", phone.url + path, headers=HTML | headers)
    return status, body.decode()


async def asked(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, Any, bytes]:
    async with session.request(method, url, allow_redirects=False, **options) as response:
        return response.status, response.headers, await response.read()


async def test_a_head_is_a_get_without_its_body(tmp_path: Path) -> None:
    """For whatever can be got and does nothing; elsewhere 405 says what goes."""
    async with centre(tmp_path) as (serving, _), aiohttp.ClientSession() as session:
        tls = trusting(serving)
        for path in ("/ca.pem", "/openapi.json", "/console/sign-in", "/console/static/page.css", "/"):
            of_get = await asked(session, "GET", serving.url + path, ssl=tls)
            of_head = await asked(session, "HEAD", serving.url + path, ssl=tls)
            assert (of_head[0], of_head[2]) == (of_get[0], b""), path
            assert of_head[1].get("Content-Type") == of_get[1].get("Content-Type")
        for method, path, allowed in (
            ("HEAD", "/console/enter?key=x", {"GET"}),
            ("HEAD", "/v1/incidents/x/receipts", {"GET"}),
            ("HEAD", "/v1/alarms", {"POST"}),
            ("GET", "/v1/alarms", {"POST"}),
            ("DELETE", "/ca.pem", {"GET", "HEAD"}),
            ("PUT", "/console/sign-in", {"GET", "HEAD", "POST"}),
        ):
            status, headers, _ = await asked(session, method, serving.url + path, ssl=tls)
            assert (status, set(headers["Allow"].split(","))) == (405, allowed), (method, path)


async def test_an_invitation_is_not_used_up_by_who_only_asks_for_its_head(tmp_path: Path) -> None:
    """Programs that preview links do."""
    async with centre(tmp_path) as (serving, phone):
        url = serving.console_url
        assert (await asked(phone.session, "HEAD", url))[0] == 405
        await enter(serving, phone, url)


async def test_the_name_alone_leads_to_the_console(tmp_path: Path) -> None:
    """Whoever types it."""
    async with centre(tmp_path) as (serving, _), aiohttp.ClientSession() as session:
        status, headers, _ = await asked(session, "GET", f"{serving.url}/", ssl=trusting(serving))
        assert (status, headers["Location"]) == (303, "/console")


async def test_what_changes_with_a_release_alone_is_sent_once_and_compressed(tmp_path: Path) -> None:
    """Styles, scripts, the API's document; never a page, whose tokens its length would tell."""
    async with (
        centre(tmp_path) as (serving, _),
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        tls, small = trusting(serving), {"Accept-Encoding": "gzip"}
        for path in ("/openapi.json", "/console/static/page.js", "/console/static/leaflet/leaflet.css"):
            url = serving.url + path
            _, headers, whole = await asked(
                session, "GET", url, ssl=tls, headers={"Accept-Encoding": "identity"}
            )
            assert "Content-Encoding" not in headers
            _, headers, body = await asked(session, "GET", url, ssl=tls, headers=small)
            assert headers["Content-Encoding"] == "gzip"
            assert headers["Vary"] == "Accept-Encoding"
            assert len(body) < len(whole) / 2
            again = small | {"If-None-Match": headers["ETag"]}
            assert (await asked(session, "GET", url, ssl=tls, headers=again))[::2] == (304, b"")
            other = small | {"If-None-Match": '"another"'}
            assert (await asked(session, "GET", url, ssl=tls, headers=other))[0] == 200
        page = await asked(session, "GET", f"{serving.url}/console/sign-in", ssl=tls, headers=small)
        assert "Content-Encoding" not in page[1]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_refusal_is_a_page_of_the_centre(tmp_path: Path, language: str) -> None:
    """In the user's language, or the browser's where nobody is signed in, with a way home."""
    async with centre(tmp_path) as (serving, phone):
        status, page = await page_of(phone, "/nowhere", **{"Accept-Language": language})
        assert status == 404
        assert f'<html lang="{language}">' in page
        assert words.say(language, "refused.unknown_path") in page
        assert 'href="/console/sign-in"' in page
        await enter(serving, phone, serving.entrance(access.OPERATOR, language=language))
        for path, reason, expected in (
            ("/console/cases", "wrong_role", 403),
            ("/console/nowhere", "unknown_path", 404),
            ("/console/incidents/none", "unknown_incident", 404),
        ):
            status, page = await page_of(phone, path)
            assert status == expected
            assert words.say(language, f"refused.{reason}") in page
            assert 'class="button" href="/console"' in page
            assert f'<html lang="{language}">' in page


async def test_what_a_stranger_puts_into_an_address_is_only_text(tmp_path: Path) -> None:
    """Nothing of it runs on the page that refuses it."""
    async with centre(tmp_path) as (_, phone):
        _, page = await page_of(phone, "/<script>alert(1)</script>?language=<b>")
        assert "<script>alert" not in page
        assert "<b>" not in page
