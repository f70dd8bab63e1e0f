"""Figures for whoever runs many bridges, in Prometheus' format. Fed by the log's events alone.

Never a person: no `device_id`, no incident, no position is a label or a value; labels come from the
short lists below, whatever a centre answers. Bound to 127.0.0.1, in threads of its own.
"""

import socketserver
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from wire import codes

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

WAITING_MAX = 1000
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400)
OUTCOMES = (
    *("centre_down", "centre_timeout", "centre_failing", "no_network", "tls_wrong", "certificate_expired"),
    *("not_a_centre", "captive_portal", "unknown_device", "revoked", "unauthorised", "bad_code", "internal"),
)
REFUSALS = ("unknown_code", "replayed_code", "bad_state")
OTHER = "other"


class Metrics:
    """Counts what the log says; one of its sinks. `now()` is as `time.time`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # 2 MB, only when used

        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": "amr_bridge", "registry": self.registry}
        self._now = now
        self._heard_s = float("nan")
        self._waiting: OrderedDict[tuple[Any, ...], float] = OrderedDict()
        self._heard = Counter("heard", "Codes heard for the first time", ["event"], **own)
        self._posts = Counter("posts", "Answers of the centre to presses", ["outcome"], **own)
        self._receipts = Counter("receipts", "Receipts that a button has taken", **own)
        self._refused = Counter("refused", "Ignored, by reason", ["reason"], **own)
        self._dropped = Counter("log_lines_dropped", "Lines of the log that nobody read", **own)
        self._listening = Gauge("listening", "1 while the radio listens", **own)
        self._centre = Gauge("centre_reachable", "1 while the centre answers", **own)
        self._buttons = Gauge("buttons_in_reach", "Buttons in reach, as the centre was told", **own)
        self._latency = Histogram(
            "heard_to_received_seconds", "From a press heard to the centre's answer", buckets=BUCKETS_S, **own
        )
        age = Gauge("last_heard_age_seconds", "Since anything of a button was heard", **own)
        age.set_function(lambda: self._now() - self._heard_s)
        for outcome in ("received", *OUTCOMES, OTHER):
            self._posts.labels(outcome)  # there from the start, at 0: a rate needs a beginning

    def __call__(self, what: str, fields: dict[str, Any]) -> None:
        """Count one event of the log."""
        act = getattr(self, f"_on_{what}", None)
        if act is not None:
            act(fields)

    def _on_scanning(self, _: dict[str, Any]) -> None:
        self._listening.set(1)

    def _on_heard(self, fields: dict[str, Any]) -> None:
        self._heard_s = self._now()
        self._heard.labels(codes.NAMES.get(fields["event"], OTHER)).inc()
        if fields["event"] in codes.PRESSES:
            self._waiting.setdefault(_press(fields), self._heard_s)
            if len(self._waiting) > WAITING_MAX:
                self._waiting.popitem(last=False)

    def _on_received(self, fields: dict[str, Any]) -> None:
        self._posts.labels("received").inc()
        self._centre.set(1)
        heard_s = self._waiting.pop(_press(fields), None)
        if heard_s is not None:
            self._latency.observe(max(self._now() - heard_s, 0.0))

    def _on_retry(self, fields: dict[str, Any]) -> None:
        self._posts.labels(_listed(fields["reason"], OUTCOMES)).inc()

    def _on_receipt(self, _: dict[str, Any]) -> None:
        self._receipts.inc()

    def _on_refused(self, fields: dict[str, Any]) -> None:
        self._refused.labels(_listed(fields["reason"], REFUSALS)).inc(fields["count"])

    def _on_alive(self, fields: dict[str, Any]) -> None:
        self._centre.set(1)
        if "in_reach" in fields:
            self._buttons.set(fields["in_reach"])

    def _on_trouble(self, fields: dict[str, Any]) -> None:
        self._set(fields.get("where"), 0)

    def _on_well(self, fields: dict[str, Any]) -> None:
        self._set(fields.get("where"), 1)

    def _on_dropped(self, fields: dict[str, Any]) -> None:
        self._dropped.inc(fields["count"])

    def _set(self, where: object, value: int) -> None:
        gauge = {"radio": self._listening, "centre": self._centre}.get(str(where))
        if gauge is not None:
            gauge.set(value)


def _press(fields: dict[str, Any]) -> tuple[Any, ...]:
    return fields["device_id"], fields["event"], fields["counter"]


def _listed(word: str, words: tuple[str, ...]) -> str:
    return word if word in words else OTHER


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True  # whoever reads slowly keeps nobody from ending


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing: a stranger's request is no event of the bridge's."""


def _guarded(app: "WSGIApplication", port: int) -> "WSGIApplication":
    """Answer 403 to a page of the web whose name was made to point at 127.0.0.1: its Host is its own."""
    ours = (f"127.0.0.1:{port}", f"localhost:{port}")

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_HOST") in ours:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Length", "0")])
        return []

    return answer


@contextmanager
def serving(metrics: Metrics, port: int) -> Iterator[None]:
    """Serve `http://127.0.0.1:PORT/metrics` until the block ends. Raises OSError where the port is taken."""
    from prometheus_client import make_wsgi_app

    app = _guarded(make_wsgi_app(metrics.registry), port)
    with make_server("127.0.0.1", port, app, _Server, _SilentHandler) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(1)
