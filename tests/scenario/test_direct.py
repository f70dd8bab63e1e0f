"""A press without a phone, over the button's own Wi-Fi and modem: what is felt, and what is stored.

The nasty cases of a way that others own: portals, twins, routers that forget, radios that take the last volt.
"""

from collections.abc import Callable
from typing import Any

import pytest

from sim.faults import ALL_LOST, LTE, NOTHING, PASSPHRASE, RTC_KEPT, WIFI
from sim.judge.events import WorldEvent
from sim.judge.vibrations import CLOSED, NOT_CONFIRMED, RECEIVED, TAKEN, vibrations
from sim.virtual.fault_script import Schedule, Step
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.verdict import judge
from sim.virtual.world import World
from wire.direct import PRESS, RESET, WIFI_HTTPS

PRESSED_S = 10.0
HELD_S = 2.2  # until it is taken
Steps = list[tuple[object, ...]]
BOTH = f"{WIFI} {LTE}"


def world_of(
    *steps: tuple[object, ...],
    direct: str = "always",
    carriers: str = WIFI,
    phones: int = 0,
    minutes: float = 10,
    seed: int = 1,
) -> World:
    """A world in which somebody presses after 10 s, and these steps happen."""
    all_steps = sorted((Step(PRESSED_S, "hold", "button"), *(Step(*one) for one in steps)), key=_at_s)  # type: ignore[arg-type]
    return World(Schedule(seed, tuple(all_steps), minutes, phones=phones, direct=direct, carriers=carriers))


def _at_s(step: Step) -> float:
    return step.at_s


def played(*steps: tuple[object, ...], **what: Any) -> World:
    world = world_of(*steps, **what)
    world.run()
    return world


def of_button(world: World, what: str) -> list[WorldEvent]:
    return [e for e in world.events if e.by == "button" and e.what == what]


def patterns(world: World) -> list[tuple[float, object]]:
    """`(at_s, what)` of all that the hand felt."""
    own = [e for e in world.events if e.by == "button"]
    return [((one.from_ms - EPOCH_MS) / 1000, one.pattern) for one in vibrations(own)]


def felt(world: World) -> list[object]:
    return [what for _, what in patterns(world)]


def incidents(world: World) -> int:
    return len([e for e in world.events if e.what == "incident"])


def received_after_s(world: World) -> float:
    """How long after the press was taken the hand feels that it is received."""
    return next(at_s for at_s, what in patterns(world) if what == RECEIVED) - PRESSED_S - HELD_S


def frames(world: World, kind: int = 0) -> list[WorldEvent]:
    """What the centre was asked without a phone."""
    return [e for e in world.events if e.what == "frame" and kind in (0, e.data["kind"])]


def rows(world: World, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What an auditor reads in the centre's database, before it is gone."""
    return world.centre.disk.query(sql, *values)


def at_end(world: World, look: Callable[[World], Any]) -> Any:
    """Play a world to its end; what `look` sees there, before it is no more."""
    world.begin()
    world.run_until(world.schedule.minutes * 60)
    seen = look(world)
    world.end()
    return seen


# -- with no phone at all -------------------------------------------------------------------------


@pytest.mark.parametrize(("carriers", "within_s"), [(WIFI, 6), (LTE, 30), (BOTH, 6)])
@pytest.mark.parametrize("direct", ["always", "backup"])
def test_a_press_is_received_without_a_phone(direct: str, carriers: str, within_s: float) -> None:
    """Felt once; `backup` leaves Bluetooth five seconds first."""
    world = played(direct=direct, carriers=carriers)
    assert felt(world) == [TAKEN, RECEIVED]
    assert received_after_s(world) < within_s + 5 * (direct == "backup")
    assert incidents(world) == 1
    assert judge(world) == []


def test_later_stages_are_felt_without_a_phone() -> None:
    """Each once, as an operator brings the alarm on."""
    world = played(
        (30, "operate", "centre", 0, 2), (60, "operate", "centre", 0, 3), (200, "operate", "centre", 0, 4)
    )
    assert felt(world) == [TAKEN, RECEIVED, 2, 3, CLOSED]
    assert judge(world) == []


def test_a_button_without_a_way_of_its_own_asks_nobody() -> None:
    """And is told so by its own clock."""
    world = played(direct="off", phones=1)
    assert frames(world) == []
    assert felt(world) == [TAKEN, RECEIVED]


def test_backup_leaves_the_press_to_a_phone_that_is_near() -> None:
    """The centre hears of it once."""
    world = played(direct="backup", phones=1, minutes=6)
    assert frames(world, PRESS) == []
    assert felt(world) == [TAKEN, RECEIVED]


# -- both ways --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([(8, "network_slow", "bridge", 60, 6000)], id="the phone is late"),
        pytest.param(
            [(8, "udp_late", "button", 60, 20_000), (8, "phone_asleep", "bridge", 60)],
            id="the datagram is late",
        ),
    ],
)
def test_both_ways_in_either_order_are_one_incident(steps: Steps) -> None:
    """Two arrivals, one proof, felt once."""
    world = world_of(*steps, phones=1)
    arrivals = at_end(world, lambda w: rows(w, "SELECT path FROM alarms ORDER BY path"))
    assert arrivals == [("ble",), ("wifi",)]
    assert felt(world) == [TAKEN, RECEIVED]
    assert incidents(world) == 1
    assert judge(world) == []


