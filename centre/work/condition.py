"""What the store knows of the centre's condition: signature, check, backup, what waits, phones' clocks."""

from dataclasses import dataclass

from centre.platform.sealing import Broken
from centre.rules.condition import LogCheck, WebhookState, ahead_ms
from centre.work import event_log
from centre.work.core import Core
from wire import codes

PRESSES_MAX, PRESSES_MS = 300, 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Stored:
    """As rules/condition.py has it."""

    began_ms: int
    signed_at_ms: int | None
    checked: LogCheck | None
    backed_up_at_ms: int | None
    webhook: WebhookState
    ahead_of_phones_ms: int | None


def stored(core: Core) -> Stored:
    """Read all of it."""
    first, signed = core.store.one("log_first"), core.store.one("signature_last")
    return Stored(
        first["at_ms"] if first else core.now_ms(),
        signed["at_ms"] if signed else None,
        _checked(core),
        _last(core, "backed_up"),
        _webhook(core),
        _ahead(core),
    )


def note_check(core: Core, actor: str, findings: int | None) -> None:
    """Note that the whole log was verified, and what was found; None: it could not be."""
    with core.store.transaction():
        event_log.note(core, "log_checked", actor, findings=findings)


def _last(core: Core, kind: str) -> int | None:
    row = core.store.one("log_last_of_kind", kind=kind)
    return row["at_ms"] if row else None


def _checked(core: Core) -> LogCheck | None:
    row = core.store.one("log_last_of_kind", kind="log_checked")
    if row is None:
        return None
    try:
        return LogCheck(row["at_ms"], event_log.told(core, row).facts.get("findings"))
    except Broken:
        return LogCheck(row["at_ms"], None)


def _webhook(core: Core) -> WebhookState:
    row = core.store.one("webhook_waits")
    assert row is not None
    return WebhookState(row["waiting"], row["oldest_ms"], _last(core, "webhook_given_up"))


def _ahead(core: Core) -> int | None:
    since_ms = core.now_ms() - PRESSES_MS
    values = {"alarm": codes.ALARM, "test": codes.TEST, "since_ms": since_ms, "at_most": PRESSES_MAX}
    newest: dict[str, int] = {}
    for row in core.store.all("clocks_of_phones", **values):
        newest.setdefault(row["bridge_id"], row["ahead_ms"])
    return ahead_ms(list(newest.values()))
