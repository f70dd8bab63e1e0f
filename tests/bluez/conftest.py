"""The virtual machine, one for all tests; each has an air, a centre and an adapter of its own."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sim.bluez.image import Image, NoImage, make
from sim.bluez.vm import Machine
from sim.bluez.vm_world import LinuxWorld


@pytest.fixture(scope="session")
def image() -> Image:
    """Skips where there can be none, but not where AMR_REQUIRE_BLUEZ says that there must be one."""
    try:
        return make()
    except NoImage as why:
        if os.environ.get("AMR_REQUIRE_BLUEZ"):
            pytest.fail(f"required by AMR_REQUIRE_BLUEZ: {why}", pytrace=False)
        pytest.skip(str(why))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def machine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    async with Machine(image, tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest_asyncio.fixture(loop_scope="session")
async def world(machine: Machine, tmp_path: Path) -> AsyncIterator[LinuxWorld]:
    """Nobody but a centre yet; a kernel that complained fails the test."""
    world = LinuxWorld(tmp_path, machine)
    async with world:
        await world.add_centre()
        async with machine.plugged(world.air) as world.radio:
            yield world
            for program in world.programs.values():  # while they have an adapter to let go of
                await program.stop()
    assert not machine.broken(), machine.story()
