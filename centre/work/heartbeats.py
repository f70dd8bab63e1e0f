"""Heartbeats: the last state of bridges and buttons, and their counters."""

from centre.rules import heard, heartbeats, press_counters
from centre.rules import supervision as losses
from centre.rules.fields import Dropped
from centre.rules.heartbeats import Heartbeat
from centre.store import Row
from centre.work.buttons import counters
from centre.work.core import Core


def take_heartbeat(
    core: Core, bridge_id: str, sign: Heartbeat, alive_s: int = heartbeats.ALIVE_S
) -> dict[str, dict[str, int]]:
    """Keep the last state of the bridge and of each of its buttons; all its buttons' counters."""
    now_ms = core.now_ms()
    with core.store.transaction():
        own = {row["device_id"]: row for row in core.store.all("devices_of_bridge", bridge_id=bridge_id)}
        _take_bridge_state(core, bridge_id, sign, alive_s, now_ms)
        for number, button in enumerate(sign.buttons):
            if button.device_id in own:
                _take_button_state(core, bridge_id, own[button.device_id], button, alive_s, now_ms)
            else:
                sign.dropped.append(Dropped(f"buttons[{number}]", "unknown_device"))
        return {device_id: counters(core, device_id) for device_id in own}


def _take_bridge_state(core: Core, bridge_id: str, sign: Heartbeat, alive_s: int, now_ms: int) -> None:
    """Have it looked at (work/supervision.py) at once if it tells of something; else when it is silent."""
    percent, deaf = sign.phone.battery_percent, losses.is_deaf(sign.troubles)
    silence_ms = losses.silence_ms(alive_s)
    at_once = deaf or (percent is not None and percent < losses.PHONE_WELL_PERCENT)
    wait_ms = losses.GOODBYE_MS if sign.leaving else silence_ms
    core.store.run(
        "set_bridge_state",
        bridge_id=bridge_id,
        battery_percent=percent,
        model=sign.phone.model,
        troubles=" ".join(sign.troubles),
        running_since_ms=sign.running_since_ms,
        leaving=sign.leaving,
        deaf=deaf,
        silence_ms=silence_ms,
        look_at_ms=now_ms if at_once else now_ms + wait_ms + 1,
        now_ms=now_ms,
    )


def _take_button_state(
    core: Core, bridge_id: str, device: Row, button: heartbeats.ButtonState, alive_s: int, now_ms: int
) -> None:
    heard_at_ms, device_id = button.heard_at_ms, button.device_id
    # A stolen phone could else lead every other bridge past all codes to come.
    in_use_ms, alive_counter = now_ms - device["imported_at_ms"], button.alive_counter
    if not press_counters.is_alive_plausible(alive_counter or 0, in_use_ms, device["alive_period_s"]):
        alive_counter = None
    core.store.run(
        "set_button_state",
        bridge_id=bridge_id,
        device_id=device_id,
        heard_at_ms=None if heard_at_ms is None else heard.at_ms(heard_at_ms, now_ms),
        battery_mv=button.battery_mv,
        low=button.low,
        in_reach=button.in_reach,
        lost_after_s=button.lost_after_s,
        press_counter=button.press_counter,
        alive_counter=alive_counter,
        faults=" ".join(button.faults),
        now_ms=now_ms,
    )
    at_once = button.low or button.in_reach is False
    reach_ms = losses.reach_ms(device["alive_period_s"], alive_s, button.lost_after_s)
    wait_ms = 0 if at_once else reach_ms + 1
    core.store.run("watch_button", device_id=device_id, look_at_ms=now_ms + wait_ms, now_ms=now_ms)
