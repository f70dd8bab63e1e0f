"""Whatever the OpenAPI document allows, and what it does not: a described answer, never a mistake of ours.

schemathesis makes requests from the document, right ones and wrong ones, for each of those who call: a
bridge, each role, and nobody at all. The centre is a process of its own, over HTTPS.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig

from centre.api import openapi
from centre.console.guard import COOKIE, csrf
from centre.rules import access
from centre.work import accounts, buttons
from tests.unit.centre.parts import Hand, core_at

HAND = Hand()
# A stream has no end to wait for; tests of their own read those.
STREAMS = ("/v1/incidents/{incident}/receipts", "/console/live")
Case = schemathesis.Case[Any]
DOCUMENT = schemathesis.openapi.from_dict(openapi.document()).exclude(path=list(STREAMS))
# Every limit of every schema, one by one, is for the test at length.
CHANCE = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
GLIMPSE = schemathesis.openapi.from_dict(openapi.document(), config=CHANCE).exclude(path=list(STREAMS))
# Much is refused, and rightly, that the document cannot know of (a code, a PIN, a page's form): so not
# "positive data is accepted". The described answers are the promise.
PROMISES: list[Any] = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A centre with a button, a bridge, and somebody of each role signed in."""
    home = tmp_path_factory.mktemp("fuzz") / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "centre", "serve", "--port", "0", "--json-log", "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout
        line = json.loads(process.stdout.readline())
        headers = known(home, line["url"])
        # Whatever it logs from now on is not read: a full pipe would stop it.
        process.stdout.close()
        yield Served(line["url"], line["ca"], headers)
        assert process.poll() is None, "it has ended"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def known(home: Path, url: str) -> dict[str, dict[str, str]]:
    """The credentials of everybody who may call."""
    core = core_at(home)
    buttons.import_buttons(core, [HAND.registered])
    token = buttons.enrol(core, HAND.enrolment_code, None, None)["token"]
    headers = {"bearer": {"Authorization": f"Bearer {token}"}}
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
    case.cookies = {}
    for name in ("Authorization", "Cookie", "Origin", "X-CSRF-Token"):
        case.headers.pop(name, None)
    case.call_and_validate(
        base_url=served.url, headers=headers, verify=served.ca, allow_redirects=False, checks=PROMISES
    )


def callers(case: Case) -> list[str]:
    """Who the document lets in."""
    security = case.operation.definition.raw["security"]
    return [role for one in security for roles in one.values() for role in (roles or ["bearer"])] or [""]


@GLIMPSE.parametrize()
@often(5)
def test_every_answer_is_described(case: Case, served: Served) -> None:
    """A few of each route: for those whom the document lets in, and without any credential."""
    for caller in [*callers(case), ""]:
        ask(case, served, served.headers.get(caller, {}))


@pytest.mark.slow
@pytest.mark.computes
@pytest.mark.timeout(900)
@DOCUMENT.parametrize()
@often(150)
def test_every_answer_is_described_at_length(case: Case, served: Served) -> None:
    """As above, many of each route, and all that its schema has a limit for."""
    for caller in [*callers(case), ""]:
        ask(case, served, served.headers.get(caller, {}))
