"""Whatever the OpenAPI document allows, and what it does not: a described answer, never a mistake of ours."""

from schemathesis.config import SchemathesisConfig

from tests.integration.fuzz.parts import Case, Served, ask, callers, document, often

# Every limit of every schema, one by one, is for the test at length.
CHANCE = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
DOCUMENT = document(CHANCE)


@DOCUMENT.parametrize()
@often(2)
def test_every_answer_is_described(case: Case, served: Served) -> None:
    """A few of each route: for those whom the document lets in, and without any credential."""
    for caller in [*callers(case), ""]:
        ask(case, served, served.headers.get(caller, {}))
