"""What several sub-commands read off their options and the home."""

import argparse
from dataclasses import replace

from bridge import settings as settings_file
from bridge.commands.errors import BadInput
from bridge.location import fixed
from bridge.settings import Settings
from bridge.store.home import Credentials, Home, HomeError


def read_settings(home: Home, arguments: argparse.Namespace) -> Settings:
    """Return the settings of the file, with those of the options over them.

    Raises:
        SettingsError: a key or a value is not allowed.
        BadInput: an option cannot be used.
    """
    settings = settings_file.override(settings_file.load(home.settings), arguments.set)
    if getattr(arguments, "json_log", False):
        settings = replace(settings, log_format="json")
    if getattr(arguments, "fix", None) is not None:
        try:
            fixed.parse(arguments.fix)
        except ValueError as error:
            raise BadInput(error) from None
        settings = replace(settings, position_sources=("fixed",), position_fixed=arguments.fix)
    if getattr(arguments, "gpx", None) is not None:
        track = str(arguments.gpx.absolute())
        settings = replace(settings, position_sources=("gpx",), position_gpx=track)
    return settings_file.settle(settings, home.path)


def enrolled(home: Home) -> Credentials:
    """Return the credentials of a home in which something is enrolled. Raises HomeError."""
    credentials = home.read()
    if credentials is None:
        raise HomeError(f"no button is enrolled in {home.path}; run: amr-bridge enrol - --pin --duress-pin")
    return credentials
