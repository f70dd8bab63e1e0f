"""`amr-centre webhook`: what a dispatch system checks our word with, and how that changes."""

import argparse

from centre.commands.exit_codes import COULD_NOT
from centre.commands.parts import Commands, no
from centre.jobs import webhook
from centre.platform.home import Home
from centre.rules.webhook import SECRETS_MAX


def add_webhook(commands: Commands) -> None:
    group = commands.group()
    group.add(secret, "secret", "print the newest secret, making it if needed", begins=True)
    group.add(rotate, "rotate", "make another secret; until `retire` the ones before sign as well")
    group.add(retire, "retire", "sign with the newest secret alone: the receiver has changed to it")


def secret(arguments: argparse.Namespace) -> int:
    """Print what the receiver checks with."""
    print(webhook.secrets_of(Home(arguments.home))[0])
    return 0


def rotate(arguments: argparse.Namespace) -> int:
    """Print a new secret, for the receiver."""
    made = webhook.rotate(Home(arguments.home))
    if made is None:
        return no(COULD_NOT, f"{SECRETS_MAX} secrets sign already: run amr-centre webhook retire first")
    print(made)
    return 0


def retire(arguments: argparse.Namespace) -> int:
    """Drop all secrets but the newest."""
    dropped = webhook.retire(Home(arguments.home))
    print(f"{dropped} secret(s) dropped; the newest alone signs from now on")
    return 0
