"""The OpenAPI document and the code say the same, in both directions (answers: see parts.py)."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from centre.api.routing import Route
from centre.rules.refusals import REASONS
from tests.unit.centre.parts import FIX, OPENAPI, Hand, centre

HAND = Hand()


async def test_every_route_is_in_the_document_and_the_other_way_round(tmp_path: Path) -> None:
    """Nothing undocumented is served, nothing documented is missing; and it is what we serve."""
    async with centre(tmp_path) as (serving, phone):
        served = {(route.method.lower(), route.path) for route in serving.routes}
        _, document = await phone.ask("GET", "/openapi.json")
    assert document == OPENAPI
    assert document["openapi"].startswith("3.1.")
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    assert served == described


async def test_the_authentication_is_the_one_that_is_written(tmp_path: Path) -> None:
    """Each route's function and the document's `security`."""
    async with centre(tmp_path) as (serving, _):
        for route in serving.routes:
            operation = OPENAPI["paths"][route.path][route.method.lower()]
            assert operation["security"] == _security(route), route.path


def _security(route: Route) -> list[dict[str, list[str]]]:
    """As the name of its function says: `anyone`, `bearer...`, `sees:ROLES` and `does:ROLES`."""
    name, _, roles = route.authenticate.__qualname__.rpartition(".")[2].partition(":")
    if name in ("sees", "does"):
        assert (name == "sees") == (route.method == "GET"), route.path
        return [{"session": roles.split()}]
    if name in ("anyone", "anyone_here"):
        return []
    return [{"dispatch" if name == "bearer_of_dispatch" else "bearer": []}]


def test_every_reason_is_in_the_document() -> None:
    """Programs can list them."""
    assert OPENAPI["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"] == list(REASONS)


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    """No dangling `$ref`, no schema that is not JSON Schema 2020-12."""
    schemas = OPENAPI["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in str(OPENAPI)
    for reference in _references(OPENAPI):
        node = OPENAPI
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for item in node.values() for found in _references(item)]
    return []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"path": None},
        {"fix": FIX},
        {"fix": FIX | {"confidence": None}},
        {"phone": {"battery_percent": 3, "model": "x"}},
        {"fix": FIX | {"lat": 91}},
        {"fix": FIX | {"method": "GUESS"}},
        {"fix": {}},
        {"phone": {"battery_percent": 101}},
        {"phone": {"model": ""}},
        {"path": "smoke"},
        {"age_s": -1},
        {"age_s": 316_224_001},
        {"counter": -1},
        {"counter": "1"},
        {"event": 3},
        {"code": 7},
    ],
)
async def test_what_the_document_allows_is_taken_whole(tmp_path: Path, change: dict[str, object]) -> None:
    """And what it forbids is refused, or dropped and named: the document is not a wish."""
    validator = Draft202012Validator({**OPENAPI, "$ref": "#/components/schemas/Alarm"})
    body = HAND.alarm(1) | change
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        status, answer = await phone.post(body)
    assert validator.is_valid(body) == (status == 201 and answer["dropped"] == [])


WORDS = [f"{'a' * n}" for n in range(1, 18)]
ALIVE = {
    "buttons": [
        {"device_id": HAND.device_id, "heard_at": None, "low": False, "in_reach": None, "faults": []}
    ],
    "phone": {"battery_percent": None, "model": None},
    "troubles": [],
}


def button(**more: object) -> dict[str, object]:
    return {"buttons": [{"device_id": HAND.device_id} | more]}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"buttons": None, "phone": None, "troubles": None},
        {"buttons": [{}]},
        {"buttons": [7]},
        {"buttons": {}},
        button(battery_mv=20_000, press_counter=2**32 - 1, alive_counter=2**31 - 1),
        button(battery_mv=20_001),
        button(press_counter=2**32),
        button(alive_counter=2**31),
        button(low=None, in_reach=True),
        button(low="no"),
        button(faults=WORDS[:8]),
        button(faults=WORDS[:9]),
        button(faults=["Stuck"]),
        {"troubles": WORDS[:16]},
        {"troubles": WORDS},
        {"troubles": ["no position"]},
        {"phone": {"battery_percent": 101}},
        {"phone": []},
    ],
)
async def test_what_the_document_allows_of_a_sign_of_life_is_kept_whole(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """And what it forbids is dropped and named."""
    validator = Draft202012Validator({**OPENAPI, "$ref": "#/components/schemas/Alive"})
    body = ALIVE | change
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        status, answer = await phone.ask("POST", "/v1/alive", json=body)
    assert validator.is_valid(body) == (status == 200 and answer["dropped"] == [])


@pytest.mark.parametrize(
    "fixes",
    [
        [],
        [FIX] * 64,
        [FIX] * 65,
        [FIX | {"source": "gpsd", "marks": ["stale", "jump", "implausible"]}],
        [FIX | {"source": None, "marks": None, "confidence": None}],
        [FIX | {"source": ""}],
        [FIX | {"source": "x" * 17}],
        [FIX | {"marks": ["fresh"]}],
        [FIX | {"marks": ["stale"] * 4}],
        [FIX, {}],
        [FIX | {"radius_m": -1}],
        7,
    ],
)
async def test_what_the_document_allows_of_positions_is_taken(tmp_path: Path, fixes: object) -> None:
    """And what it forbids is refused."""
    validator = Draft202012Validator({**OPENAPI, "$ref": "#/components/schemas/Fixes"})
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1))
        path = f"/v1/incidents/{answer['incident']}/fixes"
        status, _ = await phone.ask("POST", path, json={"fixes": fixes})
    assert validator.is_valid({"fixes": fixes}) == (status == 200)


@pytest.mark.parametrize(
    "change",
    [{}, {"event": 2}, {"event": "1"}, {"counter": -1}, {"counter": 2**32}, {"pin": 1234}, {"pin": "1" * 65}],
)
async def test_what_the_document_allows_of_a_call_off_is_tried(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """And what it forbids is refused before any PIN is checked."""
    validator = Draft202012Validator({**OPENAPI, "$ref": "#/components/schemas/CallOff"})
    body = {"device_id": HAND.device_id, "event": 1, "counter": 1, "pin": "1234"} | change
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND, pin="1234")
        await phone.post(HAND.alarm(1))
        status, _ = await phone.ask("POST", "/v1/call-offs", json=body)
    assert validator.is_valid(body) == (status == 200)
