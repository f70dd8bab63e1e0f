"""What the tests share that hold the centre's answers against its OpenAPI document.

schemathesis makes requests from the document, right ones and wrong ones, for each of those who call: a
bridge, each role, and nobody at all. The centre is a process of its own, over HTTPS.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import openapi as schemas
from schemathesis.checks import CHECKS
from schemathesis.schemas import BaseSchema

from centre.api import openapi
from centre.console.guard import COOKIE, csrf
from centre.rules import access
from centre.work import accounts, buttons, dispatch
from tests.unit.centre.parts import Hand, core_at

HAND = Hand()
# A stream has no end to wait for; tests of their own read those.
STREAMS = ("/v1/incidents/{incident}/receipts", "/console/live")
Case = schemathesis.Case[Any]
# Much is refused, and rightly, that the document cannot know of (a code, a PIN, a page's form): so not
# "positive data is accepted". The described answers are the promise.
PROMISES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def document() -> BaseSchema:
    """Return the document's operations, to make tests of."""
    return schemas.from_dict(openapi.document()).exclude(path=list(STREAMS))


def often(times: int) -> settings:
    return settings(
        max_examples=times,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


@dataclass
class Served:
    url: str
    ca: str
    headers: dict[str, dict[str, str]]  # by who calls: "bearer", a role


def known(home: Path, url: str) -> dict[str, dict[str, str]]:
    """The credentials of everybody who may call."""
    core = core_at(home)
    buttons.import_buttons(core, [HAND.registered])
    token = buttons.enrol(core, HAND.enrolment_code, None, None)["token"]
    headers = {"bearer": {"Authorization": f"Bearer {token}"}}
    system = dispatch.add(core, "Dispatch", [], every_zone=True, may_close=True)
    headers["dispatch"] = {"Authorization": f"Bearer {system}"}
    for role in access.ROLES:
        zone = "5415" if role == access.CASE_MANAGER else None
        user_id = accounts.add_user(core, role.replace("_", "-"), role.title(), role, zone, "en")
        assert user_id
        with core.store.transaction():
            session = accounts.open_session(core, user_id)
        form = csrf(accounts.session_of(core, session))
        headers[role] = {"Cookie": f"{COOKIE}={session}", "Origin": url, "X-CSRF-Token": form}
    core.store.close()
    return headers


def ask(case: Case, served: Served, headers: dict[str, str]) -> None:
    """Send it, and hold the answer against the document. Redirects are answers."""
    promises: list[Any] = CHECKS.get_by_names(list(PROMISES))
    case.cookies = {}
    for name in ("Authorization", "Cookie", "Origin", "X-CSRF-Token"):
        case.headers.pop(name, None)
    case.call_and_validate(
        base_url=served.url,
        headers=headers,
        verify=served.ca,
        allow_redirects=False,
        checks=promises,
    )


def callers(case: Case) -> list[str]:
    """Who the document lets in."""
    security = case.operation.definition.raw["security"]
    return [role for one in security for scheme, roles in one.items() for role in (roles or [scheme])] or [""]
