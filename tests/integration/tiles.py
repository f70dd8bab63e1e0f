"""An invented town as a map of our own: pictures of tiles, in a PMTiles file."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

HEADER = {
    "tile_type": TileType.PNG,
    "tile_compression": Compression.NONE,
    "min_lon_e7": 42_000_000,
    "min_lat_e7": 507_000_000,
    "max_lon_e7": 45_000_000,
    "max_lat_e7": 510_000_000,
    "center_zoom": 12,
    "center_lon_e7": 43_500_000,
    "center_lat_e7": 508_500_000,
}
GROUND, CANAL = bytes((239, 236, 228)), bytes((170, 205, 230))
PARK, STREET = bytes((205, 226, 190)), bytes((255, 255, 255))


def picture(z: int, x: int, y: int) -> bytes:
    """An invented town: streets in a grid, a park, a canal; each tile a little different."""
    streets = [column for column in range(256) if (column + 29 * x) % 80 < 5]
    rows = bytearray()
    for row in range(256):
        pixels = [GROUND] * 256
        banks = 192 + 20 * (z % 3) - row
        pixels[max(banks, 0) : max(banks + 17, 0)] = [CANAL] * (min(banks + 17, 256) - max(banks, 0))
        if (row - 90) ** 2 < 1500:
            half = math.isqrt(1499 - (row - 90) ** 2)
            pixels[160 - half : 161 + half] = [PARK] * (2 * half + 1)
        for column in streets:
            pixels[column] = STREET
        if (row + 13 * y) % 64 < 5:
            pixels = [STREET] * 256
        rows += b"\0" + b"".join(pixels)
    header = struct.pack(">IIBBBBB", 256, 256, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def archive(path: Path, tiles: dict[tuple[int, int, int], bytes], **changes: Any) -> Path:
    with path.open("wb") as file:
        writer = Writer(file)  # type: ignore[no-untyped-call]
        for place, content in sorted(tiles.items(), key=lambda item: zxy_to_tileid(*item[0])):
            writer.write_tile(zxy_to_tileid(*place), content)  # type: ignore[no-untyped-call]
        writer.finalize(HEADER | changes, {"name": "an invented town"})  # type: ignore[no-untyped-call]
    return path


def around(lat: float, lon: float, zoom: int) -> dict[tuple[int, int, int], bytes]:
    """The tiles about a place, of that zoom and the two before."""
    tiles: dict[tuple[int, int, int], bytes] = {}
    for z in range(zoom - 2, zoom + 1):
        x = int((lon + 180) / 360 * 2**z)
        y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
        near = [(x + dx, y + dy) for dx in range(-3, 4) for dy in range(-3, 4)]
        tiles |= {(z, *place): picture(z, *place) for place in near}
    return tiles
