"""`amr-centre users` and `amr-centre console`."""

import argparse

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, address, core_of, day, line, no, zone
from centre.rules import access
from centre.work import accounts


def add_console(commands: Commands) -> None:
    parser = commands.add(enter)
    parser.add_argument("login", metavar="LOGIN")
    _add_url(parser)


def add_users(commands: Commands) -> None:
    group = commands.group()
    parser = group.add(add_user, "add", "add somebody", begins=True)
    parser.add_argument("login", metavar="LOGIN", help="2 to 32 of a-z 0-9 . _ -")
    parser.add_argument("--name", type=line, required=True, help="as colleagues know the person")
    parser.add_argument("--role", required=True, choices=access.ROLES)
    parser.add_argument("--zone", type=zone, help="the police zone of a case manager")
    parser.add_argument("--language", default="en", choices=access.LANGUAGES, help="(default: %(default)s)")
    group.add(list_users, "list", "one line per user")
    parser = group.add(invite, "invite", "print an address where the user sets password and second factor")
    parser.add_argument("login", metavar="LOGIN")
    _add_url(parser)
    parser = group.add(change, "change", "change name, role, zone or language")
    parser.add_argument("login", metavar="LOGIN")
    parser.add_argument("--name", type=line, help="as colleagues know the person")
    parser.add_argument("--role", choices=access.ROLES)
    parser.add_argument("--zone", type=zone, help="the police zone of a case manager")
    parser.add_argument("--language", choices=access.LANGUAGES)
    parser = group.add(disable, "disable", "the user can no longer sign in, and open sessions end")
    parser.add_argument("login", metavar="LOGIN")
    parser = group.add(enable, "enable", "a disabled user can sign in again, with the password of before")
    parser.add_argument("login", metavar="LOGIN")


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        type=address,
        default="https://127.0.0.1:8443",
        help="this centre, as the user reaches it (default: %(default)s)",
    )


def enter(arguments: argparse.Namespace) -> int:
    token = accounts.invite(core_of(arguments), arguments.login, "enter", access.ENTER_MS)
    if token is None:
        return no(COULD_NOT, f"there is no user {arguments.login} here")
    print(f"{arguments.url}/console/enter?key={token}")
    return 0


def add_user(arguments: argparse.Namespace) -> int:
    if not access.LOGIN.fullmatch(arguments.login):
        return no(BAD_INPUT, "a login is 2 to 32 of a-z 0-9 . _ -")
    if (arguments.role == access.CASE_MANAGER) != bool(arguments.zone):
        return no(BAD_INPUT, "--zone goes with --role case_manager, who needs one")
    core, values = core_of(arguments), (arguments.role, arguments.zone, arguments.language)
    if accounts.add_user(core, arguments.login, arguments.name, *values) is None:
        return no(COULD_NOT, f"{arguments.login} is already here")
    print(f"{arguments.login} was added; to let that user in: amr-centre users invite {arguments.login}")
    return 0


def invite(arguments: argparse.Namespace) -> int:
    token = accounts.invite(core_of(arguments), arguments.login, "set", access.SET_MS)
    if token is None:
        return no(COULD_NOT, f"there is no user {arguments.login} here")
    print(f"{arguments.url}/console/set?key={token}")
    return 0


def change(arguments: argparse.Namespace) -> int:
    names = ("name", "role", "zone", "language")
    changes = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if not changes:
        return no(BAD_INPUT, "say what to change: --name, --role, --zone, --language")
    core = core_of(arguments)
    user = next((listed for listed in accounts.users(core) if listed.login == arguments.login), None)
    if user is None or user.disabled_at_ms:
        return no(COULD_NOT, f"there is no user {arguments.login} here")
    role = changes.get("role", user.role)
    zone = changes.get("zone") or (user.zone if role == user.role else None)
    if (role == access.CASE_MANAGER) != bool(zone):
        return no(BAD_INPUT, "--zone goes with --role case_manager, who needs one")
    accounts.change_user(core, arguments.login, **changes)
    print(f"{arguments.login} was changed")
    return 0


def disable(arguments: argparse.Namespace) -> int:
    if not accounts.disable(core_of(arguments), arguments.login):
        return no(COULD_NOT, f"there is no user {arguments.login} here")
    print(f"{arguments.login} can no longer sign in; what was open has ended")
    return 0


def enable(arguments: argparse.Namespace) -> int:
    if not accounts.enable(core_of(arguments), arguments.login):
        return no(COULD_NOT, f"there is no user {arguments.login} here who is disabled")
    print(
        f"{arguments.login} can sign in again; for a new password: amr-centre users invite {arguments.login}"
    )
    return 0


def list_users(arguments: argparse.Namespace) -> int:
    for user in accounts.users(core_of(arguments)):
        state = f"disabled {day(user.disabled_at_ms)}" if user.disabled_at_ms else "in use"
        seen = f"last seen {day(user.seen_at_ms)}" if user.seen_at_ms else "never signed in"
        zone = f"  zone {user.zone}" if user.zone else ""
        print(f"{user.login}  {user.name}  {user.role}{zone}  {state}  {seen}")
    return 0
