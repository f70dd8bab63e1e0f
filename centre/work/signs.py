"""Signs of life: the last state of bridges and buttons, and their counters."""

from centre.core import Core
from centre.rules import supervision
from centre.rules.fields import Dropped
from centre.rules.supervision import SignOfLife
from centre.store import Row
from centre.work.buttons import counters


def take_sign_of_life(core: Core, bridge_id: str, sign: SignOfLife) -> dict[str, dict[str, int]]:
    """Keep the last state of the bridge and of each of its buttons; all its buttons' counters."""
    now_ms = core.now_ms()
    with core.store.transaction():
        own = {row["device_id"]: row for row in core.store.all("devices_of_bridge", bridge_id=bridge_id)}
        core.store.run(
            "set_bridge_state",
            bridge_id=bridge_id,
            battery_percent=sign.phone.battery_percent,
            model=sign.phone.model,
            troubles=" ".join(sign.troubles),
            now_ms=now_ms,
        )
        for number, button in enumerate(sign.buttons):
            if button.device_id in own:
                _take_button_state(core, bridge_id, own[button.device_id], button, now_ms)
            else:
                sign.dropped.append(Dropped(f"buttons[{number}]", "unknown_device"))
        return {device_id: counters(core, device_id) for device_id in own}


def _take_button_state(
    core: Core, bridge_id: str, device: Row, button: supervision.ButtonState, now_ms: int
) -> None:
    heard_at_ms = button.heard_at_ms
    core.store.run(
        "set_button_state",
        bridge_id=bridge_id,
        device_id=button.device_id,
        heard_at_ms=None if heard_at_ms is None else min(heard_at_ms, now_ms),
        battery_mv=button.battery_mv,
        low=button.low,
        in_reach=button.in_reach,
        press_counter=button.press_counter,
        alive_counter=button.alive_counter,
        faults=" ".join(button.faults),
        now_ms=now_ms,
    )
    since_ms = now_ms - (device["alive_counter_at_ms"] or device["imported_at_ms"])
    told, known = button.alive_counter or 0, device["alive_counter"]
    if supervision.moves_up(told, known, since_ms, device["alive_period_s"]):
        core.store.run("move_alive_counter", device_id=button.device_id, counter=told, now_ms=now_ms)