def test_a_receipt_by_bluetooth_ends_the_asking_where_answers_are_lost() -> None:
    """One vibration, and no press is sent after it."""
    world = played(
        (8, "nat_forgets", "button", 60, 1),
        (8, "udp_blocked", "button", 0.1),
        (8, "out_of_reach", "bridge", 10),
        phones=1,
    )
    proven_ms = next(e.at_ms for e in of_button(world, "receipt") if e.data["args"][0] == "1")
    assert felt(world).count(RECEIVED) == 1
    assert [e for e in frames(world, PRESS) if e.at_ms > proven_ms + 3000] == []
    assert judge(world) == []


def test_a_phone_that_heard_it_and_posts_hours_later_changes_nothing() -> None:
    """Received, closed, posted six hours later by a phone with a wrong clock: one incident, still closed."""
    world = played(
        (8, "network_gone", "bridge", 6 * 3600),
        (60, "operate", "centre", 0, 4),
        (100, "clock_jumps", "bridge", 0, -86_400_000),
        phones=1,
        minutes=370,
    )
    assert incidents(world) == 1
    assert [e.data["stages"] for e in world.events if e.what == "incident"] == [[1, 2, 4]]
    assert felt(world) == [TAKEN, RECEIVED, 2, CLOSED]
    assert judge(world) == []


# -- networks of others -----------------------------------------------------------------------------


def test_a_captive_portal_costs_its_network_alone() -> None:
    """It answers everything but the seal: the modem brings the press, and nothing is felt of the portal."""
    world = played((5, "wifi_captive", "button", 300), carriers=BOTH)
    assert felt(world) == [TAKEN, RECEIVED]
    assert received_after_s(world) < 30
    assert judge(world) == []


def test_a_portal_that_is_all_there_is_is_told() -> None:
    """Not confirmed after a minute, received when it has gone."""
    world = played((5, "wifi_captive", "button", 120))
    assert felt(world) == [TAKEN, NOT_CONFIRMED, RECEIVED]
    assert judge(world) == []


@pytest.mark.parametrize("knows", [NOTHING, PASSPHRASE])
def test_an_evil_twin_brings_nothing_that_is_felt(knows: str) -> None:
    """Whatever it answers; when it has gone the press is received."""
    world = played((5, "wifi_twin", "button", 100, knows))
    words = felt(world)
    assert words in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])
    assert (words == [TAKEN, RECEIVED]) == (knows == NOTHING)
    assert judge(world) == []


def test_where_datagrams_are_blocked_it_goes_by_https() -> None:
    """Soon: nobody waits for what never comes."""
    world = played((5, "udp_blocked", "button", 300))
    assert felt(world) == [TAKEN, RECEIVED]
    assert received_after_s(world) < 12
    blocked = [e for e in frames(world) if e.at_ms < EPOCH_MS + 300_000]
    assert {e.data["carrier"] for e in blocked} == {WIFI_HTTPS}
    assert judge(world) == []


def test_a_network_that_fails_in_turn_is_asked_again() -> None:
    """No address; then an address and no way on; then all is well, and the press is there."""
    world = played((5, "dhcp_silent", "button", 30), (35, "uplink_dead", "button", 90))
    words = patterns(world)
    assert [what for _, what in words] == [TAKEN, NOT_CONFIRMED, RECEIVED]
    assert 125 < words[-1][0] < 125 + 60 + 20
    assert judge(world) == []


@pytest.mark.parametrize(
    "fault",
    [
        ("udp_doubled",),
        ("udp_reordered",),
        ("udp_lossy", 0.5),
        ("udp_late", 3000),
        ("nat_forgets", 300),
    ],
)
@pytest.mark.parametrize("carriers", [WIFI, LTE])
def test_datagrams_that_go_astray_are_one_press(carriers: str, fault: tuple[object, ...]) -> None:
    """Doubled, overtaken, lost or late, with what an operator does meanwhile."""
    what, value = fault[0], (*fault, 0)[1]
    world = played((5, what, "button", 300, value), (40, "operate", "centre", 0, 2), carriers=carriers)
    assert incidents(world) == 1
    words = [one for one in felt(world) if one != NOT_CONFIRMED]
    assert words == [TAKEN, RECEIVED, 2]
    assert judge(world) == []


