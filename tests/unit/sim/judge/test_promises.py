"""The promises can break, whatever world they are read off: each, broken by hand, is found broken."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sim.judge import promises
from sim.judge.events import WorldEvent
from sim.judge.promises import judge
from sim.judge.story import Bounds

DEVICE = "AAAA"
WHICH = {"device_id": DEVICE, "event": 1, "counter": 7}


def motor(from_ms: float, *parts_ms: float) -> list[WorldEvent]:
    """On and off in turn."""
    events, at_ms, on = [], from_ms, True
    for part_ms in (0.0, *parts_ms):
        at_ms += part_ms
        events.append(WorldEvent(at_ms, "button", "motor", {"on": on}))
        on = not on
    return events


def session(at_ms: float, address: str, code: str, event: int, counter: int) -> list[WorldEvent]:
    """What air and serial line show of one code."""
    data = {"button": "button", "address": address, "code": code}
    words = {"args": [str(event), str(counter), "20"]}
    return [WorldEvent(at_ms, "air", "session", data), WorldEvent(at_ms + 1, "button", "advert", words)]


WHOLE: dict[str, list[WorldEvent]] = {
    "boot": [WorldEvent(0, "button", "boot", {"args": [DEVICE, "False"]})],
    "hand": [
        WorldEvent(1000, "hand", "pressed", {"button": "button"}),
        WorldEvent(3500, "hand", "released", {"button": "button"}),
    ],
    "air": session(3000, "A1", "code 7", 1, 7),
    "taken": motor(3010, 60),
    "heard": [
        WorldEvent(3300, "phone", "wrote", {"button": "button", "stage": 0, "on_disk": True, **WHICH}),
    ],
    "gave": [
        WorldEvent(3500, "centre", "received", {**WHICH, "incident": "i"}),
        WorldEvent(3500, "centre", "gave", {**WHICH, "incident": "i", "stage": 1, "on_disk": True}),
    ],
    "receipt": [WorldEvent(3600, "button", "receipt", {"args": ["1"]}), *motor(3700, 120, 160, 120)],
    "end": [WorldEvent(400_000, "world", "ends")],
    "audit": [WorldEvent(400_000, "auditor", "incident", {**WHICH, "incident": "i", "stages": [1]})],
}


def broken(**changed: list[WorldEvent]) -> list[str]:
    """Which promises break where parts of the story are others."""
    return list(dict.fromkeys(one.promise for one in judged(**changed).broken))


def judged(**changed: list[WorldEvent]) -> promises.Judgement:
    events = [e for part in (WHOLE | changed).values() for e in part]
    return judge(events, 0.0)


def test_a_whole_story_keeps_them_all() -> None:
    """And all of them are seen."""
    assert judged().kept() == list(promises.PROMISES)


def again(part: str, number: int, **data: object) -> list[WorldEvent]:
    """A part of the story with one more event, which differs from another in this."""
    events = WHOLE[part]
    return [*events, replace(events[number], data=events[number].data | data)]


def way(at_ms: float, is_open: bool, carrier: str = "wifi") -> WorldEvent:
    """A way of the button's own that opens or shuts."""
    return WorldEvent(at_ms, "air", "way", {"button": "button", "carrier": carrier, "is_open": is_open})


def by_wifi(at_ms: float) -> list[WorldEvent]:
    """A receipt that no bridge has brought."""
    return [
        WorldEvent(at_ms, "button", "receipt", {"args": ["1", "wifi"]}),
        *motor(at_ms + 100, 120, 160, 120),
    ]


def reset(at_ms: float) -> WorldEvent:
    return WorldEvent(at_ms, "button", "reset", {})


def later(part: str, by_ms: float) -> list[WorldEvent]:
    return [replace(event, at_ms=event.at_ms + by_ms) for event in WHOLE[part]]


def broken_off(at_ms: float) -> list[WorldEvent]:
    """A proven stage, whose motor takes the battery's last volt."""
    receipt = WorldEvent(at_ms, "button", "receipt", {"args": ["2"]})
    return [
        receipt,
        WorldEvent(at_ms, "button", "motor", {"on": True}),
        WorldEvent(at_ms, "button", "reset", {}),
    ]


