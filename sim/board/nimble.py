"""bluetooth.BLE as an ESP32 does it (extmod/modbluetooth.c over NimBLE), on a controller of the air.

One `Ble` is one radio between power-on and power-off. It speaks HCI through Bumble's Host and does ATT
itself (Core 6.0, Vol 3, Part F), because what a MicroPython program can observe is NimBLE's: the numbers
of the handles, the order of the events, values cut to their buffers, and what is refused.
Events go out through `emit(number, values)`: ints, bytes, or `Uuid`; `ask` emits one and waits for what the
program's handler answers, as NimBLE's task does for every event of a server's value, and for a secret.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bumble import hci
from bumble.host import Host

from sim.board import att, pairing
from sim.board.errnos import (
    EALREADY,
    EBUSY,
    EINVAL,
    EIO,
    ENODEV,
    ENOMEM,
    ENOTCONN,
    BadValue,
    CallError,
)
from sim.radio.air import Air, AirController

IRQ_CENTRAL_CONNECT = 1
IRQ_CENTRAL_DISCONNECT = 2
IRQ_GATTS_WRITE = 3
IRQ_GATTS_READ_REQUEST = 4
IRQ_SCAN_RESULT = 5
IRQ_SCAN_DONE = 6
IRQ_PERIPHERAL_CONNECT = 7
IRQ_PERIPHERAL_DISCONNECT = 8
IRQ_GATTC_SERVICE_RESULT = 9
IRQ_GATTC_SERVICE_DONE = 10
IRQ_GATTC_CHARACTERISTIC_RESULT = 11
IRQ_GATTC_CHARACTERISTIC_DONE = 12
IRQ_GATTC_DESCRIPTOR_RESULT = 13
IRQ_GATTC_DESCRIPTOR_DONE = 14
IRQ_GATTC_READ_RESULT = 15
IRQ_GATTC_READ_DONE = 16
IRQ_GATTC_WRITE_DONE = 17
IRQ_GATTC_NOTIFY = 18
IRQ_GATTC_INDICATE = 19
IRQ_GATTS_INDICATE_DONE = 20
IRQ_MTU_EXCHANGED = 21
IRQ_CONNECTION_UPDATE = 27
IRQ_ENCRYPTION_UPDATE = 28
IRQ_GET_SECRET = 29
IRQ_SET_SECRET = 30

SLOT_US = 625
INTERVAL_S_MAX = 0.05
CONNECT_MS = 2000  # MP_BLUETOOTH_CONNECT_DEFAULT_SCAN_DURATION_MS
STOP_S_MAX = 2.0  # how long NimBLE's stop waits for links that end
LINKS_MAX = 4  # CONFIG_BT_NIMBLE_MAX_CONNECTIONS in MicroPython's sdkconfig
ADVERT_BYTES_MAX = 31
DEFAULT_GAP_NAME = b"MPY ESP32"
GAP_NAME_BYTES_MAX = 31
INTERVAL_DEFAULT_SLOTS = 48  # NimBLE's BLE_GAP_ADV_FAST_INTERVAL1_MIN, 30 ms
INTERVAL_SLOTS = range(0x20, 0x4001)  # Vol 4, Part E, 7.8.5
NIMBLE_HCI_ERROR = 0x200  # NimBLE's numbers for what a controller or a peer's ATT refuses
NIMBLE_ATT_ERROR = 0x100
NIMBLE_ENOTCONN = 7
NIMBLE_ETIMEOUT = 13
INVALID_PARAMETERS = 0x12
CONN_HANDLE_NONE = 0xFFFF
ADDR_TYPE_NONE = 0xFF
ADDRESS_BYTES = 6
KEY_BYTES = 16
SECRET_OURS, SECRET_PEERS = 1, 2  # NimBLE's BLE_STORE_OBJ_TYPE_OUR_SEC and _PEER_SEC

# What the shim passes on as it is, by MicroPython's names and with its signatures.
BLE_CALLS = frozenset(
    {
        "active",
        "config",
        "gap_advertise",
        "gap_scan",
        "gap_connect",
        "gap_disconnect",
        "gap_pair",
        "gap_passkey",
        "gatts_register_services",
        "gatts_read",
        "gatts_write",
        "gatts_notify",
        "gatts_indicate",
        "gatts_set_buffer",
        "gattc_discover_services",
        "gattc_discover_characteristics",
        "gattc_discover_descriptors",
        "gattc_read",
        "gattc_write",
        "gattc_exchange_mtu",
    }
)

Buffer = bytes | str
Emit = Callable[[int, list[Any]], None]
Ask = Callable[[int, list[Any]], Awaitable[Any]]


def _buffer(value: Buffer | None) -> bytes:
    """What a program may hand over as bytes: a str, too."""
    return value.encode() if isinstance(value, str) else value or b""


def _uuid(value: Any, what: str) -> bytes:
    if not isinstance(value, att.Uuid):
        raise BadValue(f"invalid {what} UUID")
    return value


def _characteristics(entries: list[Any], what: str) -> list[att.CharacteristicSpec]:
    """A characteristic is (uuid, flags[, descriptors]), a descriptor (uuid, flags)."""
    specs: list[att.CharacteristicSpec] = []
    for entry in entries:
        if not 2 <= len(entry) <= 3:
            raise BadValue("invalid characteristic tuple")
        inner = _characteristics(entry[2], "descriptor") if len(entry) == 3 else []
        specs.append((_uuid(entry[0], what), entry[1], inner))
    return specs


def _address(raw_be: bytes, kind: int) -> hci.Address:
    return hci.Address(bytes(reversed(raw_be)), hci.AddressType(kind))


def _raw_be(address: hci.Address) -> bytes:
    return bytes(reversed(bytes(address)))


def _disconnect(handle: int) -> hci.HCI_Disconnect_Command:
    reason = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
    return hci.HCI_Disconnect_Command(connection_handle=handle, reason=reason)


class Link:
    """A connection: its peer, its ATT bearer, and what is under way on it."""

    def __init__(self, ble: "Ble", handle: int, role: hci.Role, peer: hci.Address, interval_s: float) -> None:
        self.handle = handle
        self.central = role == hci.Role.CENTRAL
        self.kind = int(peer.address_type) & 1
        self.peer_be = _raw_be(peer)
        self.bearer = att.Bearer(
            lambda pdu: ble.send(handle, att.CID, pdu), lambda pdu: ble.on_value(self, pdu), interval_s
        )
        self.pairing: pairing.Pairing | None = None
        self.peer: pairing.Address = (self.kind, bytes(reversed(self.peer_be)))
        self.encrypted = self.bonded = False
        self.mtu_sent = False
        self.ending = False
        self.interval_s = interval_s


class Ble:
    def __init__(self, air: Air, name: str, mac: bytes, emit: Emit, ask: Ask) -> None:
        self._air = air
        self._name = name
        self._mac = mac
        self._emit_raw = emit
        self._ask = ask
        self.turn = asyncio.Lock()
        self.on_advert: Callable[[dict[str, Any]], None] = lambda _parameters: None
        self.handled = False  # whether the program has an IRQ handler
        self._controller: AirController | None = None
        self._host: Host | None = None
        self._gap_name = DEFAULT_GAP_NAME
        self._mtu = 256
        self._rxbuf = 256  # kept for who asks; our queue is the socket's
        self._bonds = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._forget()

    def _forget(self) -> None:
        """What does not outlive active(False)."""
        self._own = hci.OwnAddressType.PUBLIC
        self._address_be: bytes | None = self._mac  # None: the controller's affair, as for an RPA
        self._advertising = False
        self._scanning = False
        self._scan_end: asyncio.TimerHandle | None = None
        self._connecting = False
        self._connect_end: asyncio.TimerHandle | None = None
        self._discovering_characteristics = False
        self._links: dict[int, Link] = {}
        self._table = att.Table(self._gap_name)

    # ---- power

    @property
    def is_active(self) -> bool:
        return self._host is not None

    async def active(self, *on: Any) -> bool:
        """As a call without argument, or with one: switch."""
        if not on:
            return self.is_active
        if self.is_active:
            await self._down()
        if on[0]:
            self._controller = self._air.controller(self._name)
            self._controller.public_address = _address(self._mac, 0)
            host = Host()
            host.controller = self._controller
            await host.reset(driver_factory=None)
            host.on("le_connection", self._on_connection)
            host.on("connection_failure", self._on_connection_failure)
            host.on("disconnection", self._on_disconnection)
            host.on("advertising_report", self._on_report)
            host.on("l2cap_pdu", self._on_pdu)
            host.on("connection_parameters_update", self._on_update)
            host.on("connection_encryption_change", self._on_encryption)
            host.long_term_key_provider = self._key
            self._host = host
            self._forget()
        return self.is_active

    async def _down(self) -> None:
        """Stop as NimBLE does (ble_hs_stop.c): links are ended one by one, and each is waited for.

        A link that the program has let go of before ends the stop at once: it cannot be ended twice.
        """
        host = self._host
        assert host is not None
        host.remove_all_listeners()
        gone = asyncio.Event()
        host.on("disconnection", lambda *_: gone.set())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S_MAX):
                for handle, link in list(self._links.items()):
                    if link.ending:
                        break
                    gone.clear()
                    await host.send_command(_disconnect(handle))
                    await gone.wait()
        if self._links:
            await asyncio.sleep(0.002)  # until the farewell has left
        self.power_off()

    def power_off(self) -> None:
        """The radio falls silent in the middle of whatever it did."""
        for task in list(self._tasks):
            task.cancel()
        for timer in (self._scan_end, self._connect_end):
            if timer:
                timer.cancel()
        for link in self._links.values():
            link.bearer.close()
        if self._host is not None:
            self._host.remove_all_listeners()
        if self._controller is not None:
            self._air.remove(self._controller)
        self._host = self._controller = None
        self._forget()

    def _need(self) -> Host:
        if self._host is None:
            raise CallError(ENODEV)
        return self._host

    async def _hci(self, command: Any) -> None:
        """One command; a refusal becomes NimBLE's number for it, negative as MicroPython passes it on."""
        response = await self._need().send_command(command)
        if isinstance(response, hci.HCI_Command_Status_Event):
            status = int(response.status)
        else:
            status = int(getattr(response.return_parameters, "status", 0))
        if status:
            raise CallError(-(NIMBLE_HCI_ERROR + status))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _emit(self, number: int, *values: Any) -> None:
        if self.handled:
            self._emit_raw(number, list(values))

    # ---- configuration

    async def config(self, *name: str, **values: Any) -> Any:
        if values:
            if name:
                raise TypeError("can't specify pos and kw args")
            for key, value in values.items():
                await self._configure(key, value)
            return None
        if len(name) != 1:
            raise TypeError("must query one param")
        return self._configuration(name[0])

    def _configuration(self, key: str) -> Any:
        if key == "gap_name":
            return self._gap_name
        if key == "rxbuf":
            return self._rxbuf
        if key == "mac":
            self._need()
            if self._address_be is None:
                raise CallError(EINVAL)
            return [0 if self._own == hci.OwnAddressType.PUBLIC else 1, self._address_be]
        if key == "mtu":
            self._need()
            return self._mtu
        raise BadValue("unknown config param")

    async def _configure(self, key: str, value: Any) -> None:
        if key == "gap_name":
            name = _buffer(value)
            if len(name) > GAP_NAME_BYTES_MAX:
                raise CallError(EINVAL)
            self._gap_name = name
            self._table.set_name(name)
        elif key == "rxbuf":
            self._rxbuf = int(value)
        elif key == "mtu":
            self._need()
            if not att.MTU_DEFAULT <= value <= att.MTU_MAX:
                raise CallError(EINVAL)
            self._mtu = value
        elif key == "addr_mode":
            self._need()
            await self._set_address_mode(value)
        elif key == "bond":
            self._bonds = bool(value)
        elif key not in ("mitm", "io", "le_secure"):
            raise BadValue("unknown config param")

    async def _set_address_mode(self, mode: int) -> None:
        if mode == 0:
            self._own, self._address_be = hci.OwnAddressType.PUBLIC, self._mac
            return
        if mode not in (1, 2, 3):
            return  # as NimBLE: no word about it
        top = {1: 0xC0, 2: 0x40, 3: 0x00}[mode]  # static, resolvable, non-resolvable (Vol 6, Part B, 1.3.2)
        raw = secrets.token_bytes(6)
        raw = bytes([raw[0] & 0x3F | top]) + raw[1:]
        self._own = hci.OwnAddressType.RANDOM
        self._address_be = None if mode == 2 else raw
        if not self._advertising and not self._scanning:
            # Else the controller refuses (Vol 4, Part E, 7.8.4); NimBLE asserts only in debug builds,
            # so that host and air disagree from here on.
            await self._hci(hci.HCI_LE_Set_Random_Address_Command(random_address=_address(raw, 1)))

    # ---- advertising

    async def gap_advertise(
        self,
        interval_us: int | None = 500_000,
        adv_data: Buffer | None = None,
        *,
        resp_data: Buffer | None = None,
        connectable: Any = True,
    ) -> None:
        if interval_us is None:
            if self._host:
                await self._stop_advertising()
            return
        self._need()
        await self._stop_advertising()
        data, response = _buffer(adv_data), _buffer(resp_data)
        if max(len(data), len(response)) > ADVERT_BYTES_MAX:
            raise CallError(-INVALID_PARAMETERS)
        if data:  # else as before: MicroPython cannot tell empty from none
            await self._hci(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=data))
        if response:
            await self._hci(hci.HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=response))
        slots = interval_us // SLOT_US or INTERVAL_DEFAULT_SLOTS
        if slots not in INTERVAL_SLOTS:
            raise CallError(-(NIMBLE_HCI_ERROR + INVALID_PARAMETERS))
        if connectable and len(self._links) >= LINKS_MAX:
            raise CallError(ENOMEM)
        kinds = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
        await self._hci(
            hci.HCI_LE_Set_Advertising_Parameters_Command(
                advertising_interval_min=slots,
                advertising_interval_max=slots,
                # NimBLE's general discoverable mode is never ADV_NONCONN_IND.
                advertising_type=kinds.ADV_IND if connectable else kinds.ADV_SCAN_IND,
                own_address_type=self._own,
                peer_address_type=hci.Address.PUBLIC_DEVICE_ADDRESS,
                peer_address=hci.Address.ANY,
                advertising_channel_map=7,
                advertising_filter_policy=0,
            )
        )
        await self._hci(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
        self._advertising = True
        assert self._controller is not None
        advertiser = self._controller.le_legacy_advertiser
        self.on_advert(
            {
                "interval_us": slots * SLOT_US,
                "connectable": bool(connectable),
                "address": _raw_be(advertiser.address).hex(":"),
                "data": bytes(advertiser.advertising_data),
            }
        )

    async def _stop_advertising(self) -> None:
        if self._advertising:
            self._advertising = False
            await self._hci(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=0))
            self.on_advert({"interval_us": None})

    # ---- scanning

    async def gap_scan(
        self,
        duration_ms: int | None = 0,
        interval_us: int = 1_280_000,
        window_us: int = 11_250,
        active: Any = False,
    ) -> None:
        self._need()
        if duration_ms is None:
            await self._stop_scanning()
            return
        if self._scanning:
            raise CallError(EALREADY)
        if self._connecting:
            raise CallError(EBUSY)
        await self._hci(
            hci.HCI_LE_Set_Scan_Parameters_Command(
                le_scan_type=int(bool(active)),
                le_scan_interval=max(4, min(0x4000, interval_us // SLOT_US)),
                le_scan_window=max(4, min(0x4000, window_us // SLOT_US)),
                own_address_type=self._own,
                scanning_filter_policy=0,
            )
        )
        await self._hci(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=1, filter_duplicates=0))
        self._scanning = True
        if duration_ms:
            loop = asyncio.get_running_loop()
            self._scan_end = loop.call_later(duration_ms / 1000, lambda: self._spawn(self._stop_scanning()))

    async def _stop_scanning(self) -> None:
        if self._scanning:
            self._scanning = False
            if self._scan_end:
                self._scan_end.cancel()
                self._scan_end = None
            await self._hci(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=0, filter_duplicates=0))
            self._emit(IRQ_SCAN_DONE)

    def _on_report(self, report: Any) -> None:
        if self._scanning:
            kind = int(report.address.address_type) & 1
            self._emit(
                IRQ_SCAN_RESULT,
                kind,
                _raw_be(report.address),
                int(report.event_type),
                report.rssi,
                report.data,
            )

    # ---- connections

    async def gap_connect(
        self,
        kind: int | None,
        addr: bytes = b"",
        duration_ms: int | None = None,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> None:
        """Connect, or cancel where `kind` is None. What is None is MicroPython's default."""
        self._need()
        if kind is None:
            if not self._connecting:
                raise CallError(EALREADY)
            await self._cancel_connect()
            return
        if len(addr) != ADDRESS_BYTES:
            raise BadValue("invalid addr")
        await self._stop_scanning()
        if self._connecting:
            raise CallError(EALREADY)
        if any(link.peer_be == addr and link.kind == kind for link in self._links.values()):
            raise CallError(EIO)
        if len(self._links) >= LINKS_MAX:
            raise CallError(ENOMEM)
        await self._hci(
            hci.HCI_LE_Create_Connection_Command(
                le_scan_interval=0x10,
                le_scan_window=0x10,
                initiator_filter_policy=0,
                peer_address_type=kind,
                peer_address=_address(addr, kind),
                own_address_type=self._own,
                connection_interval_min=(min_us or 0) // 1250 or 24,
                connection_interval_max=(max_us or 0) // 1250 or 40,
                max_latency=0,
                supervision_timeout=0x100,
                min_ce_length=0x10,
                max_ce_length=0x300,
            )
        )
        self._connecting = True
        loop = asyncio.get_running_loop()
        wait_s = (CONNECT_MS if duration_ms is None else duration_ms) / 1000
        self._connect_end = loop.call_later(wait_s, lambda: self._spawn(self._cancel_connect()))

    async def _cancel_connect(self) -> None:
        if self._connecting:
            await self._hci(hci.HCI_LE_Create_Connection_Cancel_Command())

    def _connect_over(self) -> None:
        self._connecting = False
        if self._connect_end:
            self._connect_end.cancel()
            self._connect_end = None

    def _on_connection(self, handle: int, peer: hci.Address, *rest: Any) -> None:
        link = Link(self, handle, rest[2], peer, min(rest[3] * 0.00125, INTERVAL_S_MAX))
        self._links[handle] = link
        if link.central:
            self._connect_over()
        else:
            self._advertising = False  # NimBLE's slave state is reset, whatever the program thinks
        self._emit(
            IRQ_PERIPHERAL_CONNECT if link.central else IRQ_CENTRAL_CONNECT, handle, link.kind, link.peer_be
        )
        self._spawn(self._serve(link))

    def _on_connection_failure(self, *_: Any) -> None:
        self._connect_over()
        self._emit(IRQ_PERIPHERAL_DISCONNECT, CONN_HANDLE_NONE, ADDR_TYPE_NONE, bytes(6))

    def _on_disconnection(self, handle: int, _reason: int) -> None:
        link = self._links.pop(handle, None)
        if link is None:
            return
        link.bearer.close()
        self._table.unsubscribe(handle)
        self._emit(
            IRQ_PERIPHERAL_DISCONNECT if link.central else IRQ_CENTRAL_DISCONNECT,
            handle,
            link.kind,
            link.peer_be,
        )

    def _on_update(self, handle: int, interval: int, latency: int, timeout: int) -> None:
        self._emit(IRQ_CONNECTION_UPDATE, handle, interval, latency, timeout, 0)

    def gap_disconnect(self, handle: int) -> bool:
        self._need()
        link = self._links.get(handle)
        if link is None:
            return False
        if link.ending:
            raise CallError(EALREADY)
        link.ending = True
        self._spawn(self._terminate(link))
        return True

    async def _terminate(self, link: Link) -> None:
        """At the next connection event: programs count on the call's return before its IRQ."""
        await asyncio.sleep(link.interval_s)
        if link.handle in self._links:
            await self._need().send_command(_disconnect(link.handle))

    def gap_passkey(self, handle: int, _action: int, _passkey: int) -> None:
        self._link(handle)
        raise CallError(EINVAL)  # Just Works asks for none

    def gap_pair(self, handle: int) -> None:
        """Begin to pair, or to encrypt where the program has kept a secret; a peripheral asks its peer to."""
        link = self._link(handle)
        if link.pairing is not None:
            raise CallError(ENOMEM)  # what NimBLE's error for it becomes
        if link.central:
            self._spawn(self._secure(link))
        else:
            self.send(handle, pairing.CID, bytes([pairing.SECURITY_REQUEST, self._bonds]))

    def send(self, handle: int, cid: int, pdu: bytes) -> None:
        if self._host is not None and handle in self._links:
            self._host.send_l2cap_pdu(handle, cid, pdu)

    def _link(self, handle: int) -> Link:
        self._need()
        link = self._links.get(handle)
        if link is None:
            raise CallError(ENOTCONN)
        return link

    def _on_pdu(self, handle: int, cid: int, pdu: bytes) -> None:
        link = self._links.get(handle)
        if link is None or not pdu:
            return
        if cid == pairing.CID:
            self._on_security(link, pdu)
        elif cid == att.CID:
            link.bearer.receive(pdu)

    def _on_security(self, link: Link, pdu: bytes) -> None:
        if pdu[0] == pairing.SECURITY_REQUEST:
            if link.central and link.pairing is None:
                self._spawn(self._secure(link))
        elif link.pairing is not None:
            link.pairing.receive(pdu)
        elif pdu[0] == pairing.REQUEST:
            self._spawn(self._paired(link, pdu))

    async def _secure(self, link: Link) -> None:
        """Encrypt with what the program has kept, else pair."""
        self._pairing(link)
        secret = await self._secret(link, SECRET_PEERS)
        if secret is None and link.pairing is not None:
            link.pairing.start()
        elif secret is not None:
            link.bonded = True
            await self._encrypt(link, secret)

    async def _paired(self, link: Link, request: bytes) -> None:
        answering = self._pairing(link)
        await self._secret(link, SECRET_PEERS)  # a peer that pairs anew has lost what it had
        answering.receive(request)

    def _pairing(self, link: Link) -> pairing.Pairing:
        own = (int(self._own), bytes(reversed(self._address_be or bytes(6))))
        central, peripheral = (own, link.peer) if link.central else (link.peer, own)
        link.pairing = pairing.Pairing(
            lambda pdu: self.send(link.handle, pairing.CID, pdu),
            central,
            peripheral,
            wants_bond=self._bonds,
            encrypt=lambda key: self._spawn(self._encrypt(link, pairing.Secret(key))),
            bonded=lambda secret: self._spawn(self._keep(link, secret)),
            failed=lambda: self._not_paired(link),
        )
        return link.pairing

    async def _secret(self, link: Link, kind: int) -> pairing.Secret | None:
        """Ask the program for what it has kept of this peer."""
        if not self.handled:
            return None
        return pairing.unpacked(await self._ask(IRQ_GET_SECRET, [kind, 0, pairing.named(link.peer)]))

    async def _keep(self, link: Link, secret: pairing.Secret) -> None:
        link.pairing = None
        for kind in (SECRET_OURS, SECRET_PEERS) if self.handled else ():
            await self._ask(IRQ_SET_SECRET, [kind, pairing.named(link.peer), secret.packed(link.peer)])

    async def _encrypt(self, link: Link, secret: pairing.Secret) -> None:
        await self._need().send_command(
            hci.HCI_LE_Enable_Encryption_Command(
                connection_handle=link.handle,
                random_number=secret.random.to_bytes(8, "little"),
                encrypted_diversifier=secret.diversifier,
                long_term_key=secret.key,
            )
        )

    async def _key(self, handle: int, _random: bytes, diversifier: int) -> bytes | None:
        """Return the key that a peer wants to encrypt with: of this link's pairing, or one that was kept."""
        link = self._links.get(handle)
        if link is None:
            return None
        if diversifier == 0 and link.pairing is not None:
            return link.pairing.key
        secret = await self._secret(link, SECRET_OURS)
        link.bonded = secret is not None
        return secret.key if secret else None

    def _not_paired(self, link: Link) -> None:
        link.pairing = None
        self._emit(IRQ_ENCRYPTION_UPDATE, link.handle, 0, 0, 0, 0)

    def _on_encryption(self, handle: int, encrypted: int, *_key_bytes: int) -> None:
        link = self._links.get(handle)
        if link is None:
            return
        attempt, link.pairing = link.pairing, None
        link.encrypted = bool(encrypted)
        if attempt is not None and attempt.key:
            link.bonded = attempt.bonds
        self._emit(IRQ_ENCRYPTION_UPDATE, handle, int(link.encrypted), 0, int(link.bonded), KEY_BYTES)
        if attempt is not None and link.encrypted and attempt.bonds:
            link.pairing = attempt  # until the keys for later links are exchanged
            attempt.encrypted()

    async def refusal(self, conn_handle: int, *, authenticated: bool) -> int:
        """Return 0 where a link may have a protected value, else the ATT error for its peer.

        The program is asked for the peer's secret: a peer that has one need only encrypt (ble_att_svr.c).
        """
        link = self._links.get(conn_handle)
        if link is not None and link.encrypted:
            return att.INSUFFICIENT_AUTHENTICATION if authenticated else 0
        if link is not None and await self._secret(link, SECRET_PEERS):
            return att.INSUFFICIENT_ENCRYPTION
        return att.INSUFFICIENT_AUTHENTICATION

    def on_value(self, link: Link, pdu: bytes) -> None:
        """Tell the program of a notification or an indication."""
        indicates = pdu[0] == att.INDICATION
        number = IRQ_GATTC_INDICATE if indicates else IRQ_GATTC_NOTIFY
        self._emit(number, link.handle, int.from_bytes(pdu[1:3], "little"), pdu[3:])
        if indicates:
            self.send(link.handle, att.CID, bytes([att.CONFIRMATION]))

    # ---- GATT server

    async def _serve(self, link: Link) -> None:
        """Answer the peer's requests one after the other."""
        server = att.Server(self._table, link.bearer, link.handle, self._mtu_preferred, self)
        await server.run()

    def _mtu_preferred(self) -> int:
        return self._mtu

    async def may_read(self, conn_handle: int, handle: int) -> int:
        """0, or the ATT error that the program wants its peer to see."""
        return int(await self._ask(IRQ_GATTS_READ_REQUEST, [conn_handle, handle]) or 0) if self.handled else 0

    async def written(self, conn_handle: int, handle: int) -> None:
        if self.handled:
            await self._ask(IRQ_GATTS_WRITE, [conn_handle, handle])

    def mtu_exchanged(self, conn_handle: int, mtu: int) -> None:
        self._emit(IRQ_MTU_EXCHANGED, conn_handle, mtu)

    def indicate_done(self, conn_handle: int, handle: int, status: int) -> None:
        self._emit(IRQ_GATTS_INDICATE_DONE, conn_handle, handle, status)

    def gatts_register_services(self, services: list[Any]) -> list[list[int]]:
        self._need()
        if self._advertising or self._scanning or self._connecting or self._links:
            raise CallError(EBUSY)  # ble_gatts_mutable()
        specs = [
            (_uuid(uuid, "service"), _characteristics(entries, "characteristic"))
            for uuid, entries in services
        ]
        self._table = att.Table(self._gap_name)
        return [self._table.add_service(*spec) for spec in specs]

    def _value(self, handle: int) -> att.Attribute:
        self._need()
        attribute = self._table.values.get(handle)
        if attribute is None:
            raise CallError(EINVAL)
        return attribute

    def gatts_read(self, handle: int) -> bytes:
        return self._value(handle).take()

    def gatts_write(self, handle: int, data: Buffer, send_update: Any = False) -> int:
        attribute = self._value(handle)
        value = _buffer(data)
        attribute.put(value)
        if send_update:
            for link in self._links.values():
                how = attribute.subscribed.get(link.handle, 0)
                if how & att.SUBSCRIBE_INDICATE:
                    self.gatts_indicate(link.handle, handle, None)
                elif how & att.SUBSCRIBE_NOTIFY:
                    self.gatts_notify(link.handle, handle, None)
        return len(value)

    def _outgoing(self, link: Link, opcode: int, handle: int, data: Buffer | None) -> bytes:
        if data is None:
            attribute = self._table.values.get(handle)
            if attribute is None:
                raise CallError(EINVAL)
            data = bytes(attribute.value)
        return bytes([opcode]) + handle.to_bytes(2, "little") + _buffer(data)[: link.bearer.mtu - 3]

    def gatts_notify(self, conn_handle: int, handle: int, data: Buffer | None = None) -> None:
        link = self._link(conn_handle)
        link.bearer.send(self._outgoing(link, att.NOTIFICATION, handle, data))

    def gatts_indicate(self, conn_handle: int, handle: int, data: Buffer | None = None) -> None:
        link = self._link(conn_handle)
        pdu = self._outgoing(link, att.INDICATION, handle, data)
        self._spawn(self._indicate(link, handle, pdu))

    async def _indicate(self, link: Link, handle: int, pdu: bytes) -> None:
        status = 0
        try:
            await link.bearer.indicate(pdu)
        except att.Gone:
            status = NIMBLE_ENOTCONN
        except TimeoutError:
            status = NIMBLE_ETIMEOUT
        self.indicate_done(link.handle, handle, status)

    def gatts_set_buffer(self, handle: int, length: int, append: Any = False) -> None:
        self._value(handle).resize(length, append)

    # ---- GATT client: each procedure runs by itself, one request at a time per link

    def gattc_discover_services(self, conn_handle: int, uuid: bytes | None = None) -> None:
        link = self._link(conn_handle)

        async def work() -> None:
            async for start, end, found in att.discover_services(link.bearer, uuid):
                self._emit(IRQ_GATTC_SERVICE_RESULT, conn_handle, start, end, att.Uuid(found))

        self._procedure(work(), IRQ_GATTC_SERVICE_DONE, conn_handle)

    def gattc_discover_characteristics(
        self, conn_handle: int, start: int, end: int, uuid: bytes | None = None
    ) -> None:
        link = self._link(conn_handle)
        if self._discovering_characteristics:
            raise CallError(EBUSY)
        self._discovering_characteristics = True

        async def work() -> None:
            try:
                async for last, value, properties, found in att.discover_characteristics(
                    link.bearer, start, end
                ):
                    if uuid is None or uuid == found:
                        self._emit(
                            IRQ_GATTC_CHARACTERISTIC_RESULT,
                            conn_handle,
                            last,
                            value,
                            properties,
                            att.Uuid(found),
                        )
            finally:
                self._discovering_characteristics = False

        self._procedure(work(), IRQ_GATTC_CHARACTERISTIC_DONE, conn_handle)

    def gattc_discover_descriptors(self, conn_handle: int, start: int, end: int) -> None:
        link = self._link(conn_handle)

        async def work() -> None:
            # NimBLE starts behind the handle it is given: it takes it for a characteristic's value.
            async for handle, found in att.discover_descriptors(link.bearer, start + 1, end):
                self._emit(IRQ_GATTC_DESCRIPTOR_RESULT, conn_handle, handle, att.Uuid(found))

        self._procedure(work(), IRQ_GATTC_DESCRIPTOR_DONE, conn_handle)

    def gattc_read(self, conn_handle: int, handle: int) -> None:
        link = self._link(conn_handle)

        async def work() -> None:
            pdu = await link.bearer.request(att.read_request(handle))
            self._emit(IRQ_GATTC_READ_RESULT, conn_handle, handle, pdu[1:])

        self._procedure(work(), IRQ_GATTC_READ_DONE, conn_handle, handle)

    def gattc_write(self, conn_handle: int, handle: int, data: Buffer, mode: int = 0) -> None:
        link = self._link(conn_handle)
        if mode not in (0, 1):
            raise CallError(EINVAL)
        body = handle.to_bytes(2, "little") + _buffer(data)[: link.bearer.mtu - 3]
        if mode == 0:
            link.bearer.send(bytes([att.WRITE_COMMAND]) + body)
            return

        async def work() -> None:
            await link.bearer.request(bytes([att.WRITE_REQUEST]) + body)

        self._procedure(work(), IRQ_GATTC_WRITE_DONE, conn_handle, handle)

    def gattc_exchange_mtu(self, conn_handle: int) -> None:
        link = self._link(conn_handle)
        if link.mtu_sent:
            raise CallError(EALREADY)
        link.mtu_sent = True
        mtu = self._mtu

        async def work() -> None:
            try:
                pdu = await link.bearer.request(bytes([att.MTU_REQUEST]) + mtu.to_bytes(2, "little"))
            except (att.AttError, att.Gone, TimeoutError):
                return
            link.bearer.mtu = max(att.MTU_DEFAULT, min(mtu, int.from_bytes(pdu[1:3], "little")))
            self.mtu_exchanged(conn_handle, link.bearer.mtu)
            link.bearer.settled()

        self._spawn(work())

    def _procedure(self, work: Coroutine[Any, Any, None], done: int, *where: int) -> None:
        link = self._links[where[0]]

        async def run() -> None:
            status = 0
            try:
                await work
            except att.AttError as error:
                status = NIMBLE_ATT_ERROR + error.code
            except att.Gone:
                status = NIMBLE_ENOTCONN
            except TimeoutError:
                status = NIMBLE_ETIMEOUT
            self._emit(done, *where, status)
            link.bearer.settled()

        self._spawn(run())
