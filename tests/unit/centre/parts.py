"""What the centre's tests have in hand: a button, a phone that speaks HTTPS, a log that can be read.

The phone holds every answer against the OpenAPI document, so that each test also tests that.
"""

import hashlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from centre.api import openapi
from centre.api.routing import Route
from centre.app import running
from centre.console import guard
from centre.platform import tls
from centre.platform.home import Home
from centre.platform.log import Log, now_ms
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.grants import FIRST, LAST
from centre.rules.registry import Button
from centre.settings import Settings
from centre.store import Store
from centre.work import accounts, assignments, buttons, grants, incident_sheet
from centre.work.board import Card
from centre.work.core import Core, open_core
from centre.work.incident_sheet import Incident
from tests.parts import at_end
from wire import codes, receipts
from wire.keys import Mac, derive

OPENAPI = openapi.document()
FIX = {
    "lat": 50.8466,
    "lon": 4.3528,
    "radius_m": 18.5,
    "confidence": 68,
    "method": "GNSS",
    "taken_at": "2026-11-23T10:00:00.123Z",
}


class Hand:
    """A button as the hand and the centre know it; number `n` of them is always the same."""

    def __init__(self, n: int = 1) -> None:
        self.device_id = f"TESTBUTTON{n:06d}".replace("0", "A").replace("1", "B").replace("9", "C")
        self.root = hashlib.sha256(f"root {n}".encode()).digest()
        self.enrolment_code = ("ABCDEFGHIJKLMNOPQRS" + "TUVWXYZ234567"[n])[:20]

    @property
    def registered(self) -> Button:
        sha256 = hashlib.sha256(self.enrolment_code.encode()).hexdigest()
        return Button(self.device_id, self.root, sha256, "button", "esp32")

    @property
    def line(self) -> str:
        button = self.registered
        fields = {"root": self.root.hex(), "enrolment_sha256": button.enrolment_sha256}
        return json.dumps({"device_id": self.device_id, **fields, "kind": "button", "board": "esp32"}) + "\n"

    def alarm(self, counter: int, event: int = codes.ALARM, **more: object) -> dict[str, object]:
        code = codes.code(Mac(derive(self.root, "code")), event, counter).hex()
        press = {"device_id": self.device_id, "event": event, "counter": counter, "code": code}
        return press | {"path": "ble", "age_s": 0, "fix": None} | more

    def believes(self, stage: int, counter: int, proof: str, event: int = codes.ALARM) -> bool:
        """Check a receipt as the button does."""
        heard, receipt = (Mac(derive(self.root, label)) for label in ("heard", "receipt"))
        value = bytes((stage,)) + bytes.fromhex(proof)
        return receipts.check(value, heard, receipt, (event, counter), (event, counter)) == stage


