"""The composition root of the bridge: here alone are the parts of a running bridge constructed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.centre.client import Centre
from bridge.clock import System, now_ms
from bridge.location import fixed
from bridge.model import Fix, Trouble
from bridge.network import SystemNetwork
from bridge.page import words
from bridge.ports import Network, OnAdvert, Radio, Source, SourceOff
from bridge.radio.bleak_radio import BleakRadio, ClientBackend, ScannerBackend
from bridge.reporting.desktop import DBusDesktop
from bridge.reporting.log import Log, Sink, mistakes, place
from bridge.settings import Settings
from bridge.store.home import Credentials, Home, HomeError
from bridge.store.journal import Journal
from bridge.tasks.relay import Relay


async def run_bridge(
    home: Home,
    credentials: Credentials,
    settings: Settings,
    sources: Sequence[Source],
    radio: Callable[[OnAdvert], Radio],
    stop: asyncio.Event,
) -> None:
    """Run the bridge with its log, its figures and its page, until `stop` is set. Raises CentreError."""
    urls = (credentials.centre, *credentials.addresses, *settings.centre_addresses)
    with _log(settings) as log:
        async with Centre(urls, credentials.ca_pem) as centre:
            desktop = DBusDesktop(settings.page_name)
            relay = Relay(
                credentials.devices,
                journal=Journal(home.journal),
                centre=centre,
                radio=radio,
                log=log,
                random=random.SystemRandom().random,
                sources=sources,
                follow_every_s=settings.position_follow_every_s,
                battery=desktop.battery_percent,
                phone_low_percent=settings.supervision_phone_battery_low_percent,
                announce=_announcer(desktop, settings, log),
            )
            async with _page(relay, home, settings, log), _hurried(relay, SystemNetwork(System())):
                await relay.run(stop)


@contextlib.asynccontextmanager
async def _hurried(relay: Relay, network: Network) -> AsyncIterator[None]:
    """Have the bridge send what waits as soon as a network is there again."""

    async def watch() -> None:
        try:
            await network.run(relay.hurry)
        except Exception as error:  # what waits is then sent in its own time
            relay.trouble("ourselves", "internal", f"a mistake of the bridge's own, going on: {place(error)}")

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def bleak_radio(
    settings: Settings, scanner: ScannerBackend | None, client: ClientBackend | None
) -> Callable[[OnAdvert], Radio]:
    """Return what makes the radio; `scanner` and `client` None are the system's own."""
    return lambda on_advert: BleakRadio(
        on_advert, scanner, client, scan=settings.radio_scan, adapter=settings.radio_adapter
    )


def _announcer(
    desktop: DBusDesktop, settings: Settings, log: Log
) -> Callable[[Trouble], Awaitable[None]] | None:
    if not settings.supervision_notify:
        return None

    async def announce(trouble: Trouble) -> None:
        if await desktop.notify(*words.notice(trouble, settings.page_language, settings.page_name)):
            log("notice", reason=trouble.reason)

    return announce


@contextlib.asynccontextmanager
async def _page(relay: Relay, home: Home, settings: Settings, log: Log) -> AsyncIterator[None]:
    """Serve the protected person's page beside the bridge, which goes on without it."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.page_port:
            from bridge.page.server import Page, PageError  # late: not all have one

            try:
                page = Page(
                    relay,
                    home.page_secret(),
                    port=settings.page_port,
                    name=settings.page_name,
                    language=settings.page_language,
                    log=log,
                )
                await stack.enter_async_context(page)
            except PageError as error:
                relay.trouble("page", error.reason, str(error))
            except HomeError as error:  # a disk that takes no new secret
                relay.trouble("page", "no_page_secret", f"the page cannot be shown: {error}")
        yield


@contextlib.contextmanager
def _log(settings: Settings) -> Iterator[Log]:
    """Open the log, and serve the figures that are made of it."""
    with contextlib.ExitStack() as stack:
        sinks: tuple[Sink, ...] = ()
        problem = None
        if settings.metrics_port:
            from bridge.reporting import metrics  # late: 2 MB for those who ask for it

            figures = metrics.Metrics()
            sinks = (figures,)
            try:
                stack.enter_context(metrics.serving(figures, settings.metrics_port))
            except OSError as error:  # alarms do not wait for figures
                problem = f"metrics.port {settings.metrics_port} cannot be used: {error.strerror}"
        log = stack.enter_context(Log(settings.log_format == "json", sinks))
        stack.enter_context(mistakes(log))
        if problem:
            log("trouble", where="metrics", reason="port_taken", text=problem)
        yield log


# -- positions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands in the place of a source that this machine cannot have; the others go on."""

    name: str
    why: str

    async def run(self, report: Callable[[Fix], None]) -> None:  # noqa: ARG002 -- the port's shape
        """Raise SourceOff."""
        raise SourceOff("unusable", self.why)


def sources(settings: Settings) -> list[Source]:
    """Return what `position.sources` names, in its order. Raises ValueError for what cannot even begin."""
    return [source(name, settings) for name in settings.position_sources]


def source(name: str, settings: Settings) -> Source:
    """Make one source, and import it only now: some bring a library along. Raises ValueError."""
    if name == "gpsd":
        from bridge.location.gpsd import Gpsd

        host, _, port = settings.position_gpsd.rpartition(":")
        return Gpsd(host.strip("[]"), int(port), now_ms=now_ms)
    if name == "nmea":
        from bridge.location import nmea

        device, _, baud = settings.position_nmea.partition("@")
        return nmea.Nmea(Path(device), int(baud or nmea.BAUD), now_ms=now_ms)
    if name == "geoclue":
        try:
            from bridge.location.geoclue import GeoClue
        except ImportError:  # its D-Bus library is for Linux alone
            return Unusable(name, "there is no GeoClue on this system; take it out of position.sources")
        return GeoClue(now_ms=now_ms, boottime_ms=System().boottime_ms)
    if name == "gpx":
        from bridge.location import gpx

        return gpx.load(Path(settings.position_gpx), now_ms(), now_ms)
    assert name == "fixed", "settings.SOURCES names no other"
    return fixed.Fixed(*fixed.parse(settings.position_fixed), now_ms())
