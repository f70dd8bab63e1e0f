"""The same at length. To collect it alone takes seconds, so it is left out where no slow test is wanted."""

import pytest

from tests.integration.fuzz.parts import Case, Served, ask, callers, document, often

DOCUMENT = document()


@pytest.mark.slow
@pytest.mark.computes
@pytest.mark.timeout(900)
@DOCUMENT.parametrize()
@often(150)
def test_every_answer_is_described_at_length(case: Case, served: Served) -> None:
    """As above, many of each route, and all that its schema has a limit for."""
    for caller in [*callers(case), ""]:
        ask(case, served, served.headers.get(caller, {}))