class Lines(Log):
    """What was logged."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, what: str, *, at_ms: float | None = None, **fields: Any) -> None:
        self.all.append((what, fields | ({} if at_ms is None else {"at_ms": at_ms})))

    def of(self, what: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.all if name == what]


class Phone:
    """A client of one centre. `answers` are held against the OpenAPI document."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url
        self.headers: dict[str, str] = {}

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status, and the body: parsed where it is JSON."""
        options["headers"] = self.headers | self._form(method, path) | options.get("headers", {})
        async with self.session.request(
            method, self.url + path, allow_redirects=False, **options
        ) as response:
            text = await response.text()
            return response.status, check_answer(method, path, response.status, response.content_type, text)

    def _form(self, method: str, path: str) -> dict[str, str]:
        """What a page of ours sends along with what it posts; `headers` of a test come before it."""
        cookies = {cookie.key: cookie.value for cookie in self.session.cookie_jar}
        if method != "POST" or not path.startswith("/console") or guard.COOKIE not in cookies:
            return {}
        return {"Origin": self.url, guard.TOKEN: guard.form_token(accounts.sha256(cookies[guard.COOKIE]))}

    async def enrol(self, hand: Hand, **pins: str) -> None:
        status, answer = await self.ask("POST", "/v1/enrolments", json={"code": hand.enrolment_code, **pins})
        assert status == 201
        self.headers = {"Authorization": f"Bearer {answer['token']}"}

    async def call_off(self, hand: Hand, counter: int, pin: str) -> tuple[int, Any]:
        body = {"device_id": hand.device_id, "event": codes.ALARM, "counter": counter, "pin": pin}
        return await self.ask("POST", "/v1/call-offs", json=body)

    async def post(self, alarm: dict[str, Any]) -> tuple[int, Any]:
        # json.dumps writes NaN and Infinity as Python and many clients do.
        return await self.ask("POST", "/v1/alarms", data=json.dumps(alarm))

    @asynccontextmanager
    async def stream(
        self, path: str, last_event_id: str | None = None, **options: Any
    ) -> AsyncIterator[AsyncIterator[tuple[str, str, Any]]]:
        """`(id, event, data)` of each event; heartbeats are `("", "", None)`."""
        headers = self.headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        async with self.session.get(self.url + path, headers=headers, **options) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield _events(response, _operation("GET", path))


async def _events(response: aiohttp.ClientResponse, operation: Any) -> AsyncIterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    schema = operation["responses"]["200"]["content"]["text/event-stream"]["x-event-data"]
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        data = json.loads(fields["data"]) if "data" in fields else None
        if fields.get("event") in ("receipt", "board"):
            _validate(schema, data)
        yield fields.get("id", ""), fields.get("event", ""), data
        fields = {}


@asynccontextmanager
async def phone_of(url: str, ca_pem: str, address: str = "") -> AsyncIterator[Phone]:
    """`address`: its own, of this machine."""
    # The default jar refuses cookies of numeric hosts.
    context, local = ssl.create_default_context(cadata=ca_pem), (address, 0) if address else None
    connector = aiohttp.TCPConnector(ssl=context, limit=0, local_addr=local)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        yield Phone(session, url)


def core_at(home: Path, clock_ms: Callable[[], float] = now_ms, *, tells: bool = False) -> Core:
    """Open the core of a home until the test ends."""
    core = open_core(Home(home), clock_ms, tells=tells)
    at_end.callback(core.store.close)
    return core


def store_at(path: str = ":memory:") -> Store:
    """Open a store until the test ends."""
    store = Store(path)
    at_end.callback(store.close)
    return store


def incidents_of(core: Core, cards: list[Card]) -> list[Incident]:
    """With all that their sheets show."""
    found = [incident_sheet.incident(core, card.incident_id) for card in cards]
    return [incident for incident in found if incident is not None]


def signed_in(core: Core, role: str = access.OPERATOR, **who: Any) -> Caller:
    """Somebody of that role, who has just come in."""
    login = who.pop("login", role.replace("_", "-"))
    values = {"name": login.title(), "zone": None, "language": "en"} | who
    accounts.add_user(core, login, role=role, **values)
    token = accounts.invite(core, login, "enter", access.ENTER_MS)
    assert token
    return accounts.enter(core, token)[1]


def granted(core: Core, manager: Caller, case_id: str, *hands: Hand) -> None:
    """A grant that always runs, and buttons handed out on it."""
    grants.record(core, manager, case_id, "PR 1", FIRST, LAST, LAST)
    for hand in hands:
        assignments.hand_out(core, manager, case_id, hand.device_id)


def entrance(home: Path, url: str, role: str = access.OPERATOR, *, login: str = "", **more: Any) -> str:
    """Give an address that signs a user of that role in, once; the user is added if need be."""
    login = login or role.replace("_", "-")
    core = open_core(Home(home))
    try:
        values = {"name": login.title(), "zone": None, "language": "en"} | more
        accounts.add_user(core, login, role=role, **values)
        return f"{url}/console/enter?key={accounts.invite(core, login, 'enter', access.ENTER_MS)}"
    finally:
        core.store.close()


@dataclass
class Serving:
    """A centre that runs in this process."""

    url: str
    authority: tls.Authority
    routes: tuple[Route, ...]
    home: Path
    direct_port: int | None = None

    @property
    def console_url(self) -> str:
        """An address that signs an operator in, once: a new one each time."""
        return self.entrance()

    def entrance(self, role: str = access.OPERATOR, **who: Any) -> str:
        return entrance(self.home, self.url, role, **who)


@asynccontextmanager
async def centre(
    home: Path, *hands: Hand, log: Log | None = None, **settings: Any
) -> AsyncIterator[tuple[Serving, Phone]]:
    """A centre that knows `hands`, and a phone that has enrolled nothing yet. `settings`: of Settings."""
    core = open_core(Home(home))
    buttons.import_buttons(core, (hand.registered for hand in hands))
    core.store.close()
    log = Lines() if log is None else log
    async with (
        running(Home(home), log=log, settings=Settings(port=0, **settings)) as serving,
        phone_of(serving.url, serving.authority.pem.decode()) as phone,
    ):
        yield Serving(serving.url, serving.authority, serving.routes, home, serving.direct_port), phone


def check_answer(method: str, path: str, status: int, content_type: str, text: str) -> Any:
    """The parsed body; fails where the OpenAPI document does not describe the answer."""
    json_body = json.loads(text) if content_type.endswith("json") else None
    operation = _operation(method, path)
    if operation is None:  # no such route: still a problem
        _validate({"$ref": "#/components/schemas/Problem"}, json_body)
        return json_body
    assert str(status) in operation["responses"], f"{method} {path} answers {status}"
    described = operation["responses"][str(status)]
    if "$ref" in described:
        described = OPENAPI["components"]["responses"][described["$ref"].rpartition("/")[2]]
    if "content" in described and content_type != "text/html":
        assert content_type in described["content"], f"{method} {path} answers {content_type}"
        if json_body is not None:
            _validate(described["content"][content_type]["schema"], json_body)
    return text if json_body is None else json_body


def _operation(method: str, path: str) -> Any:
    for template, operations in OPENAPI["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.partition("?")[0]):
            return operations.get(method.lower())
    return None


def _validate(schema: object, value: object) -> None:
    Draft202012Validator({**OPENAPI, **schema} if isinstance(schema, dict) else schema).validate(value)
