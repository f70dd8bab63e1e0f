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


def picture(z: int, x: int, y: int) -> bytes:
    """An invented town: streets in a grid, a park, a canal; each tile a little different."""
    rows = bytearray()
    for row in range(256):
        rows.append(0)
        for column in range(256):
            street = (row + 13 * y) % 64 < 5 or (column + 29 * x) % 80 < 5
            canal = abs(row + column - 200 - 20 * (z % 3)) < 9
            park = (row - 90) ** 2 + (column - 160) ** 2 < 1500
            colour = (255, 255, 255) if street else (170, 205, 230) if canal else (239, 236, 228)
            rows += bytes((205, 226, 190) if park and not street else colour)
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
