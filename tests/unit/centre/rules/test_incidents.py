"""What a posted press means: the rules, without a server."""

import pytest

from centre.rules import incidents, times
from centre.rules.fields import Dropped
from centre.rules.incidents import AGE_S_MAX
from centre.rules.refusals import Refused
from tests.unit.centre.parts import FIX, Hand
from wire import codes, receipts

HAND = Hand()
NAN, INF = float("nan"), float("inf")


def reason_of(body: object) -> str:
    with pytest.raises(Refused) as caught:
        incidents.read(body)
    return caught.value.reason


@pytest.mark.parametrize("body", [None, [], "x", 1, {}])
def test_what_is_not_an_alarm_is_refused(body: object) -> None:
    """Nothing is guessed."""
    assert reason_of(body) == "wrong_type"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("event", "1", "wrong_type"),
        ("event", True, "wrong_type"),
        ("event", 1.0, "wrong_type"),
        ("event", 0, "out_of_range"),
        ("event", codes.CONTACT, "out_of_range"),
        ("counter", None, "wrong_type"),
        ("counter", 1.5, "wrong_type"),
        ("counter", -1, "out_of_range"),
        ("counter", 2**32, "out_of_range"),
        ("device_id", 7, "wrong_type"),
        ("device_id", "short", "unknown_device"),
        ("device_id", "\ud800" * 16, "unknown_device"),
        ("code", 5, "wrong_type"),
        ("code", None, "wrong_type"),
    ],
)
def test_required_fields_are_strict(field: str, value: object, reason: str) -> None:
    """Device, event, counter and code say which press it is: there is no alarm without them."""
    assert reason_of(HAND.alarm(1) | {field: value}) == reason


@pytest.mark.parametrize("cut", [0, 30, 31, 33])
def test_a_cut_or_long_code_is_a_wrong_code(cut: int) -> None:
    """A truncated code opens no incident."""
    alarm = HAND.alarm(1)
    press = incidents.read(alarm | {"code": (str(alarm["code"]) + "0")[:cut]})
    with pytest.raises(Refused, match="bad_code"):
        incidents.check_code(HAND.root, 0, press)


@pytest.mark.parametrize("change", [{"counter": 2}, {"event": codes.TEST}, {"code": "0" * 32}])
def test_a_forged_code_is_a_wrong_code(change: dict[str, object]) -> None:
    """The code is recomputed for exactly this event and counter."""
    with pytest.raises(Refused, match="bad_code"):
        incidents.check_code(HAND.root, 0, incidents.read(HAND.alarm(1) | change))


