"""How the centre itself is: disk, clock, event log, backup, webhook; and what of it is a trouble. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

DISK_BYTES_MIN = 1 << 30
BACKUP_MS_MAX = 8 * 86_400_000  # a week, and a day to notice
SIGNATURE_MS_MAX = 26 * 3_600_000
CHECK_MS_MAX = 3 * 86_400_000
WEBHOOK_MS_MAX = 120_000
CLOCK_MS_MAX = 60_000
PHONES_MIN = 5  # of fewer one wrong clock would be half of them


@dataclass(frozen=True, slots=True)
class LogCheck:
    """The last time that the whole log was verified. `findings`: None where it could not be."""

    at_ms: int
    findings: int | None


@dataclass(frozen=True, slots=True)
class WebhookState:
    """What waits for a dispatch system. `given_up_at_ms`: when one was last not told of something."""

    waiting: int
    oldest_ms: int | None
    given_up_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Condition:
    """How the centre is, at one moment."""

    at_ms: int
    began_ms: int  # its log
    disk_free: int
    disk_total: int
    signed_at_ms: int | None
    checked: LogCheck | None
    backed_up_at_ms: int | None
    webhook: WebhookState | None  # None: nobody is told
    clock_synchronised: bool | None  # None: the kernel does not say
    clock_error_ms: int | None
    ahead_of_phones_ms: int | None  # the middle of what presses tell; None: too few lately
    certificate_ends_ms: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong; the text is a sentence."""

    reason: str
    text: str


def ahead_ms(differences_ms: list[int]) -> int | None:
    """Return how far the centre's clock is ahead, of one difference of each phone; None: too few."""
    return round(median(differences_ms)) if len(differences_ms) >= PHONES_MIN else None


def findings(condition: Condition) -> Iterator[Finding]:
    """Yield each trouble: one of a kind, with what to do."""
    if condition.disk_free < DISK_BYTES_MIN:
        free, total = (f"{size / 1e9:.1f} GB" for size in (condition.disk_free, condition.disk_total))
        yield Finding("disk_low", f"the disk has {free} left of {total}: make room before alarms are refused")
    if _older(condition.signed_at_ms, condition, SIGNATURE_MS_MAX):
        yield Finding("signature_late", "the event log was not signed for more than a day")
    if condition.checked is not None and condition.checked.findings:
        text = f"the event log is not as it was written: {condition.checked.findings} finding(s)"
        yield Finding("log_changed", f"{text}; run amr-centre verify-log, and keep the disk as it is")
    if condition.checked is not None and condition.checked.findings is None:
        yield Finding("log_check_failed", "the event log could not be checked; run amr-centre verify-log")
    if _older(condition.backed_up_at_ms, condition, BACKUP_MS_MAX):
        yield Finding("backup_late", "no backup was made for more than a week; run amr-centre backup FILE")
    webhook = condition.webhook
    if webhook and webhook.oldest_ms is not None and condition.at_ms - webhook.oldest_ms > WEBHOOK_MS_MAX:
        text = (
            f"{webhook.waiting} event(s) wait for the dispatch system, the oldest for more than two minutes"
        )
        yield Finding("webhook_late", text)
    if condition.clock_synchronised is False:
        text = "nothing keeps this machine's clock right: start chrony, ntpd or systemd-timesyncd"
        yield Finding("clock_unsynchronised", text)
    ahead = condition.ahead_of_phones_ms
    if ahead is not None and abs(ahead) > CLOCK_MS_MAX:
        way = "ahead of" if ahead > 0 else "behind"
        text = f"this machine's clock is {abs(ahead) // 1000} s {way} most phones' clocks"
        yield Finding("clock_differs", text)


def _older(at_ms: int | None, condition: Condition, ms_max: int) -> bool:
    """Whether something that recurs was last done too long ago; a new centre has time until the first."""
    return condition.at_ms - (condition.began_ms if at_ms is None else at_ms) > ms_max
