"""The OpenAPI document and the code say the same, in both directions (answers: see parts.py)."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from centre.refusals import REASONS
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
    named: dict[str, list[dict[str, list[str]]]] = {
        "anyone": [],
        "bearer": [{"bearer": []}],
        "key": [{"consoleKey": []}],
        "operator": [{"consoleCookie": []}],
        "operator_here": [{"consoleCookie": []}],
    }
    async with centre(tmp_path) as (serving, _):
        for route in serving.routes:
            operation = OPENAPI["paths"][route.path][route.method.lower()]
            assert operation["security"] == named[route.authenticate.__name__], route.path


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
