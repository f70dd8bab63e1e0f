"""What can be set about a running centre; `amr-centre serve` has an option for each, docs/centre.md a row."""

from dataclasses import dataclass

from centre.rules import retention, supervision


@dataclass(frozen=True, slots=True)
class Settings:
    heartbeat_s: float = 15.0  # of streams to bridges; fixed, and shorter in tests
    addresses: tuple[str, ...] = ()  # where else this same centre answers, told to bridges as they enrol
    alive_s: int = supervision.ALIVE_S  # how often bridges shall give a sign of life
    keep_positions_days: int = retention.POSITIONS_DAYS  # of closed incidents
    keep_incidents_days: int = retention.INCIDENTS_DAYS  # then only that there was one stays
