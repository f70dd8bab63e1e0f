"""The OpenAPI 3.1 document: one file for each of those who call, joined."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def document() -> dict[str, Any]:
    """`common.json` and what the other files add to its paths, and to each kind of its components."""
    here = Path(__file__).parent
    whole: dict[str, Any] = json.loads((here / "common.json").read_text("utf-8"))
    for path in sorted(here.glob("*.json")):
        if path.name != "common.json":
            _join(whole, json.loads(path.read_text("utf-8")))
    return whole


def _join(whole: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if name not in whole:
            whole[name] = value
        else:
            assert isinstance(value, dict), f"{name} is in two files"
            _join(whole[name], value)