def silent(at_ms: float, is_silent: bool) -> WorldEvent:
    return WorldEvent(at_ms, "air", "silent" if is_silent else "sends", {"button": "button"})


def age(at_ms: float, age_s: int, is_lower_bound: bool) -> WorldEvent:
    told = {"button": "button", "age_s": age_s, "is_lower_bound": is_lower_bound}
    return WorldEvent(at_ms, "air", "age", told | {"event": 1, "counter": 7})


def is_at(at_ms: float, lat: float = 50.9) -> WorldEvent:
    return WorldEvent(at_ms, "phone", "is_at", {"lat": lat, "lon": 4.3})


def position(lat: float) -> WorldEvent:
    return WorldEvent(400_000, "auditor", "position", {"incident": "i", "lat": lat, "lon": 4.3})


@pytest.mark.parametrize(
    ("promise", "changed"),
    [
        (promises.LOST, {"gave": [], "receipt": [], "audit": []}),
        (promises.INVENTED, {"hand": WHOLE["hand"][:1] * 0}),
        (promises.ONCE, {"audit": again("audit", 0, incident="j")}),
        (promises.ONCE, {"gave": again("gave", 0, counter=8)}),
        (promises.FORGED, {"gave": []}),
        (promises.FORGED, {"end": [*motor(9000, 120, 160, 120, 160, 120), *WHOLE["end"]]}),
        (promises.FORGED, {"taken": motor(3010, *[120, 160] * 4, 120)}),
        (promises.ORDER, {"end": [*motor(9000, 120, 160, 120), *WHOLE["end"]]}),
        (
            promises.ORDER,
            {"audit": [replace(WHOLE["audit"][0], data={**WHOLE["audit"][0].data, "stages": [2, 1]})]},
        ),
        (promises.REUSED, {"end": [*session(9000, "A2", "code 7", 1, 7), *WHOLE["end"]]}),
        (promises.REUSED, {"end": [*session(9000, "A2", "code 6", 1, 6), *WHOLE["end"]]}),
        (promises.LINKED, {"end": [*session(9000, "A1", "code 9", 3, 9), *WHOLE["end"]]}),
        (promises.LATE, {"audit": again("audit", 0, stages=[1, 2])}),
        (promises.HEARD, {"heard": again("heard", 0, on_disk=False)}),
        (promises.KEPT, {"gave": again("gave", 1, on_disk=False)}),
        (promises.KEPT, {"audit": []}),
        (promises.FELT, {"taken": []}),
        (promises.TOLD, {"gave": [], "receipt": [], "audit": []}),
        (promises.TOLD, {"receipt": [WorldEvent(9000, "button", "reset", {}), *WHOLE["boot"]]}),
        (promises.ORDER, {"end": [*broken_off(9000), *broken_off(10_000), *WHOLE["end"]]}),
        (promises.ON_AIR, {"receipt": [silent(3100, True), silent(9000, False), *later("receipt", 6000)]}),
        (promises.ON_AIR, {"receipt": [*by_wifi(3600), silent(3700, True), silent(9000, False)]}),
        (promises.OWN_WAY, {"receipt": [way(0, True), *later("receipt", 60_000)]}),
        (promises.OWN_WAY, {"receipt": [way(0, True, "lte"), *later("receipt", 120_000)]}),
        (promises.BROUGHT, {"receipt": [WorldEvent(3600, "phone", "receipt", {**WHICH, "stage": 1})]}),
        (promises.AGED, {"end": [age(100_000, 20, False), *WHOLE["end"]]}),
        (promises.AGED, {"end": [age(100_000, 200, True), *WHOLE["end"]]}),
        (promises.PLACED, {"end": [is_at(390_000), *WHOLE["end"]]}),
        (promises.PLACED, {"end": [is_at(100_000, 50.8), is_at(390_000), position(50.8), *WHOLE["end"]]}),
        (
            promises.SOUND,
            {"end": [WorldEvent(9000, "centre", "mistake", {"text": "KeyError"}), *WHOLE["end"]]},
        ),
    ],
)
def test_a_promise_that_is_broken_is_found(promise: str, changed: dict[str, list[WorldEvent]]) -> None:
    """Each by the smallest change of the story."""
    assert promise in broken(**changed)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda: [], id="no way of its own"),
        pytest.param(lambda: [way(0, False)], id="it is shut"),
        pytest.param(lambda: [way(0, True), way(50_000, False)], id="it shuts meanwhile"),
        pytest.param(lambda: [way(0, True, "lte")], id="a modem takes its time"),
        pytest.param(lambda: [way(0, True), reset(9000)], id="a start in between"),
    ],
)
def test_a_way_that_was_not_open_all_the_time_owes_nothing(late: Callable[[], list[WorldEvent]]) -> None:
    """The receipt comes after a minute, by Bluetooth."""
    assert promises.OWN_WAY not in broken(receipt=[*late(), *later("receipt", 60_000)])


