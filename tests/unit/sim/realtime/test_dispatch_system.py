"""The simulator's dispatch system believes the centre alone: what the standard's signer signs, and now."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from sim.realtime.dispatch_system import NotBelieved, verified

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # noqa: S105 -- of the tests alone
BODY = '{"id":"5f0c2d9a41b7e386","event":"opened"}'
NOW_S = 1_795_534_800


def headers(at_s: int = NOW_S, body: str = BODY, secret: str = SECRET) -> dict[str, str]:
    signature = Webhook(secret).sign("5f0c2d9a41b7e386", datetime.fromtimestamp(at_s, UTC), body)
    return {
        "webhook-id": "5f0c2d9a41b7e386",
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,AAAA {signature}",
    }


def test_what_the_standard_signs_is_believed() -> None:
    """Beside a signature by another key, too."""
    assert verified(SECRET, headers(), BODY.encode(), NOW_S)["event"] == "opened"


@pytest.mark.parametrize(
    "wrong",
    [
        headers(NOW_S - 301),
        headers(NOW_S + 301),
        headers(body=BODY + " "),
        headers(secret="whsec_" + "AAAA" * 8),
        headers() | {"webhook-id": "another"},
        headers() | {"webhook-timestamp": "now"},
        headers() | {"webhook-signature": "é"},
        {},
    ],
)
def test_anything_else_is_not(wrong: dict[str, str]) -> None:
    """Old, changed, by another key, or no signature at all."""
    with pytest.raises(NotBelieved):
        verified(SECRET, wrong, BODY.encode(), NOW_S)
