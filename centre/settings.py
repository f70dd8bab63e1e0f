"""What can be set about a running centre; `amr-centre serve` has an option for each, docs/centre.md a row."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from centre.rules import escalation, heartbeats, retention
from centre.rules import supervision as losses


@dataclass(frozen=True, slots=True)
class Settings:
    heartbeat_s: float = 15.0  # of streams to bridges; fixed, and shorter in tests
    addresses: tuple[str, ...] = ()  # where else this same centre answers, told to bridges as they enrol
    public_url: str = ""  # as phones reach it: what enrolment codes say; else the address of the page
    alive_s: int = heartbeats.ALIVE_S  # how often bridges shall give a sign of life
    signs_per_s: int = heartbeats.SIGNS_PER_S  # how many of all bridges are taken in a second
    connections: int = 12_000  # that may be held at once: 10,000 bridges, and room
    idle_s: float = 75.0  # how long one may ask for nothing, or take for a request's head
    handshake_s: float = 10.0  # and for its handshake; these two are fixed, and shorter in tests
    test_every_days: int = losses.TEST_DAYS  # a button that was not tested for longer is named
    escalate_s: int = escalation.AFTER_S  # how long an alarm waits at each level before the next
    webhook: str | None = None  # who is told of incidents
    webhook_s: float = 10.0  # how long it may take to answer; fixed, and shorter in tests
    webhook_ca: str | None = None  # its authorities, where they are not the system's
    keep_positions_days: int = retention.POSITIONS_DAYS  # of closed incidents
    keep_incidents_days: int = retention.INCIDENTS_DAYS  # then only that there was one stays
    keep_losses_days: int = retention.LOSSES_DAYS  # of what supervision has found again
    keep_sessions_days: int = retention.SESSIONS_DAYS  # that have ended
    oidc_issuer: str = ""  # who may vouch for somebody who works here, beside her password
    oidc_client_id: str = ""
    oidc_claim: str = "sub"  # of the ID token: her login here
    oidc_acr: tuple[str, ...] = ()  # how she must have signed in there: one of these, asked for
    oidc_amr: tuple[str, ...] = ()  # by what means: one of these
    oidc_ca: str | None = None  # its authorities, where they are not the system's
    oidc_s: float = 10.0  # how long it may take; fixed, and shorter in tests
    tiles: str = ""  # a map's tiles, https://HOST/{z}/{x}/{y}.png; without, the map is plain
    tiles_file: str = ""  # or a file of them (PMTiles), and we are that server
    tiles_zoom: int = 19  # the closest that there are
    tiles_by: str = ""  # whose they are, written on the map

    @property
    def hosts(self) -> tuple[str, ...]:
        """As others reach this centre: names of the development certificate."""
        urls = (self.public_url, *self.addresses)
        return tuple(host for url in urls if (host := urlsplit(url).hostname))

    @property
    def tiles_origin(self) -> str:
        """The only place elsewhere from which the pages may load anything; "" where there is none."""
        if self.tiles.startswith("/"):
            return ""
        return "/".join(self.tiles.split("/")[:3])