def test_a_press_that_a_bridge_has_beside_another_way_may_fall_silent() -> None:
    """HEARD is enough, once the press is received."""
    heard = WorldEvent(4000, "button", "receipt", {"args": ["0"]})
    quiet = [silent(4100, True), silent(9000, False)]
    assert broken(receipt=[*by_wifi(3600), heard, *quiet]) == []


def test_a_button_that_may_fear_its_radio_owes_nothing_yet() -> None:
    """It has begun anew just before it was pressed."""
    boots = [*WHOLE["boot"], reset(500), WorldEvent(600, "button", "boot", {"args": [DEVICE, "False"]})]
    assert promises.OWN_WAY not in broken(boot=boots, receipt=[way(0, True), *later("receipt", 60_000)])


def test_what_is_within_the_bounds_breaks_nothing() -> None:
    """A silence of a moment, an age to its steps, a lower bound, a place of the last minutes."""
    end = [
        *(silent(3200, True), silent(3500, False)),
        *(age(100_000, 90, False), age(100_000, 0, True)),
        *(is_at(200_000, 50.8), is_at(390_000), position(50.8), *WHOLE["end"]),
    ]
    told = WorldEvent(3650, "phone", "receipt", {**WHICH, "stage": 1})
    assert broken(end=end, receipt=[*WHOLE["receipt"], told]) == []


def test_what_a_button_without_power_is_held_for_is_no_press() -> None:
    """The battery was out from the very moment on in which the finger came down."""
    out = WorldEvent(WHOLE["hand"][0].at_ms, "button", "power", {"on": False})
    story = WHOLE | {"hand": [WHOLE["hand"][0], out, *WHOLE["hand"][1:]], "taken": []}
    assert promises.FELT not in broken(**story)


@pytest.mark.parametrize(("again_ms", "is_broken"), [(20_010, False), (25_000, True)])
def test_a_second_start_tells_at_once_where_the_first_could_be_written_down(
    again_ms: float, is_broken: bool
) -> None:
    """Power went twice; the hand feels *not confirmed* half a minute after the second start."""
    ends = [
        *(power(5000, False), WorldEvent(20_000, "button", "boot", {"args": [DEVICE, "False"]})),
        *(power(again_ms, False), WorldEvent(40_000, "button", "boot", {"args": [DEVICE, "False"]})),
        *motor(75_000, *[500, 300] * 2, 500),
        *WHOLE["end"],
    ]
    nothing: dict[str, list[WorldEvent]] = {"heard": [], "gave": [], "receipt": [], "audit": [], "end": ends}
    assert (promises.TOLD in broken(**nothing)) == is_broken


@pytest.mark.parametrize(("cut_ms", "is_broken"), [(40_010, False), (55_000, True)])
def test_power_that_fails_in_the_act_of_telling_is_not_told_again(cut_ms: float, is_broken: bool) -> None:
    """The second start is the one to tell; what is felt is written down first."""
    ends = [
        *(power(5000, False), WorldEvent(20_000, "button", "boot", {"args": [DEVICE, "False"]})),
        *(power(25_000, False), WorldEvent(40_000, "button", "boot", {"args": [DEVICE, "False"]})),
        *(power(cut_ms, False), WorldEvent(60_000, "button", "boot", {"args": [DEVICE, "False"]})),
        *WHOLE["end"],
    ]
    nothing: dict[str, list[WorldEvent]] = {"heard": [], "gave": [], "receipt": [], "audit": [], "end": ends}
    assert (promises.TOLD in broken(**nothing)) == is_broken


