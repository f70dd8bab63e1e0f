"""A button that reaches the centre without a phone: what `amr-button` puts on a simulated board's flash."""

import itertools
import json

import pytest

from firmware.flash.build import flash_image
from tests.integration.parts import Box
from wire.direct import network_id
from wire.keys import Mac, derive

DIRECT = ("--direct", "backup", "--address", "203.0.113.5:443")
SSID, PASSPHRASE = "Zuhause bei Müller", "correct horse battery"
OPERATIONS_MAX = 60


def sealed_name(box: Box, ssid: str) -> str:
    (line,) = box.registry()
    return network_id(Mac(derive(bytes.fromhex(line["root"]), "direct", 0)), ssid.encode()).hex()


@pytest.mark.slow
async def test_networks_are_added_listed_and_removed(box: Box, firmware: dict[str, bytes]) -> None:
    """Name and passphrase are typed: neither is in what is printed, on the board or in any other file."""
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", *DIRECT, board=board)
    added = await box.done("networks", "add", board=board, typed=f"{SSID}\n{PASSPHRASE}\n")
    assert "the button knows one network of at most 8" in added
    (network,) = json.loads(box.files(board)["networks.json"])
    assert network["id"] == sealed_name(box, SSID)
    again = await box.done("networks", "add", board=board, typed=f"{SSID}\n{'0' * 64}\n")
    assert "another key" in again
    assert json.loads(box.files(board)["networks.json"]) == [{"id": network["id"], "pmk": "0" * 64}]
    await box.done("networks", "add", board=board, typed=f"Work\n{PASSPHRASE}\n")
    listed = await box.done("networks", "list", board=board)
    shown = [line.split()[0] for line in listed.splitlines() if "a key, and a name" in line]
    assert shown == [network["id"][:4], sealed_name(box, "Work")[:4]]
    assert "does not know" in await box.refused("networks", "remove", board=board, typed="Elsewhere\n")
    removed = await box.done("networks", "remove", board=board, typed=f"{SSID}\n")
    assert "one network" in removed
    await box.done("networks", "remove", "--listed", sealed_name(box, "Work")[:4], board=board)
    assert "networks.json" not in box.files(board)

    told = added + again + listed + removed + "".join(box.lines[board.name])
    for secret in (SSID, PASSPHRASE):
        assert secret not in told
        holders = [
            path for path in box.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]
        assert not holders


async def test_a_wrong_network_is_refused(box: Box, firmware: dict[str, bytes]) -> None:
    """Nothing is written; a damaged file is not written over unseen."""
    board = await box.board(flash=flash_image(firmware))
    assert "no button yet" in await box.refused("networks", "list", board=board)
    await box.done("provision", *DIRECT, board=board)
    for typed, said in ((f"{SSID}\nshort\n", "8 to 63"), ("\n", "1 to 32 bytes"), ("", "nothing came")):
        assert said in await box.refused("networks", "add", board=board, typed=typed)
    assert "networks.json" not in box.files(board)
    many = [{"id": f"{number:016x}", "pmk": "ab" * 32} for number in range(8)]
    await board.power_off()
    box.put(board, "networks.json", json.dumps(many).encode())
    await board.power_on()
    assert "at most 8" in await box.refused("networks", "add", board=board, typed=f"{SSID}\n{PASSPHRASE}\n")
    assert json.loads(box.files(board)["networks.json"]) == many
    await board.power_off()
    box.put(board, "networks.json", json.dumps([{"id": "01" * 8, "pmk": "a" * 63}]).encode())
    await board.power_on()
    assert "damaged" in await box.refused("networks", "list", board=board)


@pytest.mark.slow
async def test_a_button_gets_the_direct_path_and_keeps_its_identity(
    box: Box, firmware: dict[str, bytes]
) -> None:
    """Set, set anew and taken away again; the SIM's PIN goes with it, the networks stay."""
    board = await box.board(flash=flash_image(firmware))
    address = ("--address", "203.0.113.5")
    assert "no button yet" in await box.refused("direct", "always", *address, board=board)
    await box.done("provision", board=board)
    kept = {name: box.files(board)[name] for name in ("identity.json", "config.json")}
    assert "from 1 to 65535" in await box.refused(
        "direct", "always", *address, "--https-port", "0", board=board
    )
    assert "direct.json" not in box.files(board)
    modem = ("--modem", "sim7080g", "--pin")
    said = await box.done("direct", "always", *address, *modem, board=board, typed="4711\n")
    assert "the direct path is always: datagrams to 203.0.113.5 port 443; modem sim7080g" in said
    assert "4711" not in said
    assert json.loads(box.files(board)["direct.json"])["pin"] == "4711"
    await box.done("networks", "add", board=board, typed=f"{SSID}\n{PASSPHRASE}\n")
    assert "needs a phone" in await box.done("direct", "off", board=board)
    files = box.files(board)
    assert "direct.json" not in files
    assert "networks.json" in files
    assert {name: files[name] for name in kept} == kept


@pytest.mark.slow
async def test_another_identity_has_no_networks(box: Box, firmware: dict[str, bytes]) -> None:
    """They are sealed under the old key, so nobody could ever tell them apart again."""
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", *DIRECT, board=board)
    await box.done("networks", "add", board=board, typed=f"{SSID}\n{PASSPHRASE}\n")
    await box.done("provision", "--again", board=board)
    assert not box.files(board).keys() & {"direct.json", "networks.json", "ca.der"}
    await box.done("provision", "--again", *DIRECT, board=board)
    assert "direct.json" in box.files(board)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_power_cut_at_every_flash_operation_of_a_change(box: Box, firmware: dict[str, bytes]) -> None:
    """The old files or the new ones, never a damaged one; a second run finishes."""
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", *DIRECT, board=board)
    old, new = json.loads(box.files(board)["direct.json"]), "198.51.100.7"
    for operation in itertools.count(1):
        await box.done("direct", "backup", "--address", "203.0.113.5:443", board=board)
        await board.cut_power_at_write(operation)
        ran = await box.button("direct", "backup", "--address", new, board=board)
        was_cut = board.flash_operations >= operation
        await board.power_off()
        found = json.loads(box.files(board)["direct.json"])
        assert found in (old, {**old, "addresses": [[new, 443]]})
        if ran.code:
            assert len(ran.err.splitlines()) == 1
        else:
            assert found != old
        await board.power_on()
        if not was_cut:
            break
        assert operation < OPERATIONS_MAX
    await box.done("direct", "backup", "--address", new, board=board)
