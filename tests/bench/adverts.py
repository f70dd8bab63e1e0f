"""Adverts through the bridge's dictionary per second, next to what `bthome-ble` parses."""

import os
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bthome_ble import BTHomeBluetoothDeviceData
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from habluetooth import BluetoothServiceInfoBleak

from bridge.model import Device
from bridge.rules.expected_codes import ExpectedCodes, uuid_text
from wire.codes import ALARM, TEST, code
from wire.keys import Mac

_BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
_MAC = "A4:C1:38:56:53:84"
_K_CODE = bytes(range(32))
_BINDKEY = bytes(range(16))
_BATCH = 2000


def _device() -> Device:
    return Device("A" * 16, 0, _K_CODE, bytes(32), bytes(32), 900, 0, 0, "")


def _ours_presses() -> list[list[str]]:
    """Distinct consecutive presses, ALARM and TEST in turn, as bleak gives their service UUIDs."""
    mac = Mac(_K_CODE)
    return [[uuid_text(code(mac, TEST if n % 2 else ALARM, n))] for n in range(1, _BATCH + 1)]


def _info(service_data: dict[str, bytes], uuids: list[str]) -> BluetoothServiceInfoBleak:
    device = BLEDevice(_MAC, "", {})
    advert = AdvertisementData("", {}, service_data, uuids, None, -60, ())
    return BluetoothServiceInfoBleak(
        "", _MAC, -60, {}, service_data, uuids, "bench", device, advert, True, time.monotonic(), None
    )


def _bthome_presses() -> list[BluetoothServiceInfoBleak]:
    """Encrypted button presses (BTHome v2), each with the next counter."""
    address = bytes.fromhex(_MAC.replace(":", ""))
    infos = []
    for n in range(1, _BATCH + 1):
        counter = n.to_bytes(4, "little")
        nonce = address + b"\xd2\xfc" + b"\x41" + counter
        sealed = AESCCM(_BINDKEY, tag_length=4).encrypt(nonce, b"\x3a\x01", None)
        infos.append(_info({_BTHOME: b"\x41" + sealed[:-4] + counter + sealed[-4:]}, []))
    return infos


def _foreign() -> list[BluetoothServiceInfoBleak]:
    """What passes in a street: somebody else's random service UUIDs."""
    return [_info({}, [uuid_text(os.urandom(16))]) for _ in range(_BATCH)]


def _rate(work: Callable[[Any], object], items: Iterable[Any]) -> float:
    items = list(items)
    started = time.perf_counter()
    for item in items:
        work(item)
    return len(items) / (time.perf_counter() - started)


def _our_rate(adverts: list[list[str]], new: int) -> float:
    watch = ExpectedCodes()
    watch.add(_device(), 0)
    found = []

    def hear(uuids: list[str]) -> None:
        sighting = watch.hear(uuids, 0)
        if sighting and sighting.new:
            found.append(sighting)

    rate = _rate(hear, adverts)
    assert len(found) == new, "every press must be recognised, and nothing else"
    return rate


def _their_rate(infos: list[BluetoothServiceInfoBleak], presses: int) -> float:
    parser = BTHomeBluetoothDeviceData(bindkey=_BINDKEY)
    parsed = []

    def hear(info: BluetoothServiceInfoBleak) -> None:
        if parser.supported(info) and parser.update(info).events:
            parsed.append(info)

    rate = _rate(hear, infos)
    assert len(parsed) == presses, "the peer must do its whole work"
    return rate


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    presses, theirs, street = _ours_presses(), _bthome_presses(), _foreign()
    uuids = [info.service_uuids for info in street]
    measured = [
        (_our_rate(presses, _BATCH), _their_rate(theirs, _BATCH), _our_rate(uuids, 0), _their_rate(street, 0))
        for _ in range(runs)
    ]
    ours, peer, foreign, dismissed = (median(column) for column in zip(*measured, strict=True))
    return [
        (
            f"presses through the bridge's dictionary, {runs} runs",
            f"{ours / peer:.1f} x bthome-ble",
            ">= 5",
            f"{ours:,.0f}/s; bthome-ble, encrypted button presses: {peer:,.0f}/s",
        ),
        (
            f"foreign adverts, {runs} runs",
            f"{foreign / dismissed:.1f} x bthome-ble",
            ">= 1",
            f"{foreign:,.0f}/s; bthome-ble dismisses {dismissed:,.0f}/s",
        ),
    ]