def test_another_epoch_has_other_codes() -> None:
    """Re-keying in the field makes the old codes worthless."""
    with pytest.raises(Refused, match="bad_code"):
        incidents.check_code(HAND.root, 1, incidents.read(HAND.alarm(1)))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("path", "pigeon", "unknown_value"),
        ("path", 3, "wrong_type"),
        ("heard_at", "yesterday", "not_a_time"),
        ("heard_at", "2026-11-23", "not_a_time"),
        ("heard_at", "2026-13-23T10:00:00Z", "not_a_time"),
        ("heard_at", "0001-01-01T00:00:00+23:59", "not_a_time"),
        ("heard_at", "9999-12-31T23:59:59.9999Z", "not_a_time"),
        ("heard_at", 1795394888, "wrong_type"),
        ("age_s", NAN, "not_finite"),
        ("age_s", -1, "out_of_range"),
        ("age_s", AGE_S_MAX + 1, "out_of_range"),
        ("age_s", "5", "wrong_type"),
        ("age_s", False, "wrong_type"),
        ("phone", "Pixel", "wrong_type"),
        ("phone", {"battery_percent": 101}, "battery_percent_out_of_range"),
        ("phone", {"battery_percent": 50.5}, "battery_percent_wrong_type"),
        ("phone", {"battery_percent": NAN}, "battery_percent_wrong_type"),
        ("phone", {"model": "x" * 65}, "model_out_of_range"),
        ("phone", {"model": "line\nbreak"}, "model_out_of_range"),
        ("phone", {"model": "\ud800"}, "model_out_of_range"),
        ("fix", [50, 4], "wrong_type"),
        ("fix", {}, "lat_missing"),
        ("fix", FIX | {"lat": NAN}, "lat_not_finite"),
        ("fix", FIX | {"lat": 90.1}, "lat_out_of_range"),
        ("fix", FIX | {"lat": 10**400}, "lat_out_of_range"),
        ("fix", FIX | {"lat": "50"}, "lat_wrong_type"),
        ("fix", FIX | {"lon": -180.5}, "lon_out_of_range"),
        ("fix", FIX | {"lon": -INF}, "lon_not_finite"),
        ("fix", FIX | {"radius_m": -1}, "radius_m_out_of_range"),
        ("fix", FIX | {"radius_m": INF}, "radius_m_not_finite"),
        ("fix", FIX | {"confidence": 101}, "confidence_out_of_range"),
        ("fix", FIX | {"method": "GUESS"}, "method_unknown_value"),
        ("fix", FIX | {"taken_at": None}, "taken_at_missing"),
        ("fix", FIX | {"taken_at": "now"}, "taken_at_not_a_time"),
        ("fix", FIX | {"marks": "stale"}, "marks_wrong_type"),
        ("fix", FIX | {"marks": ["stale", "fresh"]}, "marks_unknown_value"),
        ("fix", FIX | {"marks": ["stale"] * 4}, "marks_out_of_range"),
        ("fix", FIX | {"marks": [None]}, "marks_wrong_type"),
    ],
)
def test_a_bad_optional_field_is_dropped_and_named(field: str, value: object, reason: str) -> None:
    """The alarm of a phone that is confused is still an alarm."""
    press = incidents.read(HAND.alarm(1) | {field: value})
    assert press.dropped == [Dropped(field, reason)]
    assert getattr(press, {"heard_at": "heard_at_ms"}.get(field, field)) is None
    incidents.check_code(HAND.root, 0, press)


def test_a_good_alarm_is_read_whole() -> None:
    """Nothing that could be believed is lost."""
    body = HAND.alarm(
        7,
        heard_at="2026-11-23T11:00:00.5+01:00",
        age_s=2.5,
        fix=FIX,
        phone={"battery_percent": 64, "model": "Pixel 8"},
    )
    press = incidents.read(body)
    assert press.dropped == []
    assert press.heard_at_ms == times.read("2026-11-23T10:00:00.500Z")
    assert (press.path, press.age_s) == ("ble", 2.5)
    assert press.fix == incidents.Fix(50.8466, 4.3528, 18.5, 68.0, "GNSS", times.read(FIX["taken_at"]))  # type: ignore[arg-type]
    assert press.phone == incidents.Phone(64, "Pixel 8")


def test_what_is_missing_is_not_dropped() -> None:
    """Only the four required fields are needed; unknown ones may come in later versions."""
    alarm = HAND.alarm(1)
    bare = {name: alarm[name] for name in ("device_id", "event", "counter", "code")}
    assert incidents.read(bare | {"colour": "red"}).dropped == []


@pytest.mark.parametrize("counter", [0, 1, codes.SPARE_FIRST, codes.SPARE_FIRST + codes.SPARE_COUNT - 1])
def test_every_counter_that_a_button_may_draw_is_taken(counter: int) -> None:
    """A button that has lost its counters alarms from the spare range."""
    incidents.check_code(HAND.root, 0, incidents.read(HAND.alarm(counter)))


def test_stages_only_rise() -> None:
    """A repeated or lower stage changes nothing; who sends help or closes has taken the alarm."""
    taken, sent, closed = receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED
    assert incidents.to_reach(receipts.RECEIVED, taken) == (taken,)
    assert incidents.to_reach(receipts.RECEIVED, sent) == (taken, sent)
    assert incidents.to_reach(receipts.RECEIVED, closed) == (taken, closed)
    assert incidents.to_reach(taken, taken) == incidents.to_reach(closed, sent) == ()


def test_nobody_is_called_to_a_silent_test() -> None:
    """A TEST ends at RECEIVED."""
    assert incidents.is_last(codes.TEST, receipts.RECEIVED)
    assert not incidents.is_last(codes.ALARM, receipts.DISPATCHED)
    assert incidents.is_last(codes.ALARM, receipts.CLOSED)


