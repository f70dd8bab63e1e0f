"""`amr-centre serve` and `amr-centre ca`."""

import argparse
import asyncio
import contextlib
import gc
import re
import signal
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from centre.api import connection_limit
from centre.app import running
from centre.commands.parts import BAD_INPUT, Commands, address, days, no
from centre.jobs import webhook
from centre.platform import tls
from centre.platform.home import Home
from centre.platform.log import Log, traces_on_stderr
from centre.rules import escalation, heartbeats, retention
from centre.rules import supervision as losses
from centre.settings import Settings

GARBAGE = 10_000  # objects made and not yet freed, when it is next looked for


def add(commands: Commands) -> None:
    made = commands.add("serve", "serve bridges and operators until SIGTERM or Ctrl-C", serve, begins=True)
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument("--port", type=_port, default=8443, help="0 = any free one (default: %(default)s)")
    made.add_argument(
        "--cert",
        type=Path,
        metavar="FILE",
        help="PEM chain, leaf first, CA last; else a development CA is made",
    )
    made.add_argument("--key", type=Path, metavar="FILE", help="PEM private key of --cert, not encrypted")
    made.add_argument(
        "--address",
        type=address,
        action="append",
        default=[],
        metavar="URL",
        help="another address of this same centre, told to bridges as they enrol; may be repeated",
    )
    made.add_argument(
        "--public-url",
        type=address,
        metavar="URL",
        help="this centre as phones reach it, for enrolment codes (default: as the browser does)",
    )
    made.add_argument(
        "--signs-per-s",
        type=_signs_per_s,
        default=heartbeats.SIGNS_PER_S,
        metavar="N",
        help="signs of life that are taken in a second, of all bridges (default: %(default)s)",
    )
    made.add_argument(
        "--connections",
        type=_connections,
        default=Settings().connections,
        metavar="N",
        help="that may be held at once; one more, and the oldest is cut (default: %(default)s)",
    )
    made.add_argument(
        "--alive-s",
        type=_alive_s,
        default=heartbeats.ALIVE_S,
        metavar="S",
        help="how often bridges shall give a sign of life (default: %(default)s)",
    )
    made.add_argument(
        "--test-every-days",
        type=days,
        default=losses.TEST_DAYS,
        metavar="DAYS",
        help="a button that was not tested for longer is named to its case manager (default: %(default)s)",
    )
    made.add_argument(
        "--escalate-s",
        type=_escalate_s,
        default=escalation.AFTER_S,
        metavar="S",
        help="an alarm that nobody takes gets louder after so long, calls others after twice and is told "
        "further after three times as long (default: %(default)s)",
    )
    made.add_argument(
        "--webhook",
        type=_webhook,
        metavar="URL",
        help="a dispatch system that is told of each incident, signed by webhook-key",
    )
    made.add_argument(
        "--webhook-ca", metavar="FILE", help="PEM of the CA of --webhook, where the system does not know it"
    )
    for what, kept, after in (
        ("positions", retention.POSITIONS_DAYS, "an alarm was closed"),
        ("incidents", retention.INCIDENTS_DAYS, "an alarm was closed"),
        ("losses", retention.LOSSES_DAYS, "they were found again"),
        ("sessions", retention.SESSIONS_DAYS, "they ended"),
    ):
        made.add_argument(
            f"--keep-{what}-days",
            type=days,
            default=kept,
            metavar="DAYS",
            help=f"how long {what} are kept after {after} (default: %(default)s)",
        )
    _add_oidc(made)
    made.add_argument(
        "--tiles",
        type=_tiles,
        metavar="URL|FILE",
        help="a map's tiles for operators, https://HOST/{z}/{x}/{y}.png or a FILE.pmtiles of pictures "
        "(default: a plain map)",
    )
    made.add_argument("--tiles-by", default="", metavar="TEXT", help="whose tiles they are, on the map")
    made.add_argument("--json-log", action="store_true", help="one JSON object per event on stdout")
    commands.add(
        "webhook-key",
        "print the key that --webhook signs with, making it if needed",
        webhook_key,
        begins=True,
    )
    made = commands.add("ca", "print where the development CA is, making it if needed", ca, begins=True)
    made.add_argument("--path", action="store_true", help="print the path of its certificate alone")
    made.add_argument(
        "--renew",
        action="store_true",
        help="make it a new certificate with the same key, which is what is pinned",
    )


def _add_oidc(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--oidc-issuer",
        type=_issuer,
        metavar="URL",
        help="a provider (OpenID Connect) through which people may sign in, beside their password",
    )
    made.add_argument("--oidc-client-id", metavar="ID", help="who we are to it; its secret is in oidc.secret")
    made.add_argument(
        "--oidc-claim",
        default="sub",
        metavar="NAME",
        help="what of its ID token is somebody's login here (default: %(default)s)",
    )
    for name, what in (("acr", "kind (asked for)"), ("amr", "means")):
        made.add_argument(
            f"--oidc-{name}",
            action="append",
            default=[],
            metavar="VALUE",
            help=f"a {what} of sign-in that it must have been there; may be repeated, then one of them",
        )
    made.add_argument("--oidc-ca", metavar="FILE", help="PEM of its CA, where the system does not know it")


