"""`amr-bridge config`: every setting as it is in force, as a file that can be used."""

import argparse

from bridge.commands.errors import OK
from bridge.commands.options import read_settings
from bridge.settings import render
from bridge.store.home import Home


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Print the settings as TOML."""
    settings = read_settings(home, arguments)
    print(f"# What is in force. To change it, put any of this into {home.settings}\n")
    print(render(settings), end="")
    return OK
