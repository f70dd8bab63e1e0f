"""The centre's wiring: what `amr-centre serve` runs."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from aiohttp import web

from centre.api.bridges import Intake
from centre.api.connection_limit import QUIET, ConnectionLimit, close
from centre.api.direct import LOOK_S as DIRECT_LOOK_S
from centre.api.direct import Datagrams, Direct
from centre.api.dispatch import Dispatch
from centre.api.http_server import HttpRunner
from centre.api.routing import BODY_BYTES_MAX, OWN_ORIGINS, Refusals, Route
from centre.console import tiles
from centre.console.account import Account
from centre.console.acts import Acts
from centre.console.administration import Administration
from centre.console.assignments import AssignmentPages
from centre.console.board_cache import ESCALATE_TICK_S
from centre.console.cap import Cap
from centre.console.cases import Cases
from centre.console.event_log import EventLogPage
from centre.console.exercises import DeskChecks
from centre.console.figures import Figures
from centre.console.guard import Guard
from centre.console.oidc_sign_in import OidcSignInPages
from centre.console.operator import Operator
from centre.console.pages import Static
from centre.console.refused_page import RefusedPage
from centre.console.report import DailyReport
from centre.console.shift import Shift
from centre.console.sign_in import SignInPages
from centre.console.tiles import Archive, Tiles
from centre.console.users import UserPages
from centre.jobs import certificates as certificate_job
from centre.jobs import condition, desks, disk, log_check, webhook
from centre.jobs.certificates import CertificateWatch
from centre.jobs.closings import LOOK_S as CLOSINGS_S
from centre.jobs.closings import Closings
from centre.jobs.condition import ConditionWatch
from centre.jobs.desks import DeskWatch
from centre.jobs.disk import DiskWatch
from centre.jobs.housekeeping import Housekeeping
from centre.jobs.log_check import LogCheck
from centre.jobs.schedule import Jobs
from centre.jobs.store_check import CHECK_S, StoreCheck
from centre.jobs.supervision import ESCALATE_S, LOOK_S, Escalation, SupervisionJob
from centre.platform import oidc_provider, signing, tls
from centre.platform.change_signals import ChangeSignals
from centre.platform.home import CannotServe, Home
from centre.platform.log import Log
from centre.platform.oidc_provider import Provider
from centre.platform.tls import ServerCertificate
from centre.platform.troubles import TroubleLog
from centre.platform.worker import SPARE, Worker
from centre.settings import Settings
from centre.work import event_log
from centre.work.core import Core, open_core, open_reader

STOP_S_MAX = 5.0
FLUSH_S = 5.0
SIGN_S = 600.0  # how soon after midnight
ERASE_S = 3600.0
STRANGERS_S = 20.0
FIGURES_S = 3600.0  # how soon after the end of a month

# Nothing frames us, nothing learns our addresses, and nobody which version of what to look up.
HEADERS = {
    "Server": "amr-centre",
    "Referrer-Policy": "same-origin",  # with "no-referrer" a browser's form posts `Origin: null` (Fetch, 3.2)
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def policy(settings: Settings) -> str:
    """Return the pages' security policy (CSP Level 3).

    Nothing is loaded from elsewhere, but the map's tiles where they are set. The map library puts an empty
    `data:` picture where a tile is taken away.
    """
    images = f"'self' data: {settings.tiles_origin}".rstrip() if settings.tiles else "'self'"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    authority: tls.Authority
    routes: tuple[Route, ...]
    log: Log  # that remembers what is wrong
    direct_port: int | None = None  # of datagrams


@contextlib.asynccontextmanager
async def running(
    home: Home,
    *,
    log: Log,
    settings: Settings | None = None,
    certificate: ServerCertificate | None = None,
) -> AsyncGenerator[Running]:
    """Serve until the block ends. Raises CannotServe."""
    archive, settings = tiles.opened(settings or Settings())
    log = TroubleLog(log)
    disk_watch = DiskWatch(home, log)
    host = settings.host
    certificate = certificate or tls.own_certificate(home, host, *settings.hosts)
    certificate_watch = CertificateWatch(certificate, settings.hosts or _specific(host), log)
    certificate_watch.check()
    receiver, vouching = webhook.receiver(home, settings), oidc_provider.provider(home, settings, log)
    signing_key = signing.key_of(home)
    worker = Worker(lambda: open_core(home, tells=receiver is not None))
    reader, looks = _readers(home, worker)
    signals = ChangeSignals()
    store_check = StoreCheck(worker, signals, log)
    watch = ConditionWatch(looks, log, home, certificate, tells=receiver is not None)
    checking = LogCheck(worker, looks, home)
    desk_watch = DeskWatch(worker, signals, log)
    means = _Means(worker, reader, looks, signals, log, settings, store_check, watch, checking, desk_watch)
    parts = _parts(means, certificate.authority, vouching, archive)
    refusals, sender, jobs = (
        Refusals(log, RefusedPage(reader)),
        webhook.Sender(worker, log, receiver),
        Jobs(log),
    )
    _add_jobs(jobs, means, parts)
    jobs.add(FLUSH_S, refusals.flush_due)
    jobs.add(webhook.SEND_S, sender.send)
    jobs.add(disk.LOOK_S, disk_watch.look)
    jobs.add(certificate_job.LOOK_S, certificate_watch.look)
    jobs.add(SIGN_S, lambda: worker(event_log.sign, signing_key, lane=SPARE))
    runner = _runner(parts.routes, refusals, settings)
    try:
        await _note_start(worker, settings, store_check)
        await runner.setup()
        connection_limit = ConnectionLimit(runner, host, settings.port, certificate.context, settings)
        direct_port = await _listen(connection_limit, parts.datagrams, settings)
        jobs.start()
        url = _url(host, connection_limit.port)
        yield Running(url, certificate.authority, parts.routes, log, direct_port)
    finally:
        await jobs.stop()
        await checking.stop()
        await asyncio.gather(sender.close(), parts.provided.close(), parts.tiles.close())
        parts.intake.streams.stopping = parts.operator.streams.stopping = parts.direct.stopping = True
        means.signals.wake_all()
        await parts.datagrams.close()
        await close(runner)
        parts.intake.close()
        parts.entrance.close()
        looks.close()
        worker.close()
        refusals.flush(all_of_it=True)


async def _listen(tls_port: ConnectionLimit, datagrams: Datagrams, settings: Settings) -> int | None:
    """Listen to both; return the port of the datagrams, where one is set. Raises CannotServe."""
    try:
        where = f"{settings.host} port {settings.port}"
        await tls_port.start()
        if settings.direct_port is None:
            return None
        where = f"{settings.host} UDP port {settings.direct_port}"
        return await datagrams.start(settings.host, settings.direct_port)
    except OSError as error:
        raise CannotServe(f"cannot listen on {where}: {_why(error)}") from error


@dataclass(frozen=True, slots=True)
class _Means:
    """What every part works with."""

    worker: Worker
    reader: Core  # in the loop's own thread
    looks: Worker  # that only reads, and for long
    signals: ChangeSignals
    log: TroubleLog
    settings: Settings
    store_check: StoreCheck
    watch: ConditionWatch
    log_check: LogCheck
    desk_watch: DeskWatch


@dataclass(frozen=True, slots=True)
class _Parts:
    """Those that have routes; some are closed in the end."""

    intake: Intake
    direct: Direct
    datagrams: Datagrams
    entrance: SignInPages
    operator: Operator
    provided: OidcSignInPages
    tiles: Tiles
    routes: tuple[Route, ...]


async def _note_start(worker: Worker, settings: Settings, store_check: StoreCheck) -> None:
    """Note it; on a full disk serve all the same: who is at a desk sees the alarms that there are."""
    try:
        await worker(event_log.started, asdict(settings))
    except sqlite3.Error:
        await store_check.look()


def _parts(
    means: _Means, authority: tls.Authority, vouching: Provider | None, archive: Archive | None
) -> _Parts:
    worker, reader, signals = means.worker, means.reader, means.signals
    log, settings = means.log, means.settings
    intake = Intake(worker, reader, signals, log, authority.pem, settings)
    direct = Direct(worker, reader, signals, log, settings)
    guard, provided = Guard(worker, reader), OidcSignInPages(worker, vouching)
    entrance = SignInPages(worker, reader, signals, guard, provided=bool(vouching))
    operator = Operator(worker, signals, log, guard, settings, means.store_check, means.desk_watch)
    map_tiles = Tiles(archive, guard, log)
    with_routes = (
        *(intake, direct, Static(), entrance, Account(worker, guard, entrance.queues), operator),
        Acts(worker, signals, log, guard, settings, operator),
        Shift(worker, means.looks, signals, guard),
        *(Figures(means.looks, guard), *_administrators_pages(means, guard)),
        *(provided, map_tiles, DeskChecks(worker, signals, log, guard)),
        Dispatch(worker, reader, signals, log),
        *_case_pages(means, guard, authority.sha256),
    )
    routes = tuple(route for part in with_routes for route in part.routes)
    return _Parts(intake, direct, Datagrams(direct), entrance, operator, provided, map_tiles, routes)


def _administrators_pages(means: _Means, guard: Guard) -> tuple[Administration, UserPages, EventLogPage]:
    worker, looks, signals = means.worker, means.looks, means.signals
    overview = Administration(
        worker, looks, signals, guard, means.log, means.watch, means.log_check, means.desk_watch
    )
    users = UserPages(worker, signals, guard, means.settings.public_url)
    return overview, users, EventLogPage(worker, looks, guard, means.log)


def _runner(routes: tuple[Route, ...], refusals: Refusals, settings: Settings) -> web.AppRunner:
    app = web.Application(middlewares=[refusals.middleware], client_max_size=BODY_BYTES_MAX)
    for route in routes:
        app.router.add_route(route.method, route.path, route.handle)
        if route.method == "GET" and route.has_head:
            app.router.add_route("HEAD", route.path, route.handle)
    app[OWN_ORIGINS] = tuple(url for url in (settings.public_url, *settings.address) if url)
    headers = HEADERS | {"Content-Security-Policy": policy(settings)}
    app.on_response_prepare.append(_setting(headers))
    options = {"shutdown_timeout": STOP_S_MAX, "keepalive_timeout": settings.idle_s}
    return HttpRunner(app, headers, access_log=None, logger=QUIET, **options)


def _readers(home: Home, worker: Worker) -> tuple[Core, Worker]:
    """Open one in the loop's own thread, for point queries; and a thread for what only looks, and for long.

    These are pages of those who wait for no alarm, and the Institute's counting: no alarm waits for them.
    """
    try:
        return open_reader(home), Worker(lambda: open_reader(home), stores=False)
    except CannotServe:
        worker.close()
        raise


def _add_jobs(jobs: Jobs, means: _Means, parts: _Parts) -> None:
    worker, looks, signals = means.worker, means.looks, means.signals
    log, settings = means.log, means.settings
    jobs.add(FLUSH_S, parts.provided.note_due)
    jobs.add(FLUSH_S, parts.direct.flush_due)
    jobs.add(DIRECT_LOOK_S, parts.direct.look)
    jobs.add(ESCALATE_TICK_S, parts.operator.boards.escalate)
    jobs.add(CHECK_S, means.store_check.look)
    jobs.add(CLOSINGS_S, Closings(worker, signals, log).look)
    jobs.add(desks.LOOK_S, means.desk_watch.look)
    jobs.add(ESCALATE_S, Escalation(worker, signals, log, settings, means.desk_watch.is_attended).look)
    jobs.add(LOOK_S, SupervisionJob(worker, signals, log, settings).look)
    jobs.add(condition.LOOK_S, means.watch.look, first_s=condition.LOOK_S)
    jobs.add(log_check.LOOK_S, means.log_check.look)
    housekeeping = Housekeeping(worker, looks, settings)
    jobs.add(FIGURES_S, housekeeping.make_figures)  # first: what is erased is counted already
    jobs.add(ERASE_S, housekeeping.erase_due)
    jobs.add(STRANGERS_S, housekeeping.tidy_after_strangers)


def _setting(headers: Mapping[str, str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what gives every answer the headers that it carries."""

    async def set_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return set_headers


def _case_pages(means: _Means, guard: Guard, pin: str) -> tuple[Cases, AssignmentPages, DailyReport, Cap]:
    worker, settings = means.worker, means.settings
    cases = Cases(worker, means.looks, guard, settings.test_every_days, settings.alive_s)
    assignments = AssignmentPages(worker, guard, cases, pin, settings.public_url)
    report = DailyReport(means.looks, guard, settings.test_every_days)
    return cases, assignments, report, Cap(worker, guard, pin, settings.public_url)


def _specific(host: str) -> tuple[str, ...]:
    """Return the address to listen on, where it is one at which somebody may ask."""
    try:
        return () if ipaddress.ip_address(host).is_unspecified else (host,)
    except ValueError:
        return (host,)


def _url(host: str, port: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"https://{host}:{port}"
    if address.is_unspecified:
        return f"https://localhost:{port}"
    return f"https://[{host}]:{port}" if address.version == 6 else f"https://{host}:{port}"


def _why(error: OSError) -> str:
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error.strerror or error)
    return os.strerror(error.errno).lower()  # `strerror` of a listener has the address in it, too
