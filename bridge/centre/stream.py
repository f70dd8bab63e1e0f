"""Server-sent events (HTML standard, 9.2.6) from the bytes of an answer. Lines and events are bounded."""

from collections.abc import AsyncGenerator

import aiohttp

from bridge.centre.errors import no_centre

LINE_BYTES_MAX = 4 * 1024
EVENT_CHARS_MAX = 64 * 1024


class EventStream:
    """Reads one stream, chunk by chunk."""

    def __init__(self) -> None:
        self._rest = b""
        self._id = ""
        self._type = ""
        self._data: list[str] = []
        self._after_cr = False  # an LF that comes next belongs to it
        self._is_first = True  # a byte order mark may be before the first line

    async def events(self, content: aiohttp.StreamReader) -> AsyncGenerator[tuple[str, str]]:
        """Yield what `feed` returns, as it comes."""
        async for chunk in content.iter_any():
            for event in self.feed(chunk):
                yield event

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """Return `(id, data)` of each event of type `receipt` that `chunk` completes. Raises NotACentre."""
        if not chunk:
            return []
        is_split = self._after_cr and chunk.startswith(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        chunk = chunk[1:] if is_split else chunk
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        if any(len(line) > LINE_BYTES_MAX for line in (*lines, self._rest)):
            raise no_centre("a line longer than 4 KiB")
        return [event for line in lines if (event := self._line(line.decode("utf-8", "replace")))]

    def _line(self, line: str) -> tuple[str, str] | None:
        line = line.removeprefix("\ufeff") if self._is_first else line
        self._is_first = False
        if not line:
            kind, data = self._type, "\n".join(self._data)
            self._type, self._data = "", []
            return (self._id, data) if kind == "receipt" and data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id" and "\0" not in value:
            self._id = value
        elif field == "event":
            self._type = value
        elif field == "data":
            self._data.append(value)
            if sum(map(len, self._data)) > EVENT_CHARS_MAX:
                raise no_centre("an event longer than 64 KiB")
        return None
