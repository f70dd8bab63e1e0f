"""What the tests of the direct path share: a button that seals, a centre that answers, in one process."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from centre.api.direct import Direct
from centre.platform.change_signals import ChangeSignals
from centre.platform.sealing import Sealer, new_key
from centre.platform.worker import Worker
from centre.rules.incidents import CloseReason
from centre.settings import Settings
from centre.store import Store
from centre.work import board, buttons
from centre.work.core import Core
from tests.parts import at_end
from tests.unit.centre.parts import Hand, Lines, signed_in
from wire import codes, direct, receipts
from wire.direct import Answer, Request
from wire.keys import Mac, derive

NOW_MS = 1_764_000_000_000


class Button:
    """A button without a phone: `n` and `seq` as it counts them, its press, what it was answered."""

    def __init__(self, hand: Hand, n: int = 0) -> None:
        self.hand, self.n, self.seq = hand, n, -1
        self.mac = Mac(derive(hand.root, "direct"))
        self.event, self.counter, self.stage = codes.ALARM, 1, direct.NO_STAGE

    def frame(self, kind: int = direct.PRESS, *, again: bool = False, **changes: Any) -> bytes:
        """Seal the next frame of the session; `again`: with the number of the last."""
        self.seq += 0 if again else 1
        which = (self.event, 1, self.counter, self.n, self.seq)
        asked = Request(kind, direct.WIFI_UDP, *which, 0, 190, self.stage, 0, -60, 0)
        if kind == direct.CHECKIN:
            asked.event = asked.counter = 0
        for name, value in changes.items():
            assert hasattr(asked, name), name
            setattr(asked, name, value)
        return direct.seal_request(self.mac, asked)

    def open(self, frame: bytes, answered: bytes | None) -> Answer:
        """Read an answer as the button does; a receipt must be proven."""
        assert answered is not None, "not a word"
        answer = direct.unseal_answer(self.mac, frame, answered)
        self.stage = self.stage_in(answer)
        return answer

    def stage_in(self, answer: Answer) -> int:
        """Return the stage that an answer proves; NO_STAGE where it proves none."""
        if not any(answer.receipt):
            return direct.NO_STAGE
        heard, receipt = (Mac(derive(self.hand.root, label)) for label in ("heard", "receipt"))
        press = self.event, self.counter
        return receipts.check(answer.receipt, heard, receipt, press, press)

    def next_session(self, n: int | None = None) -> "Button":
        """Begin the session that the centre expects, or session `n`."""
        self.n, self.seq = self.n + 1 if n is None else n, -1
        return self


class Reception:
    """A centre's direct path, with its own thread and file, at a time that the test sets."""

    def __init__(self, path: Path, hands: Iterable[Hand], **settings: Any) -> None:
        self.path, self.now_ms, self.sealer = path, NOW_MS, Sealer(new_key())
        self.core = self._core()  # the test's own
        at_end.callback(self.core.store.close)
        buttons.import_buttons(self.core, [hand.registered for hand in hands])
        self.settings, self.operator = Settings(**settings), signed_in(self.core)
        self.start()

    def _core(self) -> Core:
        return Core(Store(str(self.path)), self.sealer, lambda: self.now_ms)

    def start(self) -> None:
        """Start, or start anew: what was in memory is forgotten."""
        self.log, self.signals = Lines(), ChangeSignals()
        self.worker = Worker(self._core)
        at_end.callback(self.worker.close)
        self.direct = Direct(self.worker, self.core, self.signals, self.log, self.settings)

    async def answer(self, frame: bytes, source: str = "udp") -> bytes | None:
        return await self.direct.answer(frame, source)

    async def say(self, button: Button, kind: int = direct.PRESS, **changes: Any) -> Answer:
        """Let a button say something, and read what it is answered."""
        frame = button.frame(kind, **changes)
        return button.open(frame, await self.answer(frame))

    async def advance(self, stage: int, reason: CloseReason | None = None) -> None:
        """Let an operator bring the only alarm to `stage`."""
        shown = board.board(self.core)
        (card,) = shown.waiting or shown.taken
        act = partial(board.advance, stage=stage, reason=reason)
        await self.worker(act, self.operator, card.incident_id)
        self.signals.incident_changed(card.incident_id)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.core.store.db.execute(f"SELECT * FROM {table}")]  # noqa: S608
