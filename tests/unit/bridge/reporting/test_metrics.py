"""The figures: right, about nobody, and never in the way."""

import http.client
import json
import math
import re
import socket
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.reporting.log import EVENTS, Log
from bridge.reporting.metrics import WAITING_MAX, Metrics, serving
from wire import codes

DEVICE = "DEVICEBAAAAAAAAA"


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"amr_bridge_{name}", labels)


def test_one_press_all_the_way() -> None:
    """Heard, tried in vain, received, felt: each is counted, and the time between is known."""
    clock = Clock()
    metrics = Metrics(clock)
    press = {"device_id": DEVICE, "event": codes.ALARM, "counter": 7}
    metrics("scanning", {"buttons": 1})
    metrics("heard", press | {"rssi": -60})
    clock.now_s += 2.0
    metrics("trouble", {"where": "centre", "reason": "centre_down", "text": ""})
    metrics("retry", press | {"reason": "centre_down", "in_ms": 500})
    assert value(metrics, "centre_reachable") == 0
    metrics("received", press | {"incident": "i"})
    metrics("receipt", press | {"stage": 1})
    clock.now_s += 40.0
    assert value(metrics, "heard_total", event="ALARM") == 1
    assert value(metrics, "posts_total", outcome="centre_down") == 1
    assert value(metrics, "posts_total", outcome="received") == 1
    assert value(metrics, "receipts_total") == 1
    assert value(metrics, "listening") == 1
    assert value(metrics, "centre_reachable") == 1
    assert value(metrics, "last_heard_age_seconds") == 42
    assert value(metrics, "heard_to_received_seconds_count") == 1
    assert value(metrics, "heard_to_received_seconds_sum") == 2


def test_a_radio_that_is_lost_listens_no_more_until_it_does() -> None:
    """By where the trouble is; a trouble elsewhere changes nothing."""
    metrics = Metrics()
    metrics("scanning", {"buttons": 1})
    metrics("trouble", {"where": "disk", "reason": "disk_full", "text": ""})
    assert value(metrics, "listening") == 1
    metrics("trouble", {"where": "radio", "reason": "adapter_gone", "text": ""})
    assert value(metrics, "listening") == 0
    metrics("well", {"where": "radio"})
    assert value(metrics, "listening") == 1
    metrics("alive", {"buttons": 4, "in_reach": 3})
    assert value(metrics, "buttons_in_reach") == 3


def test_a_centre_cannot_make_labels() -> None:
    """Whatever it answers falls into one of a few: a hostile one would fill the memory."""
    metrics = Metrics()
    for number in range(500):
        metrics("retry", {"device_id": "", "event": 1, "counter": 1, "reason": f"word_{number}", "in_ms": 1})
        metrics("refused", {"reason": f"field x{number}: {number}", "count": 2})
    assert value(metrics, "posts_total", outcome="other") == 500
    assert value(metrics, "refused_total", reason="other") == 1000
    families = {family.name: family for family in metrics.registry.collect()}
    assert len(families["amr_bridge_posts"].samples) < 50


def test_presses_that_wait_are_bounded() -> None:
    """Days offline: the oldest are no more timed, and nothing grows."""
    metrics = Metrics()
    for counter in range(WAITING_MAX + 10):
        metrics("heard", {"device_id": DEVICE, "event": codes.TEST, "counter": counter})
    assert len(metrics._waiting) == WAITING_MAX


def test_prometheus_reads_it_and_it_says_nothing_of_anybody(capsys: pytest.CaptureFixture[str]) -> None:
    """The real format over real HTTP, on 127.0.0.1, fed by the log."""
    metrics = Metrics()
    with socket.create_server(("127.0.0.1", 0)) as ear:
        port = ear.getsockname()[1]
    with Log(True, (metrics,)) as log:
        for event in EVENTS:
            log(
                event,
                device_id=DEVICE,
                event=1,
                counter=77777,
                incident="incident-9",
                where="radio",
                reason="r",
                count=1,
                buttons=1,
                in_reach=1,
                stage=1,
            )
        with serving(metrics, port):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                text = answer.read().decode()
            with pytest.raises(OSError, match="in use"), serving(metrics, port):
                pass
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"amr_bridge_heard", "amr_bridge_listening", "amr_bridge_heard_to_received_seconds"} <= names
    assert not re.search(rf"{DEVICE}|77777|incident-9", text)
    assert len(capsys.readouterr().out.splitlines()) == len(EVENTS)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("attacker.example:{port}", 403),
        ("attacker.example", 403),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        ("127.0.0.1:{port}.attacker.example", 403),
        ("", 403),
    ],
)
def test_a_page_of_the_web_cannot_read_it_by_a_name_of_its_own(host: str, status: int) -> None:
    """A name that was made to point at 127.0.0.1 (DNS rebinding) is told by its Host; nor can it send two."""
    port = free_port()
    hosts = [host.format(port=port)]
    with serving(Metrics(), port):
        for more in ([], ["attacker.example"]):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.putrequest("GET", "/metrics", skip_host=True)
            for each in (*hosts, *more):
                connection.putheader("Host", each)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            assert answer.status == (403 if more else status)
            assert (b"amr_bridge" in body) == (answer.status == 200)


def test_before_anything_was_heard_there_is_no_age() -> None:
    """Not 0: that would be a button that is here."""
    age = value(Metrics(), "last_heard_age_seconds")
    assert age is not None
    assert math.isnan(age)


def test_figures_that_fail_do_not_stop_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A sink that raises misses that event; the line is written."""

    def broken(what: str, fields: dict[str, object]) -> None:
        raise RuntimeError(f"{what} {fields}")

    with Log(True, (broken,)) as log:
        log("scanning", buttons=1)
        log("scanning", buttons=2)
    assert [json.loads(line)["buttons"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
