"""Many boards in a row: flash, provision, self-test; a line of a CSV table for each, on disk at once."""

import csv
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from firmware.flash.errors import CommandError
from firmware.flash.remote import Link
from firmware.flash.selftest import Report

DONE, FAILED, LEFT = "done", "failed", ""


@dataclass
class Row:
    """What became of one board; the steps are `done`, `failed` or empty where it did not come so far."""

    at: str
    port: str
    device_id: str = ""
    flash: str = LEFT
    provision: str = LEFT
    selftest: str = LEFT
    seconds: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Steps:
    """What is done with a board, in order; each raises CommandError, `provision` returns the device_id."""

    interpreter: Callable[[str], None]
    link: Callable[[str], Link]
    files: Callable[[Link], None]
    provision: Callable[[Link], str]
    selftest: Callable[[Link], Report]


def fleet(ports: Iterable[str], table: Path, steps: Steps, say: Callable[[str], None]) -> list[Row]:
    """Each board, whatever became of the one before. Raises CommandError where the table cannot be kept."""
    _keep(table, None)  # before the first board, so that no board is made that no table names
    rows = []
    for port in ports:
        say(f"== {port}")
        row = _one(port, steps)
        say(f"== {port}: {row.trouble or f'button {row.device_id} is ready'}")
        _keep(table, row)
        rows.append(row)
    return rows


def _one(port: str, steps: Steps) -> Row:
    begun_s = time.monotonic()
    row = Row(datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), port)
    step = "flash"
    try:
        steps.interpreter(port)
        with steps.link(port) as link:  # once for all: a button that was let go is asleep
            steps.files(link)
            row.flash, step = DONE, "provision"
            row.device_id = steps.provision(link)
            row.provision, step = DONE, "selftest"
            failed = steps.selftest(link).failed()
        if failed:
            raise CommandError(f"self-test failed: {' '.join(failed)}")
        row.selftest = DONE
    except CommandError as refused:
        setattr(row, step, FAILED)
        row.trouble = str(refused)
    row.seconds = round(time.monotonic() - begun_s)
    return row


def _keep(table: Path, row: Row | None) -> None:
    try:
        with table.open("a", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)])
            if file.tell() == 0:
                writer.writeheader()
            if row:
                writer.writerow(asdict(row))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CommandError(f"cannot write the table {table}: {error.strerror}") from None
