"""What is said to the centre, and what its answers mean. How an endpoint fails is errors.py's subject.

A centre may have several addresses. A post goes to the one that answered last; where that fails, says
no, or says nothing for two seconds, it goes to the next as well, and the first good answer counts: the
same press at two addresses is one incident (protocol, "Bridge to centre"). A PIN alone goes to one
address after the other, and no further once it is refused: each that takes it counts a try.

Trust comes from the label alone: the pin in its QR text, then that one CA.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from bridge.centre.authority import pem_of, pinned
from bridge.centre.endpoint import (
    ANSWER_S_MAX,
    CLOCK_SKEW_S_MAX,
    CONNECT_S_MAX,
    Endpoint,
    body_of,
)
from bridge.centre.errors import (
    CentreError,
    CentreRefused,
    NotACentre,
    TlsWrong,
    no_centre,
    refusal,
)
from bridge.centre.stream import EventStream
from wire import codes, receipts

T = TypeVar("T")

# The centre's heartbeat is 15 s; three missed ones are a dead stream.
STREAM_SILENCE_S_MAX = 50.0
# An answer usually takes a tenth of it.
HEDGE_S = 2.0
PACE_S = (10, 3600)  # what we let the centre ask for, between two heartbeats of ours


@dataclass(frozen=True, slots=True)
class Label:
    """What the QR text says: `<centre>/e#<code>.<SHA-256 of the CA's public key>`."""

    centre: str
    code: str
    pin: bytes

    def __repr__(self) -> str:
        return f"Label({self.centre})"


def parse_label(text: str) -> Label:
    """Raises ValueError with a sentence for the user."""
    match = re.fullmatch(r"(https://[^\s#?]+)/e#([A-Z2-7]{20})\.([0-9a-f]{64})", text.strip(), re.ASCII)
    if not match:
        raise ValueError("this is not a label's text: https://CENTRE/e#CODE.PIN is expected, in quotes")
    centre, code, pin = match.groups()
    try:
        url = URL(centre)
        good = bool((url.host or "").encode("idna")) and url.user is None and url.password is None
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the label names no centre that can be reached: {centre}")
    return Label(centre, code, bytes.fromhex(pin))


@dataclass(frozen=True, slots=True)
class Answer:
    """200 or 201 to an alarm."""

    incident: str
    stage: int
    proof: bytes
    known: bool
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One event of an incident's stream."""

    event_id: str
    stage: int
    proof: bytes


@dataclass(frozen=True, slots=True)
class AliveAnswer:
    """How soon the centre wants to hear again, and the highest counters that it knows, per button."""

    next_in_s: int
    counters: dict[str, tuple[int, int]]  # press, alive


