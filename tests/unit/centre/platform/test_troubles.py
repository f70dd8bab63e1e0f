"""The one list of troubles: whatever stderr is told of stands on it, until it is over."""

import ast
from pathlib import Path

import centre
from centre.console import words
from centre.platform.log_throttle import LogThrottle
from centre.platform.troubles import TroubleLog
from centre.rules import condition
from tests.unit.centre.parts import Lines

ROOT = Path(centre.__file__).parent


def test_what_is_told_is_on_the_list_and_what_is_over_leaves_it() -> None:
    """Of each reason once, with how often and the last words; other lines are no trouble."""
    lines = Lines()
    log = TroubleLog(lines)
    log("received", device_id="D")
    log("trouble", reason="disk_low", text="3 GB")
    log("trouble", reason="disk_low", text="2 GB")
    log("trouble", reason="tiles", text="broken")
    assert {one.reason: (one.text, one.count) for one in log.troubles} == {
        "tiles": ("broken", 1),
        "disk_low": ("2 GB", 2),
    }
    log("trouble", reason="disk_low", text="well", over=True)
    assert [one.reason for one in log.troubles] == ["tiles"]
    assert [what for what, _ in lines.all] == ["received", *["trouble"] * 4], "stderr is told the same"


def test_what_was_throttled_is_over_once_and_only_if_it_was_told() -> None:
    """No word of an end without a beginning."""
    lines = Lines()
    throttle = LogThrottle(TroubleLog(lines))
    throttle.over("webhook_failing", "well again")
    assert lines.all == []
    throttle("webhook_failing", "no answer")
    throttle.over("webhook_failing", "well again")
    throttle.over("webhook_failing", "well again")
    assert [fields.get("over") for fields in lines.of("trouble")] == [None, True]


def test_every_trouble_in_the_code_has_words() -> None:
    """In the administrator's language, whoever tells it."""
    reasons = {finding.reason for finding in _every_finding()}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == "trouble":
                given = [word.value for word in node.keywords if word.arg == "reason"]
                reasons |= {str(value.value) for value in given if isinstance(value, ast.Constant)}
            elif ast.unparse(node.func).endswith("_trouble") and isinstance(node.args[0], ast.Constant):
                reasons.add(str(node.args[0].value))
    assert len(reasons) > 15
    assert [reason for reason in sorted(reasons) if words.find("nl", f"troubles.{reason}") is None] == []


def _every_finding() -> list[condition.Finding]:
    worst = condition.Condition(
        *(10**12, 0, 0, 1, None, condition.LogCheck(0, 1), None, condition.WebhookState(1, 0, None)),
        clock_synchronised=False,
        clock_error_ms=0,
        ahead_of_phones_ms=10**6,
        certificate_ends_ms=0,
    )
    return list(condition.findings(worst))
