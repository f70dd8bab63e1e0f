"""`amr-centre report` and `amr-centre erase`."""

import argparse

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, days, in_turns, no
from centre.console import words
from centre.platform.log import now_ms
from centre.rules import grants, supervision, times
from centre.rules.refusals import REASONS, Refused
from centre.work import cases, event_log, reports, retention
from centre.work.reports import Held


def add_report(commands: Commands) -> None:
    parser = commands.add(report)
    parser.add_argument("--zone", help="of one police zone (default: all)")
    parser.add_argument("--day", metavar="YYYY-MM-DD", help="(default: today)")
    parser.add_argument(
        "--test-every-days",
        type=days,
        default=supervision.TEST_DAYS,
        metavar="DAYS",
        help="name buttons that were not tested for longer (default: %(default)s)",
    )


def add_erase(commands: Commands) -> None:
    parser = commands.add(erase)
    parser.add_argument("case_id", metavar="CASE")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def report(arguments: argparse.Namespace) -> int:
    today = times.day(int(now_ms()))
    day = arguments.day or today
    try:
        times.check_day(day, grants.FIRST, today, field="--day")
    except Refused as refused:
        return no(BAD_INPUT, refused.detail)
    report = reports.of_day(core_of(arguments), arguments.zone, day, arguments.test_every_days)
    print(f"{day}, {f'zone {report.zone}' if report.zone else 'all zones'}")
    print(
        f"alarms: {len(report.alarms)}{''.join(f', {reason} {count}' for reason, count in report.outcomes)}"
    )
    for alarm in report.alarms:
        reason = alarm.reason or "open"
        print(f"  {times.minute(alarm.opened_at_ms)[11:]}  {alarm.device_id}  case {alarm.case_id}  {reason}")
    print(f"tests: {len(report.tests)}")
    for test in report.tests:
        print(f"  {times.minute(test.opened_at_ms)[11:]}  {test.device_id}  case {test.case_id}")
    print(f"batteries low: {len(report.low)}")
    _print_buttons(report.low)
    print(f"not heard for a day: {len(report.silent)}")
    _print_buttons(report.silent)
    print(f"not tested for {arguments.test_every_days} days: {len(report.untested)}")
    _print_buttons(report.untested)
    print(f"grants to review, or ended: {len(report.due)}")
    for case in report.due:
        print(f"  case {case.case_id}  since {case.due_on}")
    return 0


def _print_buttons(buttons: list[Held]) -> None:
    for button in buttons:
        heard = times.minute(button.heard_at_ms) if button.heard_at_ms else "never"
        battery = f"  {words.charge('en', button.battery_mv, button.is_low)}" if button.battery_mv else ""
        tested = times.minute(button.tested_at_ms) if button.tested_at_ms else "never"
        print(f"  {button.device_id}  case {button.case_id}  last heard {heard}  last test {tested}{battery}")


def erase(arguments: argparse.Namespace) -> int:
    core, case_id = core_of(arguments), arguments.case_id
    try:
        cases.check_erasable(core, case_id)
    except Refused as refused:
        return _not_erased(case_id, refused)
    if not arguments.yes:
        print(f"Erase the file, photos and names of case {case_id} for ever? Type the case again: ", end="")
        try:
            answer = input()
        except EOFError:
            answer = ""
        if answer.strip() != case_id:
            return no(COULD_NOT, "nothing was erased")
    try:
        for _ in in_turns(iter(lambda: cases.erase_case(core, event_log.COMMAND, case_id), True)):
            pass
    except Refused as refused:
        return _not_erased(case_id, refused)
    retention.forget(core)
    print(f"case {case_id} is erased; copies in backups end when those do")
    return 0


def _not_erased(case_id: str, refused: Refused) -> int:
    why = (
        f"there is no case {case_id} here" if refused.reason == "unknown_case" else REASONS[refused.reason][1]
    )
    return no(COULD_NOT, f"{why}; nothing was erased")
