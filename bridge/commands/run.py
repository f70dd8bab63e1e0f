"""`amr-bridge run`: listen until stopped."""

import argparse
import asyncio
import contextlib
import signal

from bridge import app
from bridge.centre.errors import CentreError
from bridge.commands.errors import OK, BadInput, CommandError
from bridge.commands.options import enrolled, read_settings
from bridge.store.home import Home


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Run the bridge until SIGTERM or SIGINT; one per home."""
    credentials, settings = enrolled(home), read_settings(home, arguments)
    try:
        sources = app.sources(settings)
    except ValueError as error:
        raise BadInput(error) from None

    async def until_stopped() -> None:
        stop = asyncio.Event()
        with contextlib.suppress(NotImplementedError):  # Windows: there Ctrl-C ends it by itself
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        radio = app.bleak_radio(settings, arguments.scanner, arguments.client)
        await app.run_bridge(home, credentials, settings, sources, radio, stop)

    try:
        with home.lock():
            asyncio.run(until_stopped())
    except CentreError as error:
        raise CommandError(error) from None
    return OK
