"""The wire protocol agrees with its vectors, in both interpreters and with an independent HMAC."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.wire import independent, verify

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "wire" / "vectors.json"


@pytest.fixture
def vectors() -> dict[str, list[dict[str, object]]]:
    loaded: dict[str, list[dict[str, object]]] = json.loads(VECTORS.read_text())
    return loaded


def test_vectors_are_what_an_independent_hmac_gives(vectors: object) -> None:
    """The file holds what the specification says, computed without any code of `wire/`."""
    assert vectors == independent.vectors()


def test_enough_of_each_kind(vectors: dict[str, list[dict[str, object]]]) -> None:
    """At least 40 golden codes and receipts, golden states besides, and 40 hostile values."""
    kinds = [vector["kind"] for vector in vectors["golden"]]
    assert kinds.count("code") + kinds.count("receipt") >= 40
    assert kinds.count("state") >= 10
    assert len(vectors["hostile"]) >= 40


def test_cpython_agrees(vectors: dict[str, list[dict[str, object]]]) -> None:
    """`wire` makes each golden value, and refuses each hostile one for its reason."""
    assert verify.failures(vectors) == []


def test_micropython_agrees(vectors: dict[str, list[dict[str, object]]]) -> None:
    """The same source in the interpreter that runs on the board."""
    interpreter = shutil.which("micropython", path=str(Path(sys.executable).parent)) or "micropython"
    script = Path(verify.__file__)
    environment = os.environ | {"MICROPYPATH": f"{ROOT}:.frozen"}
    ran = subprocess.run(
        [interpreter, str(script), str(VECTORS)], env=environment, capture_output=True, text=True, timeout=50
    )
    counts = f"{len(vectors['golden'])} golden {len(vectors['hostile'])} hostile\n"
    assert (ran.stdout, ran.stderr, ran.returncode) == (counts, "", 0)


def test_a_changed_vector_is_noticed(vectors: dict[str, list[dict[str, object]]]) -> None:
    """The check can fail: one flipped digit in a golden value, one believed hostile value."""
    vectors["golden"][0]["code"] = "0" * 32
    vectors["hostile"][0]["reason"] = "length"
    assert [line.split(":")[0] for line in verify.failures(vectors)] == ["golden 0", "hostile 0"]