def power(at_ms: float, on: bool) -> WorldEvent:
    return WorldEvent(at_ms, "button", "power", {"on": on})


def test_what_a_play_is_too_short_for_is_not_seen() -> None:
    """An alarm that waits when the play ends is neither lost nor kept, and the reason is told."""
    short = judged(gave=[], receipt=[], audit=[], end=[WorldEvent(20_000, "world", "ends")])
    reasons = {one.promise: one.why for one in short.unseen}
    assert set(reasons) == {promises.LOST, promises.TOLD}
    assert "the bound is 240 s" in reasons[promises.LOST]
    assert not short.broken


def test_what_a_world_is_blind_for_is_named() -> None:
    """It cannot break there, and it does not count as kept."""
    events = [e for part in (WHOLE | {"gave": []}).values() for e in part]
    verdict = judge(events, 0.0, blind={promises.FORGED: "nothing is felt"})
    assert promises.FORGED not in [one.promise for one in verdict.broken]
    assert promises.FORGED not in verdict.kept()
    assert [one.why for one in verdict.unseen] == ["nothing is felt"]


def test_a_hold_is_as_long_as_the_button_is_set_to() -> None:
    """A button that takes a press after half a second is pressed by half a second."""
    hand = [
        WorldEvent(2400, "hand", "pressed", {"button": "button"}),
        WorldEvent(2950, "hand", "released", {"button": "button"}),
    ]
    quick = [WorldEvent(0, "button", "provisioned", {"device_id": DEVICE, "hold_ms": 500}), *WHOLE["boot"]]
    assert promises.INVENTED in broken(hand=hand)
    assert broken(hand=hand, boot=quick) == []


def test_clicks_may_take_as_long_as_the_world_allows() -> None:
    """A busy machine boots between two clicks."""
    times_ms = (1000, 1100, 4000, 4100, 5000, 5100)
    hand = [
        WorldEvent(at_ms, "hand", "released" if number % 2 else "pressed", {"button": "button"})
        for number, at_ms in enumerate(times_ms)
    ]
    test = {"device_id": DEVICE, "event": 2, "counter": 7}
    gave = [WorldEvent(6000, "centre", "received", {**test, "incident": "i"})]
    audit = [WorldEvent(400_000, "auditor", "incident", {**test, "incident": "i", "stages": [1]})]
    events = [*WHOLE["boot"], *hand, *gave, *audit]
    assert [one.promise for one in judge(events, 0.0).broken] == [promises.INVENTED]
    assert judge(events, 0.0, Bounds(clicks_ms_max=15_000)).broken == []


def test_a_pulse_that_a_busy_machine_stretches_is_no_closing() -> None:
    """TAKEN held for long is read as CLOSED; where machines are busy that needs the proof, too."""
    events = [e for part in (WHOLE | {"taken": motor(2500, 620)}).values() for e in part]
    assert promises.FORGED in [one.promise for one in judge(events, 0.0).broken]
    assert judge(events, 0.0, Bounds(pulses_may_stretch=True)).broken == []


def test_a_pause_that_a_busy_machine_stretches_is_no_second_receipt() -> None:
    """ACKNOWLEDGED cut in two begins as RECEIVED does; only what was proven by then says which it is."""
    seen = [
        WorldEvent(5000, "centre", "gave", {**WHICH, "incident": "i", "stage": 2, "on_disk": True}),
        WorldEvent(5100, "button", "receipt", {"args": ["2"]}),
        *motor(5200, 120, 160, 120, 360, 120),
    ]
    audit = [WorldEvent(400_000, "auditor", "incident", {**WHICH, "incident": "i", "stages": [1, 2]})]
    events = [e for part in (WHOLE | {"end": [*seen, *WHOLE["end"]], "audit": audit}).values() for e in part]
    unproven = [e for e in events if e.data.get("args") != ["2"]]
    busy = Bounds(pulses_may_stretch=True)
    assert promises.ORDER in [one.promise for one in judge(events, 0.0).broken]
    assert promises.ORDER not in [one.promise for one in judge(events, 0.0, busy).broken]
    assert promises.ORDER in [one.promise for one in judge(unproven, 0.0, busy).broken]
