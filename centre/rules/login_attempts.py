"""From where somebody tries to sign in, and which wrong tries are counted together. Pure.

A place is *known* once somebody has shown a password and a second factor there: a browser, by its cookie, or
a network. Tries at a known place are counted by themselves, and wait in a queue of their own, so that no
stranger's flood keeps out who has come in there before. All strangers share one count for each login, so that
no number of addresses buys more tries.
"""

import ipaddress
from dataclasses import dataclass, field

from centre.rules.access import FREE_TRIES, LOCK_MS_MAX, lock_ms

BROWSER, NETWORK, STRANGER = "browser", "network", "stranger"
KINDS = (BROWSER, NETWORK, STRANGER)
# Of each kind: how many are checked in a second, and at once where it was quiet: a shift that changes.
PER_S = {BROWSER: (5, 60), NETWORK: (5, 60), STRANGER: (2, 20)}

KNOWN_MS = 90 * 86_400_000  # since somebody last signed in there
KNOWN_MAX = 5_000
FORGOTTEN_MS = 86_400_000  # wrong tries that nothing followed
# At PER_S, at most two rows each, what is forgotten for want of room is older than the longest lock.
KEPT_MAX = 90_000
assert 2 * sum(per_s for per_s, _ in PER_S.values()) * LOCK_MS_MAX // 1000 < KEPT_MAX

FREE_AT_A_PLACE = 20  # of all logins: in front of one screen several people mistype
ANY = b""


@dataclass(frozen=True, slots=True)
class Place:
    """`browser`: what its cookie is, or becomes; the others as words (centre/platform/sealing.py)."""

    kind: str
    browser: str = field(repr=False)
    browser_word: bytes = field(repr=False)
    network_word: bytes = field(repr=False)

    def counts(self, login: bytes) -> tuple["Count", ...]:
        """Where a try of this login is counted."""
        if self.kind == BROWSER:
            return (
                Count(login, self.browser_word, FREE_TRIES),
                Count(ANY, self.browser_word, FREE_AT_A_PLACE),
            )
        if self.kind == NETWORK:  # a room full of people, or a proxy: one of them locks no other
            return (Count(login, self.network_word, FREE_TRIES),)
        return Count(login, ANY, FREE_TRIES), Count(ANY, self.network_word, FREE_AT_A_PLACE)


@dataclass(frozen=True, slots=True)
class Count:
    """Of which login, at which place, and how many are free."""

    login: bytes
    place: bytes
    free: int

    def lock_ms(self, tries: int) -> int:
        return lock_ms(tries - self.free + FREE_TRIES)


def network_of(address: str) -> str:
    """Whoever has one address of IPv6 has 2^64 (RFC 6177); "" of what is no address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((ip, 64), strict=False))
        ip = ip.ipv4_mapped
    return str(ip)


def wait_ms(locked_until_ms: int, now_ms: int) -> int:
    """How long a lock still lasts. By a clock that was set back none is longer than the longest."""
    left_ms = locked_until_ms - now_ms
    return left_ms if 0 < left_ms <= LOCK_MS_MAX else 0