def test_a_router_that_forgets_the_way_back_delays_a_stage_and_no_more() -> None:
    """The answer that was held goes to a port that is no more; the next question has another."""
    world = played((11, "nat_forgets", "button", 200, 5000), (40, "operate", "centre", 0, 2))
    acknowledged_s = next(at for at, what in patterns(world) if what == 2)
    assert acknowledged_s < 40 + 90
    assert judge(world) == []


# -- modems -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what", ["cell_gone", "cell_denied", "modem_silent", "modem_resets", "modem_garbage"]
)
def test_a_modem_that_fails_is_asked_again(what: str) -> None:
    """Whatever it does; nothing is felt of it but that the press is not confirmed."""
    world = played((5, what, "button", 100), carriers=LTE)
    words = felt(world)
    assert words in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])
    assert incidents(world) == 1
    assert judge(world) == []


def test_a_modem_that_begins_anew_after_it_took_the_press_loses_none() -> None:
    """The datagram has left, and its answer finds nobody."""
    world = played((14, "modem_resets", "button", 15), carriers=LTE)
    assert felt(world) in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])
    assert incidents(world) == 1
    assert judge(world) == []


# -- power and memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [RTC_KEPT, ALL_LOST])
@pytest.mark.parametrize("direct", ["always", "backup"])
def test_a_radio_that_browns_the_board_out_costs_bluetooth_nothing(direct: str, keeps: str) -> None:
    """The phone brings the press, and there is no loop of starts."""
    world = world_of((5, "wifi_browns_out", "button", 290, keeps), direct=direct, phones=1, minutes=12)
    world.run()
    words = felt(world)
    assert words in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])
    assert len(of_button(world, "boot")) < 30
    assert incidents(world) == 1
    assert judge(world) == []


def test_the_centre_learns_that_a_radio_costs_a_start() -> None:
    """By the carrier that works, in words for the case manager."""
    world = world_of((5, "wifi_browns_out", "button", 595, RTC_KEPT), carriers=BOTH, minutes=14.5)
    errors = at_end(world, lambda w: rows(w, "SELECT error FROM carrier_states WHERE carrier = 'wifi'"))
    assert errors == [(RESET,)]
    assert felt(world) in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])


def test_a_button_without_memory_for_wifi_goes_by_bluetooth() -> None:
    """Its loop lives: no start, no fault."""
    world = played((5, "wifi_no_memory", "button", 300), phones=1)
    assert felt(world) == [TAKEN, RECEIVED]
    assert of_button(world, "fault") == of_button(world, "reset") == []
    assert judge(world) == []


def test_after_a_change_of_battery_the_certificate_is_believed_once_and_then_held_to() -> None:
    """Datagrams are blocked, too: the first answer sets the clock, and the next one is strict."""
    world = played((5, "power_cut", "button", 1), (5, "udp_blocked", "button", 500), (400, "hold", "button"))
    assert felt(world)[:2] == [TAKEN, RECEIVED]
    strict = [e.data["is_strict"] for e in of_button(world, "posts")]
    assert strict[0] is False
    assert strict[-1] is True
    assert False not in strict[strict.index(True) :]
    assert judge(world) == []


@pytest.mark.parametrize("operation", range(12))
def test_power_that_fails_at_any_write_costs_no_press(operation: int) -> None:
    """The same press, the same counter, one incident."""
    world = played((9, "power_cut_at", "button", 20, operation))
    assert incidents(world) <= 1
    assert judge(world) == []


@pytest.mark.parametrize("after_s", [0.05, 0.5, 1.2, 2.5, 3.5, 4.2, 5.0, 7.0, 12.0, 25.0])
@pytest.mark.parametrize("what", ["power_cut", "button_reset"])
def test_a_start_at_any_moment_of_its_own_way_costs_no_press(what: str, after_s: float) -> None:
    """While the radio starts, scans, joins, asks and waits."""
    at_s = PRESSED_S + HELD_S + after_s
    world = played((at_s, what, "button", 3 * (what == "power_cut")))
    assert incidents(world) == 1
    assert [one for one in felt(world) if one == RECEIVED] in ([RECEIVED], [])
    assert judge(world) == []


# -- replays ----------------------------------------------------------------------------------------


def test_a_press_that_somebody_sends_again_from_a_thousand_places_is_one() -> None:
    """Answered at once with what stands, and nothing is held."""
    world = world_of(minutes=10)
    heard: list[bytes] = []
    datagram = world.centre.datagram

    def overheard(frame: bytes, source: str, back: Callable[[bytes], None]) -> None:
        heard.append(frame)
        datagram(frame, source, back)

    world.centre.datagram = overheard  # type: ignore[method-assign]
    world.begin()
    world.run_until(30)
    answers: list[bytes] = []
    for place in range(1000):
        datagram(heard[0], f"place {place}", answers.append)
    world.run_until(60)
    assert len(answers) == 1000
    world.run_until(600)
    world.end()
    assert incidents(world) == 1
    assert judge(world) == []
