"""A city as the promises read it: what hands did, what the centre has in the end. Pure.

A city is judged by the promises of every other world; between hand and centre it shows only counts, and says
so of each promise that would need more.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sim.city.statistics import INVENTED as HEARD_OF_NOBODY
from sim.city.statistics import Key, TakenPress, Tally
from sim.judge import promises
from sim.judge.events import WorldEvent
from sim.judge.promises import Judgement
from sim.judge.story import ALARM
from sim.judge.vibrations import TAKEN

_HOLD_MS, _CLICK_MS = 2000, 150
_COUNTED = "a city counts stages and does not record them"
BLIND = {
    promises.FORGED: _COUNTED,
    promises.ORDER: _COUNTED,
    promises.KEPT: _COUNTED,
    promises.HEARD: _COUNTED,
    promises.LATE: _COUNTED,
    promises.FELT: "a city has no motors",
    promises.TOLD: "a city has no motors",
    promises.ON_AIR: "a burst is one event here, and has no address",
    promises.OWN_WAY: "a city's ways of their own are counted",
    promises.BROUGHT: _COUNTED,
    promises.AGED: _COUNTED,
    promises.PLACED: "a city has no positions",
    promises.REUSED: "a burst is one event here, and has no address",
    promises.LINKED: "a burst is one event here, and has no address",
    promises.SOUND: "no program runs by itself here",
}


def judge(
    tally: Tally, incidents: Iterable[Mapping[str, Any]], calm_from_ms: float, end_ms: float
) -> Judgement:
    """Judge the city. `incidents`: all that the centre's database has, as an auditor reads them."""
    audit = [WorldEvent(end_ms, "auditor", "incident", dict(one)) for one in incidents]
    at_centre = {(one["device_id"], one["event"], one["counter"]) for one in incidents}
    events = [WorldEvent(calm_from_ms, "world", "calm"), *_presses(tally, at_centre, end_ms), *audit]
    strangers = [e for e in audit if e.data["device_id"] not in {key[0] for key in tally.taken}]
    # Of buttons that no hand has touched: the promises look at buttons, so they are named here.
    events += [WorldEvent(0, "hand", "known", {"button": e.data["device_id"]}) for e in strangers]
    events += [WorldEvent(0, e.data["device_id"], "boot", {"args": [e.data["device_id"]]}) for e in strangers]
    judgement = promises.judge(events, calm_from_ms, blind=BLIND)
    count = tally.counts[HEARD_OF_NOBODY]
    if count:
        text = f"phones heard {count} presses that no button had made"
        judgement.broken.append(promises.Broken(promises.INVENTED, end_ms, text))
    return judgement


def _presses(tally: Tally, at_centre: set[Key], end_ms: float) -> Iterator[WorldEvent]:
    for number, (key, press) in enumerate(sorted(tally.taken.items(), key=lambda item: item[1].at_ms)):
        yield from _press(number, key, press, key in at_centre, end_ms)


def _press(
    number: int, key: Key, press: TakenPress, is_at_centre: bool, end_ms: float
) -> Iterator[WorldEvent]:
    button, event, counter = key
    at_ms = press.at_ms
    yield WorldEvent(at_ms - _HOLD_MS, button, "boot", {"args": [button]})
    if event == ALARM:
        yield from _finger(button, at_ms - _HOLD_MS, at_ms)
    else:
        for click in (5, 3, 1):
            yield from _finger(button, at_ms - click * _CLICK_MS, at_ms - (click - 1) * _CLICK_MS)
    session = {"button": button, "address": str(number), "code": str(number)}
    yield WorldEvent(at_ms, "air", "session", session)
    yield WorldEvent(at_ms, button, "advert", {"args": [event, counter]})
    yield WorldEvent(at_ms, button, "feels", {"pattern": TAKEN})
    if is_at_centre:  # that the button knows of it is counted, and not judged
        received_ms = press.received_ms if press.received_ms >= 0 else end_ms
        yield WorldEvent(received_ms, button, "receipt", {"args": [1]})


def _finger(button: str, down_ms: float, up_ms: float) -> Iterator[WorldEvent]:
    yield WorldEvent(down_ms, "hand", "pressed", {"button": button})
    yield WorldEvent(up_ms, "hand", "released", {"button": button})
