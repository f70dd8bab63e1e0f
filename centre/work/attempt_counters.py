"""What strangers cause is noted at most once a minute for each reason, with how often it was.

So nobody who is not in can fill the event log, nor hide in it how many attempts there were.
"""

from centre.work import event_log
from centre.work.core import Core

EVERY_MS = 60_000


def add(
    core: Core, kind: str, why: str, *, actor: str = event_log.CENTRE, incident_id: str | None = None
) -> None:
    """Count one, within a transaction; it is noted now, with who and which, or by `due`, without."""
    row = core.store.one("tally", kind=kind, why=why)
    waiting, noted_at_ms = (row["waiting"], row["noted_at_ms"]) if row else (0, 0)
    _count(core, kind, why, waiting + 1, noted_at_ms, actor, incident_id)


def due(core: Core) -> None:
    """Note what was counted since, where its minute is over."""
    rows = core.store.all("tallies_waiting")
    if rows:
        with core.store.transaction():
            for row in rows:
                tally = core.store.one("tally", kind=row["kind"], why=row["why"])
                assert tally is not None
                _count(core, row["kind"], row["why"], tally["waiting"], tally["noted_at_ms"])


def _count(
    core: Core,
    kind: str,
    why: str,
    waiting: int,
    noted_at_ms: int,
    actor: str = event_log.CENTRE,
    incident_id: str | None = None,
) -> None:
    now_ms = core.now_ms()
    if not 0 <= now_ms - noted_at_ms < EVERY_MS:  # a clock that was set back silences nobody
        event_log.note(core, kind, actor, incident_id=incident_id, why=why, count=waiting)
        waiting, noted_at_ms = 0, now_ms
    core.store.run("set_tally", kind=kind, why=why, waiting=waiting, noted_at_ms=noted_at_ms)
