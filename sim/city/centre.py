"""The centre of a city: its real work functions on its real schema, in memory; and how busy that keeps it.

What is left out is what stands before them: TLS, HTTP, JSON of signs of life. `make bench` measures those.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bridge.model import Device
from centre.api.load_shedding import TOGETHER_S
from centre.platform.sealing import Sealer, new_key
from centre.rules import heartbeats, incidents
from centre.rules.access import OPERATOR, Caller
from centre.rules.direct import Said
from centre.rules.heartbeats import Heartbeat
from centre.rules.incidents import CloseReason
from centre.rules.registry import Button as Registered
from centre.rules.supervision import LossKind
from centre.rules.token_bucket import TokenBucket
from centre.store import Store
from centre.work import accounts, board, buttons, direct, presses, supervision
from centre.work.core import Core
from centre.work.direct import Standing
from centre.work.heartbeats import take_heartbeat
from centre.work.presses import Receipt, Taken
from sim.judge import audit
from wire.direct import CHECKIN, PRESS

_AT_ONCE = 500  # buttons that are imported in one transaction


class Centre:
    def __init__(self, now_ms: Callable[[], float], signs_per_s: int) -> None:
        self._core = Core(Store(":memory:"), Sealer(new_key()), now_ms)
        user_id = accounts.add_user(self._core, "operator", "An operator", OPERATOR, None, "en")
        assert user_id
        self._caller = Caller(user_id, "An operator", OPERATOR, None, "en", "")
        self._bucket = TokenBucket(signs_per_s, burst=max(1, round(signs_per_s * TOGETHER_S)))
        self.busy_s = 0.0  # real time

    def enrol(self, roots: dict[str, bytes], alive_period_s: int) -> Iterator[tuple[str, Device]]:
        """Buttons by device_id, each with one bridge: its id, and what the bridge is told of its button."""
        for first in range(0, len(roots), _AT_ONCE):
            few = list(roots.items())[first : first + _AT_ONCE]
            with self._core.store.group():
                buttons.import_buttons(
                    self._core,
                    [
                        Registered(
                            device_id,
                            root,
                            hashlib.sha256(device_id.encode()).hexdigest(),
                            "button",
                            "esp32",
                            alive_period_s=alive_period_s,
                        )
                        for device_id, root in few
                    ],
                )
                enrolled = [buttons.enrol(self._core, device_id, None, None) for device_id, _ in few]
            for answer in enrolled:
                token = str(answer["token"])
                yield buttons.bridge_of(self._core, token), _device(answer, token)

    def takes_sign(self, now_ms: int) -> bool:
        """Whether one more sign of life fits into this second; else it is refused unread."""
        return self._bucket.takes(now_ms)

    def take_signs(self, of: Sequence[tuple[str, Heartbeat]]) -> list[dict[str, dict[str, int]]]:
        """Take what came in one moment, in one commit, as the centre's own worker does it."""
        with self._working(), self._core.store.group():
            return [take_heartbeat(self._core, bridge_id, sign) for bridge_id, sign in of]

    def take_alarm(self, bridge_id: str, body: dict[str, Any]) -> Taken:
        with self._working():
            return presses.take_alarm(self._core, bridge_id, incidents.read(body))

    def take_direct(self, said: Said) -> tuple[Taken | None, Standing | None]:
        """Take what a button says without a phone: a press of it, if it is one, and how that stands."""
        with self._working():
            if said.request.kind == PRESS:
                return direct.take_press(self._core, said)
            direct.hear(self._core, said)
            return None, None if said.request.kind == CHECKIN else direct.standing(self._core, said)

    def advance(self, incident_id: str, stage: int, reason: str | None = None) -> None:
        """Advance an incident, as an operator does."""
        with self._working():
            board.advance(
                self._core, self._caller, incident_id, stage, reason=CloseReason(reason) if reason else None
            )

    def last_receipt(self, bridge_id: str, incident_id: str) -> Receipt:
        """Return what a bridge's stream of receipts has come to."""
        with self._working():
            told = presses.receipts_after(self._core, bridge_id, incident_id, 0)
        assert told
        return told[-1]

    def next_in_s(self, device_id: str, now_ms: int) -> int:
        """Return what the answer to a heartbeat says, by the bridge's first button."""
        return heartbeats.next_in_s(device_id, now_ms // 1000, heartbeats.ALIVE_S)

    def look(self, watching_since_ms: int) -> None:
        """For what is lost, as watchman.py does."""
        with self._working():
            while supervision.look(self._core, watching_since_ms, heartbeats.ALIVE_S).more:
                pass

    def out_of_reach(self) -> list[tuple[str, int, int]]:
        """Each time that operators were told so of a button: its last sign, and when it was found."""
        query = "SELECT device_id, began_at_ms, found_at_ms FROM losses WHERE kind = ? ORDER BY found_at_ms"
        return [tuple(row) for row in self._core.store.db.execute(query, (LossKind.BUTTON_OUT_OF_REACH,))]

    def audit(self) -> list[dict[str, Any]]:
        """Read all incidents, past all of the centre's own functions."""
        return list(audit.incidents(self._query))

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._core.store.db.execute(sql, values)]

    def close(self) -> None:
        self._core.store.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        since_s = time.perf_counter()
        try:
            yield
        finally:
            self.busy_s += time.perf_counter() - since_s


def _device(answer: dict[str, Any], token: str) -> Device:
    (told,) = answer["devices"]
    return Device(
        told["device_id"],
        told["epoch"],
        bytes.fromhex(told["k_code"]),
        bytes.fromhex(told["k_heard"]),
        bytes.fromhex(told["k_state"]),
        told["alive_period_s"],
        told["counters"]["press"],
        told["counters"]["alive"],
        token,
    )
