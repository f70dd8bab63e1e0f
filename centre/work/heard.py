"""What is heard of a phone and of a button: all that they send counts, not their heartbeats alone.

Card, case, list, report and supervision read the same two tables, so that no page contradicts another.
"""

from centre.rules import heard
from centre.work.core import Core


def of_bridge(core: Core, bridge_id: str) -> None:
    """Note that a phone was heard: it has sent a press, positions, a PIN. In a transaction."""
    core.store.run("hear_bridge", bridge_id=bridge_id, now_ms=core.now_ms())


def of_button(core: Core, bridge_id: str, device_id: str, told_ms: int | None) -> None:
    """Note that a phone has heard a button's press, when it says so. In a transaction."""
    of_bridge(core, bridge_id)
    now_ms = core.now_ms()
    which = {"device_id": device_id, "now_ms": now_ms}
    core.store.run("hear_button", bridge_id=bridge_id, heard_at_ms=heard.at_ms(told_ms, now_ms), **which)
    core.store.run("look_at_heard_button", **which)
