"""The map out of a file of our own: tiles, the end of the map, files that cannot be shown."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pmtiles.tile import Compression, TileType

from centre.commands import main
from centre.platform.home import CannotServe
from centre.settings import Settings
from tests.integration.tiles import archive
from tests.unit.centre.parts import Hand, Lines, centre

HAND = Hand()


async def test_tiles_come_from_the_file_to_operators_alone(tmp_path: Path) -> None:
    """As they are in it; where it has none, nothing, and no refusal is logged; what is no tile is refused."""
    path = archive(
        tmp_path / "town.pmtiles", {(1, 0, 0): b"a picture", (1, 1, 1): b"another", (9, 3, 4): b"a third"}
    )
    lines = Lines()
    async with centre(tmp_path, HAND, tiles=str(path), log=lines) as (serving, phone):
        assert (await phone.ask("GET", "/console/tiles/1/0/0"))[0] == 401
        await phone.ask("GET", serving.console_url.removeprefix(serving.url))
        assert await phone.ask("GET", "/console/tiles/1/0/0") == (200, "a picture")
        assert await phone.ask("GET", "/console/tiles/1/1/1") == (200, "another")
        assert await phone.ask("GET", "/console/tiles/9/3/4") == (200, "a third")
        assert (await phone.ask("GET", "/console/tiles/1/1/0"))[0] == 204
        assert len(lines.of("refused")) == 1
        for wrong in ("1/2/0", "1/0/2", "31/0/0", "99999999/0/0", "-1/0/0", "a/0/0", "1/0/0.png"):
            assert (await phone.ask("GET", f"/console/tiles/{wrong}"))[1]["reason"] == "out_of_range"
        many = (phone.ask("GET", "/console/tiles/9/3/4") for _ in range(64))
        assert set(await asyncio.gather(*many)) == {(200, "a third")}
        page = await phone.ask("GET", "/console")
        assert 'data-tiles="/console/tiles/{z}/{x}/{y}" data-tiles-zoom="9"' in page[1]


async def test_thousands_of_tiles_are_found(tmp_path: Path) -> None:
    """Beyond one directory: those of a whole zoom, each its own."""
    size = 1 << 7
    tiles = {(7, x, y): b"%d %d" % (x, y) for x in range(size) for y in range(size)}
    path = archive(tmp_path / "many.pmtiles", tiles)
    async with centre(tmp_path, HAND, tiles=str(path)) as (serving, phone):
        await phone.ask("GET", serving.console_url.removeprefix(serving.url))
        for x, y in ((0, 0), (127, 127), (64, 3), (5, 99)):
            assert await phone.ask("GET", f"/console/tiles/7/{x}/{y}") == (200, f"{x} {y}")


async def test_a_file_that_is_cut_off_meanwhile_costs_the_map_alone(tmp_path: Path) -> None:
    """A tile is not there; the log says so; the page goes on."""
    path = archive(tmp_path / "town.pmtiles", {(1, 0, 0): b"a picture"})
    lines = Lines()
    async with centre(tmp_path, HAND, tiles=str(path), log=lines) as (serving, phone):
        await phone.ask("GET", serving.console_url.removeprefix(serving.url))
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 4)
        assert (await phone.ask("GET", "/console/tiles/1/0/0"))[0] == 204
        assert (await phone.ask("GET", "/console"))[0] == 200
    (told,) = lines.of("trouble")
    assert told["reason"] == "tiles"


async def test_without_a_file_there_are_no_tiles(tmp_path: Path) -> None:
    """Nor with a server of tiles: those do not come from us."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.ask("GET", serving.console_url.removeprefix(serving.url))
        assert (await phone.ask("GET", "/console/tiles/0/0/0"))[1]["reason"] == "unknown_path"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tile_type": TileType.MVT}, "MVT tiles: only pictures"),
        ({"tile_type": TileType.UNKNOWN}, "only pictures"),
        ({"tile_compression": Compression.GZIP}, "compressed once more"),
    ],
)
async def test_what_cannot_be_shown_is_a_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Before anything is served: a map of vectors, or pictures packed twice."""
    path = archive(tmp_path / "town.pmtiles", {(0, 0, 0): b"x"}, **changes)
    with pytest.raises(CannotServe, match=said):
        async with centre(tmp_path, HAND, tiles=str(path)):
            pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "is not a PMTiles file"),
        (b"\xff" * 200, "is not a PMTiles file"),
        (b"PMTiles\x02" + bytes(200), "version 3"),
        (b"PMTiles\x03" + bytes(20), "broken"),
    ],
)
async def test_what_is_no_archive_is_a_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Missing, empty, something else, an old one, the beginning of one."""
    path = tmp_path / "town.pmtiles"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CannotServe, match=said):
        async with centre(tmp_path, HAND, tiles=str(path)):
            pass


def test_an_address_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--tiles` is one of the two; anything else is wrong usage."""
    home = str(tmp_path / "home")
    assert main(["serve", "--home", home, "--tiles", str(tmp_path / "no.pmtiles")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--home", home, "--tiles", "town.mbtiles"])
    assert caught.value.code == 2
    assert Settings().tiles == ""  # and without it, a plain map
