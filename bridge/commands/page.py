"""`amr-bridge page`: the address of the protected person's page."""

import argparse

from bridge.commands.errors import OK
from bridge.commands.options import enrolled, read_settings
from bridge.store.home import Home, HomeError


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Print the address with its secret."""
    settings = read_settings(home, arguments)
    if settings.page_port == 0:
        raise HomeError("the page is switched off; set page.port in config.toml")
    enrolled(home)
    print(f"http://127.0.0.1:{settings.page_port}/#{home.page_secret()}")
    return OK
