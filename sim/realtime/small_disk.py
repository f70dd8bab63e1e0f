"""A disk of one program that can be filled: a small tmpfs over its folder. Needs the right to mount."""

import subprocess
from pathlib import Path

_CHUNK = 512


class CannotMount(Exception):
    """This user may not; the text says what to do."""


class SmallDisk:
    def __init__(self, folder: Path, kib: int) -> None:
        """An empty disk over `folder`. Raises CannotMount."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        options = ["-t", "tmpfs", "-o", f"size={kib}k,mode=700", "tmpfs", str(folder)]
        if subprocess.run(["/bin/mount", *options], capture_output=True, check=False).returncode:
            raise CannotMount("a disk that is full is a small one of its own: mounting it needs root")

    def fill(self) -> None:
        """To the last byte."""
        with (self._folder / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(_CHUNK)):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        (self._folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["/bin/umount", "-l", str(self._folder)], capture_output=True, check=False)
