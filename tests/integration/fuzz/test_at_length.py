"""Whatever the OpenAPI document allows, and what it does not: a described answer, never a mistake of ours.

To collect it alone takes seconds, so it is left out where no slow test is wanted.
"""

import pytest

from tests.integration.fuzz.parts import Case, Served, ask, callers, document, often

DOCUMENT = document()


@pytest.mark.slow
@pytest.mark.computes
@pytest.mark.timeout(900)
@DOCUMENT.parametrize()
@often(150)
def test_every_answer_is_described(case: Case, served: Served) -> None:
    """Many of each route, and all that its schema has a limit for."""
    for caller in [*callers(case), ""]:
        ask(case, served, served.headers.get(caller, {}))
