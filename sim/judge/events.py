"""What is seen of a world, whoever saw it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WorldEvent:
    """Something that happened. `by` is a name in this world (`button`, `bridge`, `centre`, `air`, `hand`)."""

    at_ms: float  # since 1970
    by: str
    what: str
    data: dict[str, Any] = field(default_factory=dict)
