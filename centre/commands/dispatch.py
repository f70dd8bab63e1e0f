"""`amr-centre dispatch`: which programs of elsewhere may act on alarms, of which zones."""

import argparse

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, day, line, no, zone
from centre.work import dispatch


def add_dispatch(commands: Commands) -> None:
    group = commands.group()
    parser = group.add(add, "add", "let a dispatch system act; its token is shown once")
    parser.add_argument("name", type=line, metavar="NAME", help="as operators read it beside its acts")
    parser.add_argument(
        "--zone", type=zone, action="append", default=[], help="a police zone of its own; may be repeated"
    )
    parser.add_argument(
        "--every-zone", action="store_true", help="all zones, and alarms of buttons that serve no case"
    )
    parser.add_argument("--may-close", action="store_true", help="it may also close alarms")
    group.add(list_systems, "list", "one line per dispatch system")
    parser = group.add(revoke, "revoke", "refuse a dispatch system from now on")
    parser.add_argument("name", type=line, metavar="NAME")


def add(arguments: argparse.Namespace) -> int:
    """Print the only token."""
    if bool(arguments.zone) == arguments.every_zone:
        return no(BAD_INPUT, "say either its zones, with --zone, or --every-zone")
    may = {"every_zone": arguments.every_zone, "may_close": arguments.may_close}
    token = dispatch.add(core_of(arguments), arguments.name, arguments.zone, **may)
    if token is None:
        return no(COULD_NOT, f"there is a dispatch system {arguments.name} already: revoke it first")
    print(token)
    return 0


def list_systems(arguments: argparse.Namespace) -> int:
    """Print who may act."""
    for one in dispatch.systems(core_of(arguments)):
        state = f"revoked {day(one.revoked_at_ms)}" if one.revoked_at_ms else "in use"
        zones = "every zone" if one.every_zone else f"zones {one.zones}"
        close = "  may close" if one.may_close else ""
        acted = f"last act {day(one.acted_at_ms)}" if one.acted_at_ms else "no act within a week"
        print(f"{one.system_id}  {one.name}  {state}  since {day(one.added_at_ms)}  {zones}{close}  {acted}")
    return 0


def revoke(arguments: argparse.Namespace) -> int:
    """Refuse it from now on."""
    if not dispatch.revoke(core_of(arguments), arguments.name):
        return no(COULD_NOT, f"there is no dispatch system {arguments.name} in use here")
    print(f"{arguments.name} is revoked: its token counts no more")
    return 0
