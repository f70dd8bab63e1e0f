"""A wall clock of one program that somebody sets while it runs: libfaketime; its monotonic clock goes on."""

from pathlib import Path

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


class NoFaketime(Exception):
    """The library is not on this machine; the text says how to get it."""


class SettableClock:
    def __init__(self, folder: Path, name: str) -> None:
        """Raises NoFaketime."""
        found = [path for pattern in _LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
        if not found:
            raise NoFaketime("clocks are set by libfaketime: apt-get install faketime")
        self._library = found[0]
        self._file = folder / f"{name}.clock"
        self.offset_ms = 0
        self.jump(0)

    def jump(self, by_ms: int) -> None:
        """Forward, or back where it is negative. Seen by the program at once."""
        self.offset_ms += by_ms
        self._file.write_text(f"{self.offset_ms / 1000:+.3f}\n")

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