def test_the_press_is_dated_by_what_can_be_known() -> None:
    """A clock that is ahead cannot put a press into the future; an age counts back from hearing."""
    assert incidents.pressed_at_ms(9_000, 2.5, 10_000) == 6_500
    assert incidents.pressed_at_ms(99_000, None, 10_000) == 10_000
    assert incidents.pressed_at_ms(None, 3, 10_000) == 7_000


def test_times_survive_writing_and_reading() -> None:
    """RFC 3339 in UTC, to the millisecond."""
    assert times.write(times.read("2026-11-23T10:00:00.123Z")) == "2026-11-23T10:00:00.123Z"


@pytest.mark.parametrize("source", [7, "GPS", "x" * 17, "two words", ["gpsd"]])
def test_a_bad_source_costs_an_alarm_no_position(source: object) -> None:
    """A label is worth less than where the protected person is."""
    press = incidents.read(HAND.alarm(1, fix=FIX | {"source": source}))
    assert press.fix is not None
    assert press.fix.source is None
    assert [dropped.field for dropped in press.dropped] == ["fix.source"]


def test_source_and_marks_are_read() -> None:
    """In one order, each mark once; and nothing where nothing is told."""
    marks = ["implausible", "stale", "stale"]
    fix = incidents.read(HAND.alarm(1, fix=FIX | {"source": "gpsd", "marks": marks})).fix
    assert fix is not None
    assert (fix.source, fix.marks) == ("gpsd", ("stale", "implausible"))
    (fix,) = incidents.read_fixes({"fixes": [FIX | {"source": "", "marks": []}]})
    assert (fix.source, fix.marks) == (None, ())


@pytest.mark.parametrize(
    ("bad", "field", "why"),
    [
        (FIX | {"lat": 91}, "fixes[3].lat", "out_of_range"),
        (FIX | {"lon": NAN}, "fixes[3].lon", "not_finite"),
        (FIX | {"radius_m": "5"}, "fixes[3].radius_m", "wrong_type"),
        (FIX | {"taken_at": "now"}, "fixes[3].taken_at", "not_a_time"),
        (FIX | {"confidence": 101}, "fixes[3].confidence", "out_of_range"),
        (FIX | {"method": "GUESS"}, "fixes[3].method", "unknown_value"),
        (FIX | {"source": "GPS"}, "fixes[3].source", "out_of_range"),
        (FIX | {"marks": ["fresh"]}, "fixes[3].marks", "unknown_value"),
        ({}, "fixes[3].lat", "missing"),
        ("here", "fixes[3]", "wrong_type"),
        (None, "fixes[3]", "wrong_type"),
    ],
)
def test_one_bad_fix_refuses_the_batch_and_is_named(bad: object, field: str, why: str) -> None:
    """Which, what of it, and why."""
    with pytest.raises(Refused) as caught:
        incidents.read_fixes({"fixes": [FIX, FIX, FIX, bad]})
    assert (caught.value.reason, caught.value.field) == ("bad_fix", field)
    assert caught.value.detail == f"{field}: {why}"


def test_a_batch_has_a_bound() -> None:
    """64, and not one more."""
    assert len(incidents.read_fixes({"fixes": [FIX] * 64})) == 64
    with pytest.raises(Refused, match="bad_fix"):
        incidents.read_fixes({"fixes": [FIX] * 65})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event": codes.TEST}, "only_alarms"),
        ({"event": 9}, "only_alarms"),
        ({"event": True}, "wrong_type"),
        ({"counter": 2**32}, "out_of_range"),
        ({"device_id": "short"}, "unknown_device"),
        ({"pin": 1234}, "wrong_type"),
        ({"pin": None}, "wrong_type"),
        ({"pin": "1" * 65}, "out_of_range"),
    ],
)
def test_what_is_no_call_off_is_refused(change: dict[str, object], reason: str) -> None:
    """Only an ALARM is called off; any string may be tried as a PIN."""
    body = {"device_id": HAND.device_id, "event": 1, "counter": 4, "pin": "1234"}
    read = incidents.read_call_off(body)
    assert (read.device_id, read.counter, read.pin) == (HAND.device_id, 4, "1234")
    assert "1234" not in repr(read)
    with pytest.raises(Refused) as caught:
        incidents.read_call_off(body | change)
    assert caught.value.reason == reason
