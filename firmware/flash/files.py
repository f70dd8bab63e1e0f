"""Our files onto a board: the firmware and its main.py, written beside the old ones, compared by hash,
then put in their place in one go. Identity, settings and counters are never touched.
"""

import hashlib
import tempfile
from pathlib import Path

from firmware.flash.build import MAIN, compile_firmware
from firmware.flash.errors import CommandError
from firmware.flash.interpreter import Say, known_as
from firmware.flash.remote import Link

NEW = ".new"  # what is written, but not yet in its place
_MPY_VERSION = 6
_NEEDED = f"""
import sys
print(sys.implementation[0], '.'.join(str(n) for n in sys.implementation[1][:3]))
print('=' + getattr(sys.implementation, '_machine', ''))
m = getattr(sys.implementation, '_mpy', 0) & 0xff
if m != {_MPY_VERSION}: print('!it loads .mpy version', m, 'and not {_MPY_VERSION}')
for n in ('bluetooth', 'machine', 'hashlib', 'json', 'struct', 'binascii'):
    try: __import__(n)
    except ImportError: print('!it has no module', n)
for n, w in (('binascii', 'crc32'), ('hashlib', 'sha256'), ('os', 'urandom'), ('os', 'statvfs')):
    try: hasattr(__import__(n), w) or print('!it has no ' + n + '.' + w)
    except ImportError: pass
"""


def write_files(link: Link, board: str, say: Say) -> int:
    """Bring the board's firmware up to date. Return how many files had to be written.

    Raises CommandError, BoardFull.
    """
    _check_interpreter(link, board, say)
    with tempfile.TemporaryDirectory() as build:
        files = compile_firmware(Path(build), board)
    files["main.py"] = MAIN
    have = link.hashes(files)
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    changed = [name for name in files if have.get(name) != wanted[name]]  # main.py is the last of them
    link.make_folders(_folders(files))
    stage(link, {name: files[name] for name in changed}, say)
    link.rename((name + NEW, name) for name in changed)
    link.remove(set(link.files({name.split("/")[0] for name in files if "/" in name})) - set(files))
    have = link.hashes(files)
    wrong = [name for name in files if have.get(name) != wanted[name]]
    if wrong:
        raise CommandError(f"{', '.join(wrong)} did not arrive whole at {link.port}: run this again")
    say(f"{len(files)} files read back and right, {len(changed)} of them new")
    return len(changed)


def stage(link: Link, files: dict[str, bytes], say: Say) -> None:
    """Write each file as NAME.new and compare. Raises BoardFull, CommandError, and then takes them back."""
    staged = [name + NEW for name in files]
    try:
        for number, (name, content) in enumerate(files.items(), 1):
            link.write(name + NEW, content)
            say(f"{number:3}/{len(files)} {name} ({len(content)} bytes)")
        have = link.hashes(staged)
        for name, content in files.items():
            if have.get(name + NEW) != hashlib.sha256(content).hexdigest():
                raise CommandError(f"{name} did not arrive whole at {link.port}: run this again")
    except CommandError as refused:
        try:
            link.remove(staged)
        except CommandError:
            raise refused from None  # the board is gone; a re-run writes over what is left
        raise


def _check_interpreter(link: Link, board: str, say: Say) -> None:
    said = link.run(_NEEDED).splitlines()
    machine = next((line[1:] for line in said if line.startswith("=")), "")
    known = known_as(machine)
    if known and board not in known:
        raise CommandError(f"the board at {link.port} is {machine!r}, so give --board {' or '.join(known)}")
    missing = [line[1:] for line in said if line.startswith("!")]
    if missing:
        raise CommandError(
            f"the MicroPython on this board cannot run the button: {'; '.join(missing)}; see the guide"
        )
    say(f"{link.port}: {said[0]} on {machine!r}")
    if not known:  # boards with these chips on them have many names
        say(
            f"this board calls itself {machine!r}, which is in no table here. Compare its pins with "
            f"docs/boards/{board}.md; others: provision --set button_gpio=N (motor_gpio, battery_gpio)"
        )


def _folders(files: dict[str, bytes]) -> list[str]:
    parents = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    return sorted(parents)  # a folder before what is in it
