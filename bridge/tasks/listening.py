"""Keeps the radio listening: starts the scan, and starts it again when it is no longer good."""

import asyncio
from collections.abc import Callable

from bridge.ports import Clock, Log, Radio, RadioOff
from bridge.reporting.alerts import Alerts
from bridge.rules.expected_codes import ExpectedCodes
from bridge.rules.scan_recovery import ScanRecovery
from bridge.rules.supervision import Supervision

# Nothing at all heard for so long: the adapter may have gone without a word. Where the system
# filters, silence is the rule, and it allows few starts.
SILENCE_S = 60.0
SILENCE_FILTERED_S = 600.0
HEARS_NOTHING = (
    "Bluetooth hears nothing at all, nobody else's devices either; it is started anew, and where that is "
    "allowed switched off and on"
)


class Listening:
    """`last_advert_ms()` is when anything was heard last, monotonic; `buttons`: how many are expected."""

    def __init__(
        self,
        radio: Radio,
        *,
        expected: ExpectedCodes,
        supervision: Supervision,
        clock: Clock,
        alerts: Alerts,
        log: Log,
        buttons: int,
        last_advert_ms: Callable[[], int],
    ) -> None:
        self._radio, self._expected, self._supervision = radio, expected, supervision
        self._clock, self._alerts, self._log, self._buttons = clock, alerts, log, buttons
        self._last_advert_ms = last_advert_ms
        self._recovery = ScanRecovery()
        self._arm_signal = asyncio.Event()
        self._armed = 0  # the expected codes' generation that the system filters by

    def arm(self) -> None:
        """Look whether the system's filter needs other codes."""
        self._arm_signal.set()

    async def run(self) -> None:
        """Listen, until cancelled."""
        is_listening = False
        while True:
            self._arm_signal.clear()
            self._armed = self._expected.generation
            try:
                await self._radio.scan(self._expected.filter_codes(self._clock.boottime_ms()))
            except RadioOff as off:
                is_listening = False
                self._deaf(off)
                await asyncio.sleep(self._recovery.failed())
                continue
            if not is_listening:
                self._log("scanning", buttons=self._buttons, mode=self._radio.mode)
            is_listening = True
            self._recovery.began(self._clock.monotonic_ms())
            self._supervision.listening(True, self._clock.monotonic_ms())
            if not self._recovery.is_told:
                self._alerts.over("radio")
            if off_now := await self._until_stale():
                is_listening = False
                self._recovery.failed()
                self._deaf(off_now)

    def _deaf(self, off: RadioOff) -> None:
        self._supervision.listening(False, self._clock.monotonic_ms())
        self._alerts.tell("radio", off.reason, f"{off}; trying again")

    async def _until_stale(self) -> RadioOff | None:
        """Return when the scan must be started again; why, where the radio is known to be gone.

        It must be, too, when other codes are expected than the system filters by, or nothing is heard at all.
        """
        lost = asyncio.ensure_future(self._radio.lost())
        started_ms = self._clock.monotonic_ms()
        silence_s = SILENCE_FILTERED_S if self._radio.filtered else SILENCE_S
        try:
            while self._clock.monotonic_ms() - max(started_ms, self._last_advert_ms()) < silence_s * 1000:
                armed = asyncio.ensure_future(self._arm_signal.wait())
                await asyncio.wait((lost, armed), timeout=silence_s / 10, return_when=asyncio.FIRST_COMPLETED)
                armed.cancel()
                if lost.done():
                    return lost.result()
                self._arm_signal.clear()
                if self._recovery.heard(self._last_advert_ms()):
                    self._alerts.over("radio")
                if self._radio.filtered and self._expected.generation != self._armed:
                    return None
        finally:
            lost.cancel()
        if not self._radio.filtered:  # there, silence is the rule
            await self._cure_silence()
        return None

    async def _cure_silence(self) -> None:
        step = self._recovery.silent(self._clock.monotonic_ms())
        if step.tell:
            self._alerts.tell("radio", "bluetooth_hears_nothing", HEARS_NOTHING)
        if step.power_cycle:
            await self._radio.power_cycle()