class Centre:
    """One centre at one or more addresses, one CA. `ca_pem` None: nothing is verified (`fetch_ca` only).

    `hedge_s`: so long one address is asked alone. `endpoint(url, ca_pem, answer_s_max)` makes the way to one
    address.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        ca_pem: str | None,
        answer_s_max: float = ANSWER_S_MAX,
        portal_port: int = 80,
        hedge_s: float = HEDGE_S,
        endpoint: Callable[[str, str | None, float], Endpoint] = Endpoint,
    ) -> None:
        urls = [urls] if isinstance(urls, str) else urls
        self._endpoints = [endpoint(url, ca_pem, answer_s_max) for url in dict.fromkeys(urls)]
        self._portal_port, self._hedge_s = portal_port, hedge_s

    async def __aenter__(self) -> "Centre":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()

    @property
    def skew_s(self) -> float | None:
        """Return how far the centre's clock is ahead of ours; None while they agree, or nothing is known."""
        skew_s = self._endpoints[0].skew_s
        return None if skew_s is None or abs(skew_s) < CLOCK_SKEW_S_MAX else skew_s

    async def fetch_ca(self, pin: bytes) -> str:
        """Return the CA's certificate. Raises TlsWrong where its public key is not the one on the label."""
        endpoint = self._endpoints[0]
        async with endpoint.request("GET", "/ca.pem") as response:
            body = await body_of(response)
            if response.status != 200:
                raise refusal(response.status, body)
        try:
            certificate = pinned(body, pin)
        except ValueError:
            raise NotACentre("no_ca", f"{endpoint.url}/ca.pem is not a certificate") from None
        if certificate is None:
            raise TlsWrong(
                "pin_mismatch",
                "the certificate authority at this address is not the one on the label; nothing was sent",
            )
        return pem_of(certificate)

    async def enrol(self, code: str, pin: str | None, duress_pin: str | None) -> dict[str, Any]:
        """Use up the label's code; the answer as the centre gave it (settings.py reads it)."""
        pins = {"pin": pin, "duress_pin": duress_pin}
        body = {"code": code} | {name: value for name, value in pins.items() if value is not None}
        # To one address: the code works once, and what is lost with an answer is lost for good.
        _, answer = await self._post_to(self._endpoints[0], "/v1/enrolments", body, None, (201,))
        return answer

    def prepare_alarm(self, token: str) -> None:
        """Connect for an alarm that is about to be posted, where it will go first."""
        self._endpoints[0].prepare("/v1/alarms", _authorization(token))

    async def post_alarm(self, token: str, alarm: dict[str, Any]) -> Answer:
        """Tell of a press; the centre has it on disk when this returns."""
        return await self._post("/v1/alarms", alarm, token, (200, 201), _read_answer)

    async def post_fixes(self, token: str, incident: str, fixes: Sequence[dict[str, Any]]) -> None:
        """Tell of positions; the centre has all of them on disk when this returns, each once."""
        path = (URL("/v1/incidents") / incident / "fixes").raw_path
        await self._post(path, {"fixes": list(fixes)}, token, (200,), _read_nothing)

    async def post_call_off(self, token: str, call_off: dict[str, Any]) -> None:
        """Call an alarm off, by whichever PIN: the answer is the same for both."""
        posts = self._posters("/v1/call-offs", call_off, token, (200,), _read_nothing)
        await self._race(posts, hedge_s=None, no_is_final=True)

    async def post_pin_trial(self, token: str, trial: dict[str, Any]) -> None:
        """Try a PIN, where no alarm is open; raises CentreRefused("wrong_pin") where it is neither."""
        posts = self._posters("/v1/pin-trials", trial, token, (200,), _read_nothing)
        await self._race(posts, hedge_s=None, no_is_final=True)

    async def post_alive(self, token: str, alive: dict[str, Any]) -> AliveAnswer:
        """Send a heartbeat. Raises CentreRefused where the centre has no time for it now."""
        return await self._post("/v1/alive", alive, token, (200,), _read_alive)

    async def receipts(self, token: str, incident: str, last_event_id: str | None) -> AsyncGenerator[Receipt]:
        """Yield later stages as they happen, until the centre ends the stream (after CLOSED)."""
        headers = _authorization(token) | {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S_MAX, sock_read=STREAM_SILENCE_S_MAX
        )
        path = (URL("/v1/incidents") / incident / "receipts").raw_path
        endpoint = self._endpoints[0]
        try:
            async with endpoint.request("GET", path, headers=headers, timeout=timeout) as response:
                if response.status != 200:
                    raise refusal(response.status, await body_of(response))
                if response.content_type != "text/event-stream":
                    raise no_centre("a stream that is not one of events")
                async for event_id, data in EventStream().events(response.content):
                    yield _receipt(event_id, data)
        except CentreError:
            if endpoint is self._endpoints[0]:
                self._endpoints.append(self._endpoints.pop(0))  # the next one, next time
            raise

    async def explain(self, error: CentreError) -> CentreError:
        """Return what else may be behind a failure. It takes seconds, so nothing waits for it."""
        if isinstance(error, CentreRefused) or not await self._endpoints[0].is_captive(self._portal_port):
            return error
        return NotACentre(
            "captive_portal", "this network has a page of its own answer: log in to it, or leave it"
        )

    # -- several addresses -----------------------------------------------------------------------

    async def _post(
        self, path: str, body: dict[str, Any], token: str, good: tuple[int, ...], read: "_Read[T]"
    ) -> T:
        """Return the first answer that is good and that `read` can read, from whichever address."""
        posts = self._posters(path, body, token, good, read)
        return await self._race(posts, self._hedge_s, no_is_final=False)

    def _posters(
        self, path: str, body: dict[str, Any], token: str, good: tuple[int, ...], read: "_Read[T]"
    ) -> list[Callable[[], Coroutine[Any, Any, T]]]:
        async def post(endpoint: Endpoint) -> T:
            answer = read(*await self._post_to(endpoint, path, body, token, good))
            self._prefer(endpoint)
            return answer

        return [partial(post, endpoint) for endpoint in self._endpoints]

    async def _race(
        self, posts: Sequence[Callable[[], Coroutine[Any, Any, T]]], hedge_s: float | None, no_is_final: bool
    ) -> T:
        """Return the first good answer.

        `hedge_s`: so long one is asked alone; None: until it has failed. `no_is_final`: once refused, no
        other is asked.
        """
        waiting, running = list(posts), set[asyncio.Task[T]]()
        failure: CentreError | None = None
        try:
            while waiting or running:
                if waiting:
                    running.add(asyncio.create_task(waiting.pop(0)()))
                done, running = await asyncio.wait(
                    running, timeout=hedge_s if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    try:
                        return task.result()
                    except CentreError as error:
                        spoken = isinstance(error, CentreRefused) and error.permanent
                        if spoken and no_is_final:
                            raise
                        # What the centre itself has said tells more than that another address is down.
                        failure = error if failure is None or spoken else failure
            assert failure is not None
            raise failure
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _prefer(self, endpoint: Endpoint) -> None:
        self._endpoints.remove(endpoint)
        self._endpoints.insert(0, endpoint)

    async def _post_to(
        self, endpoint: Endpoint, path: str, body: dict[str, Any], token: str | None, good: tuple[int, ...]
    ) -> tuple[int, dict[str, Any]]:
        headers = _authorization(token) if token else {}
        async with endpoint.request("POST", path, json=body, headers=headers) as response:
            raw = await body_of(response)
            if response.status not in good:
                raise refusal(response.status, raw)
            try:
                answer = json.loads(raw)
            except (ValueError, RecursionError):
                answer = None
            if not isinstance(answer, dict):
                raise no_centre("an answer that is not JSON")
            return response.status, answer


_Read = Callable[[int, dict[str, Any]], T]


def _read_answer(status: int, answer: dict[str, Any]) -> Answer:
    try:
        receipt, dropped = answer["receipt"], answer.get("dropped") or []
        return Answer(
            _text(answer["incident"]),
            *_proven(receipt),
            known=status == 200,
            dropped=tuple(f"{_text(item['field'])}: {_text(item['reason'])}" for item in dropped[:8]),
        )
    except (KeyError, TypeError, ValueError):
        raise no_centre("an answer that is not one to an alarm") from None


def _read_alive(_status: int, answer: dict[str, Any]) -> AliveAnswer:
    try:
        low_s, high_s = PACE_S
        pace_s = answer["next_in_s"]
        if type(pace_s) is not int:
            raise ValueError("not a pace")
        counters = {
            _text(device_id): (_counter(item["press"]), _counter(item["alive"]))
            for device_id, item in answer["counters"].items()
        }
        return AliveAnswer(min(max(pace_s, low_s), high_s), counters)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_centre("an answer that is not one to a heartbeat") from None


def _read_nothing(_status: int, _answer: dict[str, Any]) -> None:
    """Read nothing: that it was taken is all."""


def _proven(receipt: dict[str, Any]) -> tuple[int, bytes]:
    """Return stage and proof; the proof itself only the button can check."""
    stage, proof = receipt["stage"], bytes.fromhex(receipt["proof"])
    if type(stage) is not int or not receipts.RECEIVED <= stage <= receipts.CLOSED:
        raise ValueError("no such stage")
    if len(proof) != receipts.PROOF_BYTES:
        raise ValueError("not a proof")
    return stage, proof


def _receipt(event_id: str, data: str) -> Receipt:
    try:
        return Receipt(_text(event_id), *_proven(json.loads(data)))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise no_centre("an event that is not a receipt") from None


def _text(value: object) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()):
        raise ValueError("not a word")
    return value


def _counter(value: object) -> int:
    if type(value) is not int or not 0 <= value < codes.SPARE_FIRST:
        raise ValueError("not a counter")
    return value


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