def serve(arguments: argparse.Namespace) -> int:
    if bool(arguments.cert) != bool(arguments.key):
        return no(BAD_INPUT, "--cert and --key go together")
    if arguments.webhook_ca and not arguments.webhook:
        return no(BAD_INPUT, "--webhook-ca is for --webhook")
    if bool(arguments.oidc_issuer) != bool(arguments.oidc_client_id):
        return no(BAD_INPUT, "--oidc-issuer and --oidc-client-id go together")
    certificate = tls.given(arguments.cert, arguments.key) if arguments.cert else None
    home = Home(arguments.home)
    lock = home.lock()
    assert lock  # held until the process ends
    connections = connection_limit.allow_files(arguments.connections)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(
            home,
            host=arguments.host,
            port=arguments.port,
            log=log,
            certificate=certificate,
            settings=Settings(
                addresses=tuple(arguments.address),
                alive_s=arguments.alive_s,
                public_url=arguments.public_url or "",
                signs_per_s=arguments.signs_per_s,
                connections=connections,
                test_every_days=arguments.test_every_days,
                escalate_s=arguments.escalate_s,
                webhook=arguments.webhook,
                webhook_ca=arguments.webhook_ca,
                keep_positions_days=arguments.keep_positions_days,
                keep_incidents_days=arguments.keep_incidents_days,
                keep_losses_days=arguments.keep_losses_days,
                keep_sessions_days=arguments.keep_sessions_days,
                oidc_issuer=arguments.oidc_issuer or "",
                oidc_client_id=arguments.oidc_client_id or "",
                oidc_claim=arguments.oidc_claim,
                oidc_acr=tuple(arguments.oidc_acr),
                oidc_amr=tuple(arguments.oidc_amr),
                oidc_ca=arguments.oidc_ca,
                tiles="" if _is_file(arguments.tiles) else arguments.tiles or "",
                tiles_file=arguments.tiles if _is_file(arguments.tiles) else "",
                tiles_by=arguments.tiles_by,
            ),
        ) as centre:
            log(
                "listening",
                url=centre.url,
                ca=str(centre.authority.path),
                ca_sha256=centre.authority.sha256,
            )
            if connections < arguments.connections:
                text = f"at most {connections} connections are held, not {arguments.connections}: ulimit -Hn"
                log("trouble", reason="open_files", text=text)
            await stop.wait()

    # What is there now stays: looking through it for garbage is a tenth of what an alarm costs.
    gc.freeze()
    gc.set_threshold(GARBAGE)
    log = Log(arguments.json_log)
    with (
        contextlib.closing(log),
        traces_on_stderr(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(until_stopped())
    return 0


def ca(arguments: argparse.Namespace) -> int:
    home = Home(arguments.home)
    authority = tls.renew(home) if arguments.renew else tls.development(home)
    if arguments.path:
        print(authority.path)
        return 0
    print(f"CA certificate: {authority.path}\nSHA-256 of its public key: {authority.sha256}")
    return 0


def webhook_key(arguments: argparse.Namespace) -> int:
    print(webhook.key_of(Home(arguments.home)).hex())
    return 0


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is 0 (any free one) to 65535")
    return int(text)


def _signs_per_s(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) < 1:
        raise argparse.ArgumentTypeError("it is 1 to 99999 in a second")
    return int(text)


def _connections(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or int(text) < 1:
        raise argparse.ArgumentTypeError("it is 1 to 999999")
    return int(text)


def _alive_s(text: str) -> int:
    least, most = heartbeats.ALIVE_S_MIN, heartbeats.ALIVE_S_MAX
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"it is {least} to {most} seconds")
    return int(text)


def _issuer(text: str) -> str:
    url = _webhook(text)
    if "?" in url:
        raise argparse.ArgumentTypeError("an issuer is https://HOST[:PORT]/PATH, without a query")
    return url


def _webhook(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and parts.username is None
        good = good and parts.password is None and not parts.fragment
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("it is https://HOST[:PORT]/PATH, without a name or password in it")
    return text


def _escalate_s(text: str) -> int:
    least, most = escalation.AFTER_S_MIN, escalation.AFTER_S_MAX
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"it is {least} to {most} seconds")
    return int(text)


def _is_file(tiles: str | None) -> bool:
    return tiles is not None and tiles.endswith(".pmtiles") and not tiles.startswith("https://")


def _tiles(url: str) -> str:
    """Its origin goes into the pages' security policy: nothing that could end a word there."""
    if _is_file(url):
        return url
    if not re.fullmatch(
        r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/{}?=&%-]*", url, re.ASCII
    ) or not all(part in url for part in ("{z}", "{x}", "{y}")):
        raise argparse.ArgumentTypeError(f"{url!r} is not https://HOST/{{z}}/{{x}}/{{y}}.png or FILE.pmtiles")
    return url
