"""Looks after the centre itself: disk, clock, log, backup, webhook; tells each trouble once, and its end."""

import asyncio
import shutil

from centre.platform import kernel_clock
from centre.platform.home import Home
from centre.platform.log import now_ms
from centre.platform.tls import ServerCertificate
from centre.platform.troubles import TroubleLog
from centre.platform.worker import SPARE, Worker
from centre.rules.condition import Condition, findings
from centre.work.condition import stored

LOOK_S = 300.0


class ConditionWatch:
    def __init__(
        self, looks: Worker, log: TroubleLog, home: Home, certificate: ServerCertificate, *, tells: bool
    ) -> None:
        """Look after the centre in `home`. `looks`: a thread that only reads; `tells`: there is a webhook."""
        self._looks, self._log, self._home, self._tells = looks, log, home, tells
        self._ends_ms = round(min(one.not_valid_after_utc.timestamp() for one in certificate.chain) * 1000)
        self._told: set[str] = set()

    async def look(self) -> Condition:
        """Return how the centre is; tell the log of what is new, and of what is over."""
        condition = await self._condition()
        now = {finding.reason: finding.text for finding in findings(condition)}
        for reason in now.keys() - self._told:
            self._log("trouble", reason=reason, text=now[reason])
        for reason in self._told - now.keys():
            self._log("trouble", reason=reason, text="it is well again", over=True)
        self._told = set(now)
        return condition

    async def _condition(self) -> Condition:
        known = await self._looks(stored, lane=SPARE)
        disk = await asyncio.to_thread(shutil.disk_usage, self._home.path)
        clock = kernel_clock.read()
        return Condition(
            int(now_ms()),
            known.began_ms,
            disk.free,
            disk.total,
            known.signed_at_ms,
            known.checked,
            known.backed_up_at_ms,
            known.webhook if self._tells else None,
            clock.is_synchronised if clock else None,
            clock.error_ms if clock else None,
            known.ahead_of_phones_ms,
            self._ends_ms,
        )
