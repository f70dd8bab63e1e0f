"""The map's tiles out of a file of our own (PMTiles, version 3): a map without a connection to anywhere.

Only pictures: PNG, JPEG, WebP. The file is read in a thread of its own, a tile at a time; its directories
are kept as they are met, so that a tile is one read.
"""

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web
from pmtiles.tile import (
    Compression,
    Entry,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    TileType,
    deserialize_directory,
    deserialize_header,
    find_tile,
    zxy_to_tileid,
)

from centre.api.routing import Route
from centre.console.guard import Guard
from centre.platform.home import CannotServe
from centre.platform.log import Log
from centre.platform.log_throttle import LogThrottle
from centre.rules import access
from centre.rules.refusals import Refused
from centre.settings import Settings, is_archive

URL = "/console/tiles/{z}/{x}/{y}"
TYPES = {TileType.PNG: "image/png", TileType.JPEG: "image/jpeg", TileType.WEBP: "image/webp"}
WAITING_MAX = 256
DIRECTORIES_KEPT = 64
DIRECTORY_BYTES_MAX, TILE_BYTES_MAX = 1 << 20, 4 << 20
KEPT_S = 3600  # by a browser
_HEADER_BYTES = 127
_DEPTH_MAX = 4  # of directories
_ZOOM_MAX = 24


class Archive:
    def __init__(self, path: Path) -> None:
        """Open the file. Raises CannotServe for what we cannot show, with what it is."""
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CannotServe(f"--tiles {path} cannot be read: {error.strerror}") from error
        try:
            self._header = _header(os.pread(self._file, _HEADER_BYTES, 0), path)
            self.media_type = TYPES[self._header["tile_type"]]
            self.zoom_max = int(self._header["max_zoom"])
            self._directory = lru_cache(DIRECTORIES_KEPT)(self._read_directory)
            self._directory(self._header["root_offset"], self._header["root_length"])
        except CannotServe:
            os.close(self._file)
            raise
        except Exception as error:  # whatever a broken file makes the library raise
            os.close(self._file)
            raise CannotServe(f"--tiles {path} is a broken PMTiles file") from error

    def tile(self, z: int, x: int, y: int) -> bytes | None:
        """None where it has none. Raises what a broken file makes us raise."""
        header, tile_id = self._header, zxy_to_tileid(z, x, y)
        offset, length = header["root_offset"], header["root_length"]
        for _ in range(_DEPTH_MAX):
            entry = find_tile(self._directory(offset, length), tile_id)
            if entry is None:
                return None
            if entry.run_length:
                return self._read(header["tile_data_offset"] + entry.offset, entry.length, TILE_BYTES_MAX)
            offset, length = header["leaf_directory_offset"] + entry.offset, entry.length
        return None

    def _read_directory(self, offset: int, length: int) -> list[Entry]:
        return deserialize_directory(self._read(offset, length, DIRECTORY_BYTES_MAX))

    def _read(self, offset: int, length: int, at_most: int) -> bytes:
        if length > at_most:
            raise ValueError("a part of the file is too long")
        read = os.pread(self._file, length, offset)
        if len(read) < length:
            raise ValueError("the file has been cut off")
        return read

    def close(self) -> None:
        os.close(self._file)


def opened(settings: Settings) -> tuple[Archive | None, Settings]:
    """Open the archive, if there is one, and have the settings say so. Raises CannotServe."""
    if not is_archive(settings.tiles):
        return None, settings
    archive = Archive(Path(settings.tiles))
    return archive, replace(settings, tiles=URL, tiles_zoom=archive.zoom_max)


def _header(start: bytes, path: Path) -> Any:
    try:
        header = deserialize_header(start)
    except SpecVersionUnsupported as error:
        raise CannotServe(f"--tiles {path} is an older PMTiles file: convert it to version 3") from error
    except (MagicNumberNotFound, UnicodeDecodeError) as error:
        raise CannotServe(f"--tiles {path} is not a PMTiles file") from error
    if header["tile_type"] not in TYPES:
        kind = header["tile_type"].name
        raise CannotServe(f"--tiles {path} holds {kind} tiles: only pictures (PNG, JPEG, WebP) can be shown")
    if header["tile_compression"] not in (Compression.NONE, Compression.UNKNOWN):
        raise CannotServe(f"--tiles {path} holds pictures that are compressed once more: make it without")
    if header["internal_compression"] != Compression.GZIP:
        raise CannotServe(f"--tiles {path} has directories that are not gzip: make it with that")
    return header


class Tiles:
    """The route of an archive; `archive` None: there is none, and nothing is here."""

    def __init__(self, archive: Archive | None, guard: Guard, log: Log) -> None:
        self._archive, self._trouble = archive, LogThrottle(log)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tiles")
        self._waiting = 0
        self.routes = (Route("GET", URL, guard.sees(access.OPERATOR), self.tile),)

    async def tile(self, request: web.Request, _caller: access.Caller) -> web.Response:
        """204 where the file has none: a map has an end, which is nobody's mistake."""
        if self._archive is None:
            raise Refused("unknown_path")
        z, x, y = (_number(request.match_info[name]) for name in ("z", "x", "y"))
        if z > _ZOOM_MAX or max(x, y) >= 1 << z:
            raise Refused("out_of_range", "there is no such tile on Earth")
        if self._waiting >= WAITING_MAX:
            raise Refused("busy")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            picture = await loop.run_in_executor(self._thread, self._archive.tile, z, x, y)
        except Exception as error:  # the map is not worth more than its absence
            self._trouble("tiles", f"tile {z}/{x}/{y} of the map cannot be read: {error}")
            picture = None
        finally:
            self._waiting -= 1
        if picture is None:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        headers = {"Cache-Control": f"private, max-age={KEPT_S}"}
        return web.Response(body=picture, content_type=self._archive.media_type, headers=headers)

    async def close(self) -> None:
        self._thread.shutdown()
        if self._archive is not None:
            self._archive.close()


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,8}", text, re.ASCII):
        raise Refused("out_of_range", "a tile is /z/x/y, in whole numbers")
    return int(text)
