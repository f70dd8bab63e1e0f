"""The attribute protocol and GATT's procedures on it (Core 6.0, Vol 3, Parts F and G), as in NimBLE."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

CID = 4
MTU_DEFAULT = 23
MTU_MAX = 527  # NimBLE's BLE_ATT_MTU_MAX
TRANSACTION_S = 30  # Part F, 3.3.3
WAITING_MAX = 64  # PDUs of a peer that are not answered yet; more are dropped
PREPARED_BYTES_MAX = 512

ERROR = 0x01
MTU_REQUEST, MTU_RESPONSE = 0x02, 0x03
FIND_INFORMATION, FIND_BY_TYPE_VALUE = 0x04, 0x06
READ_BY_TYPE, READ, READ_BLOB, READ_MULTIPLE, READ_BY_GROUP = 0x08, 0x0A, 0x0C, 0x0E, 0x10
WRITE_REQUEST, PREPARE_WRITE, EXECUTE_WRITE, WRITE_COMMAND = 0x12, 0x16, 0x18, 0x52
NOTIFICATION, INDICATION, CONFIRMATION = 0x1B, 0x1D, 0x1E

INVALID_HANDLE = 0x01
READ_NOT_PERMITTED = 0x02
WRITE_NOT_PERMITTED = 0x03
INVALID_PDU = 0x04
REQUEST_NOT_SUPPORTED = 0x06
INVALID_OFFSET = 0x07
PREPARE_QUEUE_FULL = 0x09
ATTRIBUTE_NOT_FOUND = 0x0A
INSUFFICIENT_AUTHENTICATION = 0x05
INSUFFICIENT_ENCRYPTION = 0x0F
UNSUPPORTED_GROUP_TYPE = 0x10

PRIMARY = b"\x00\x28"
CHARACTERISTIC = b"\x03\x28"
CCCD = b"\x02\x29"

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020
FLAG_READ_ENCRYPTED, FLAG_WRITE_ENCRYPTED = 0x0200, 0x1000
FLAG_READ_AUTHENTICATED, FLAG_WRITE_AUTHENTICATED = 0x0400, 0x2000  # which Just Works never is
SUBSCRIBE_NOTIFY = 1
SUBSCRIBE_INDICATE = 2

VALUE_BYTES_DEFAULT = 20  # MP_BLUETOOTH_DEFAULT_ATTR_LEN

_BASE = bytes.fromhex("fb349b5f8000008000100000")  # the Bluetooth base UUID, little-endian

# uuid, flags, descriptors
CharacteristicSpec = tuple[bytes, int, list["CharacteristicSpec"]]
ServiceSpec = tuple[bytes, list[CharacteristicSpec]]


class Uuid(bytes):
    """A UUID on its way to a program: little-endian, 2, 4 or 16 bytes."""


class AttError(Exception):
    """The peer answered with an error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ATT error 0x{code:02x}")
        self.code = code


class Gone(Exception):
    """The link ended before the answer came."""


def on_air(uuid: bytes) -> bytes:
    """32-bit UUIDs travel as 128-bit ones (Part F, 3.2.1)."""
    return _BASE + uuid if len(uuid) == 4 else uuid


@dataclass
class Attribute:
    handle: int
    type: bytes
    value: bytearray
    flags: int
    size: int = VALUE_BYTES_DEFAULT
    append: bool = False
    subscribed: dict[int, int] = field(default_factory=dict)  # a value's: conn_handle -> CCCD bits
    cccd_of: "Attribute | None" = None

    def take(self) -> bytes:
        """gatts_read: an appending buffer is empty afterwards."""
        value = bytes(self.value)
        if self.append:
            self.value.clear()
        return value

    def put(self, data: bytes) -> None:
        """gatts_write: the program may enlarge its own buffer."""
        self.size = max(self.size, len(data))
        self.value[:] = data

    def resize(self, size: int, append: bool) -> None:
        self.size, self.append = size, append
        self.value.clear()

    def written(self, data: bytes) -> None:
        """A peer's write: what does not fit is cut without a word."""
        start = len(self.value) if self.append else 0
        self.value[start:] = data[: max(0, self.size - start)]


class Table:
    """The attributes, numbered as NimBLE numbers them: GAP and GATT first, a CCCD right behind its value."""

    def __init__(self, name: bytes) -> None:
        self.attributes: dict[int, Attribute] = {}
        self.values: dict[int, Attribute] = {}  # what a program may read and write, by handle
        self.ends: dict[int, int] = {}  # service's handle -> its last handle
        self._next = 1
        gap = self.add_service(b"\x00\x18", [(b"\x00\x2a", FLAG_READ, []), (b"\x01\x2a", FLAG_READ, [])])
        self.add_service(b"\x01\x18", [(b"\x05\x2a", FLAG_INDICATE, [])])
        self._name = self.values[gap[0]]
        self.values[gap[1]].put(bytes(2))  # appearance: unknown
        self.set_name(name)
        self.values = {}

    def set_name(self, name: bytes) -> None:
        self._name.put(name)

    def _add(self, kind: bytes, value: bytes, flags: int) -> Attribute:
        attribute = Attribute(self._next, on_air(kind), bytearray(value), flags)
        self.attributes[self._next] = attribute
        self._next += 1
        return attribute

    def add_service(self, uuid: bytes, characteristics: list[CharacteristicSpec]) -> list[int]:
        """The handles of values and descriptors in the order of the specification."""
        handles = []
        service = self._add(PRIMARY, on_air(uuid), FLAG_READ)
        for kind, flags, descriptors in characteristics:
            kind = on_air(kind)
            declaration = struct.pack("<BH", flags & 0xFF, self._next + 1) + kind
            self._add(CHARACTERISTIC, declaration, FLAG_READ)
            value = self._add(kind, b"", flags)
            self.values[value.handle] = value
            handles.append(value.handle)
            if flags & (FLAG_NOTIFY | FLAG_INDICATE):
                self._add(CCCD, bytes(2), FLAG_READ | FLAG_WRITE).cccd_of = value
            for d_kind, d_flags, _ in descriptors:
                descriptor = self._add(d_kind, b"", d_flags)
                self.values[descriptor.handle] = descriptor
                handles.append(descriptor.handle)
        self.ends[service.handle] = self._next - 1
        return handles

    def unsubscribe(self, conn_handle: int) -> None:
        for attribute in self.attributes.values():
            attribute.subscribed.pop(conn_handle, None)

    def between(self, start: int, end: int) -> list[Attribute]:
        return [attribute for handle, attribute in self.attributes.items() if start <= handle <= end]


class Bearer:
    """One link's ATT: sorts what comes in, and has one request and one indication under way at most.

    A request goes out at a connection event, one each `interval_s`, and its answer comes at the next one;
    what is asked for after that goes out at the one after. `on_value` takes notifications and indications, in
    the order in which they came: one behind an answer waits until `settled` says that the program knows it.
    """

    def __init__(
        self, send: Callable[[bytes], None], on_value: Callable[[bytes], None], interval_s: float
    ) -> None:
        self.send = send
        self._on_value, self._interval_s = on_value, interval_s
        self._begun_s = asyncio.get_running_loop().time()
        self._event = 0  # the last connection event that was waited for
        self._is_settled = True
        self._waiting: list[bytes] = []
        self.mtu = MTU_DEFAULT
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._asking = asyncio.Lock()
        self._answer: asyncio.Future[bytes] | None = None
        self._indicating = asyncio.Lock()
        self._confirmed: asyncio.Future[bytes] | None = None
        self._closed = False

    def receive(self, pdu: bytes) -> None:
        opcode = pdu[0]
        if opcode == CONFIRMATION:
            self._resolve(self._confirmed, pdu)
        elif opcode in (NOTIFICATION, INDICATION):
            if len(pdu) >= 3:
                self._waiting.append(pdu)
                self._tell()
        elif opcode & 1 and not opcode & 0x40:  # every response has an odd opcode, every request an even one
            self._is_settled = self._is_settled and not self.is_asking()
            self._resolve(self._answer, pdu)
        elif self.incoming.qsize() < WAITING_MAX:
            self.incoming.put_nowait(pdu)

    @staticmethod
    def _resolve(future: "asyncio.Future[bytes] | None", pdu: bytes) -> None:
        if future is not None and not future.done():
            future.set_result(pdu)

    def is_asking(self) -> bool:
        """Return whether a request is on its way, or its answer."""
        return self._answer is not None and not self._answer.done()

    def settled(self) -> None:
        """Note that the program knows of the last answer: what came behind it follows."""
        self._is_settled = True
        self._tell()

    def _tell(self) -> None:
        while self._is_settled and self._waiting:
            self._on_value(self._waiting.pop(0))

    def close(self) -> None:
        self._closed = True
        self.incoming.put_nowait(None)
        for future in (self._answer, self._confirmed):
            if future is not None and not future.done():
                future.set_exception(Gone())

    async def request(self, pdu: bytes) -> bytes:
        """Return the peer's answer. Raises AttError, Gone, or TimeoutError after 30 s."""
        loop = asyncio.get_running_loop()
        async with self._asking:
            self.settled()
            await self._next_event()
            if self._closed:
                raise Gone
            self._answer = loop.create_future()
            self.send(pdu)
            answer = await asyncio.wait_for(self._answer, TRANSACTION_S)
            await self._next_event()
        if answer[0] == ERROR:
            raise AttError(answer[4] if len(answer) > 4 else INVALID_PDU)
        if answer[0] != pdu[0] + 1:
            raise AttError(INVALID_PDU)
        return answer

    async def _next_event(self) -> None:
        """Wait for the next connection event; a timer that is early does not find the same one again."""
        passed_s = asyncio.get_running_loop().time() - self._begun_s
        self._event = max(self._event, int(passed_s / self._interval_s)) + 1
        await asyncio.sleep(self._event * self._interval_s - passed_s)

    async def indicate(self, pdu: bytes) -> None:
        async with self._indicating:
            if self._closed:
                raise Gone
            self._confirmed = asyncio.get_running_loop().create_future()
            self.send(pdu)
            await asyncio.wait_for(self._confirmed, TRANSACTION_S)


class Application(Protocol):
    """What the server asks and tells the program behind it."""

    turn: asyncio.Lock  # NimBLE serves all links from one task: a handler sees the value that it is told of

    async def may_read(self, conn_handle: int, handle: int) -> int: ...
    async def written(self, conn_handle: int, handle: int) -> None: ...
    async def refusal(self, conn_handle: int, *, authenticated: bool) -> int: ...
    def mtu_exchanged(self, conn_handle: int, mtu: int) -> None: ...


class Server:
    """Answers one link's requests from the table, one after the other."""

    def __init__(
        self,
        table: Table,
        bearer: Bearer,
        conn_handle: int,
        mtu_preferred: Callable[[], int],
        application: Application,
    ) -> None:
        self._table = table
        self._bearer = bearer
        self._conn_handle = conn_handle
        self._mtu_preferred = mtu_preferred
        self._application = application
        self._prepared: list[tuple[int, int, bytes]] = []

    async def run(self) -> None:
        while (pdu := await self._bearer.incoming.get()) is not None:
            try:
                async with self._application.turn:
                    await self._serve(pdu)
            except AttError as error:
                if not pdu[0] & 0x40:  # commands get no answer
                    handle = pdu[1:3].ljust(2, b"\0")
                    self._bearer.send(bytes([ERROR, pdu[0]]) + handle + bytes([error.code]))

    async def _serve(self, pdu: bytes) -> None:
        handlers = {
            MTU_REQUEST: self._exchange_mtu,
            FIND_INFORMATION: self._find_information,
            FIND_BY_TYPE_VALUE: self._find_by_type_value,
            READ_BY_TYPE: self._read_by_type,
            READ: self._read,
            READ_BLOB: self._read,
            READ_MULTIPLE: self._read_multiple,
            READ_BY_GROUP: self._read_by_group,
            WRITE_REQUEST: self._write,
            WRITE_COMMAND: self._write,
            PREPARE_WRITE: self._prepare_write,
            EXECUTE_WRITE: self._execute_write,
        }
        handler = handlers.get(pdu[0])
        if handler is None:
            raise AttError(REQUEST_NOT_SUPPORTED)
        try:
            await handler(pdu)
        except struct.error:
            raise AttError(INVALID_PDU) from None

    async def _exchange_mtu(self, pdu: bytes) -> None:
        (theirs,) = struct.unpack("<H", pdu[1:])
        ours = self._mtu_preferred()
        self._bearer.send(struct.pack("<BH", MTU_RESPONSE, ours))
        self._bearer.mtu = max(MTU_DEFAULT, min(ours, theirs))
        self._application.mtu_exchanged(self._conn_handle, self._bearer.mtu)

    def _range(self, pdu: bytes) -> list[Attribute]:
        start, end = struct.unpack("<HH", pdu[1:5])
        if start == 0 or start > end:
            raise AttError(INVALID_HANDLE)
        return self._table.between(start, end)

    def _answer_list(self, head: bytes, entries: list[bytes]) -> None:
        """As many entries as fit, all of one length."""
        if not entries:
            raise AttError(ATTRIBUTE_NOT_FOUND)
        body = b""
        for entry in entries:
            if len(entry) != len(entries[0]) or len(head) + len(body) + len(entry) > self._bearer.mtu:
                break
            body += entry
        self._bearer.send(head + body)

    async def _find_information(self, pdu: bytes) -> None:
        entries = [struct.pack("<H", a.handle) + a.type for a in self._range(pdu)]
        short = entries and len(entries[0]) == 4
        self._answer_list(bytes([FIND_INFORMATION + 1, 1 if short else 2]), entries)

    async def _find_by_type_value(self, pdu: bytes) -> None:
        kind, value = pdu[5:7], pdu[7:]
        found = [a for a in self._range(pdu) if a.type == kind and bytes(a.value) == value]
        entries = [struct.pack("<HH", a.handle, self._table.ends.get(a.handle, a.handle)) for a in found]
        self._answer_list(bytes([FIND_BY_TYPE_VALUE + 1]), entries)

    async def _read_by_type(self, pdu: bytes) -> None:
        found = [a for a in self._range(pdu) if a.type == on_air(pdu[5:])]
        room = self._bearer.mtu - 4
        if pdu[5:] != CHARACTERISTIC:
            found = found[:1]  # a value may be the program's to make: ask for one at a time
        entries = []
        for attribute in found:
            value = await self._value(attribute)
            entries.append(struct.pack("<H", attribute.handle) + value[: min(room, 253)])
        if entries:
            self._answer_list(bytes([READ_BY_TYPE + 1, len(entries[0])]), entries)
        else:
            raise AttError(ATTRIBUTE_NOT_FOUND)

    async def _read_by_group(self, pdu: bytes) -> None:
        if pdu[5:] != PRIMARY:
            raise AttError(UNSUPPORTED_GROUP_TYPE)
        found = [a for a in self._range(pdu) if a.type == PRIMARY]
        entries = [struct.pack("<HH", a.handle, self._table.ends[a.handle]) + bytes(a.value) for a in found]
        self._answer_list(bytes([READ_BY_GROUP + 1, len(entries[0]) if entries else 0]), entries)

    def _attribute(self, handle: int) -> Attribute:
        attribute = self._table.attributes.get(handle)
        if attribute is None:
            raise AttError(INVALID_HANDLE)
        return attribute

    async def _value(self, attribute: Attribute, *, ask: bool = True) -> bytes:
        if not attribute.flags & FLAG_READ:
            raise AttError(READ_NOT_PERMITTED)
        await self._check_security(attribute.flags, FLAG_READ_ENCRYPTED, FLAG_READ_AUTHENTICATED)
        if attribute.cccd_of is not None:
            return struct.pack("<H", attribute.cccd_of.subscribed.get(self._conn_handle, 0))
        if ask and attribute.handle in self._table.values:
            refusal = await self._application.may_read(self._conn_handle, attribute.handle)
            if refusal:
                raise AttError(refusal & 0xFF)
            return attribute.take() if attribute.append else bytes(attribute.value)
        return bytes(attribute.value)

    async def _read(self, pdu: bytes) -> None:
        offset = 0
        if pdu[0] == READ_BLOB:
            handle, offset = struct.unpack("<HH", pdu[1:])
        else:
            (handle,) = struct.unpack("<H", pdu[1:])
        value = await self._value(self._attribute(handle))
        if offset > len(value):
            raise AttError(INVALID_OFFSET)
        self._bearer.send(bytes([pdu[0] + 1]) + value[offset : offset + self._bearer.mtu - 1])

    async def _read_multiple(self, pdu: bytes) -> None:
        values = b""
        for (handle,) in struct.iter_unpack("<H", pdu[1:]):
            values += await self._value(self._attribute(handle))
        self._bearer.send(bytes([READ_MULTIPLE + 1]) + values[: self._bearer.mtu - 1])

    async def _writable(self, handle: int) -> Attribute:
        attribute = self._attribute(handle)
        # NimBLE looks at neither which kind of write a characteristic allows: one flag allows both.
        if not attribute.flags & (FLAG_WRITE | FLAG_WRITE_NO_RESPONSE):
            raise AttError(WRITE_NOT_PERMITTED)
        await self._check_security(attribute.flags, FLAG_WRITE_ENCRYPTED, FLAG_WRITE_AUTHENTICATED)
        return attribute

    async def _check_security(self, flags: int, encrypted: int, authenticated: int) -> None:
        """Refuse what a value's flags ask for and this link does not have."""
        if flags & (encrypted | authenticated):
            is_asked = bool(flags & authenticated)
            refusal = await self._application.refusal(self._conn_handle, authenticated=is_asked)
            if refusal:
                raise AttError(refusal)

    async def _store(self, attribute: Attribute, data: bytes) -> None:
        if attribute.cccd_of is not None:
            (bits,) = struct.unpack("<H", data)
            attribute.cccd_of.subscribed[self._conn_handle] = bits & 3
            return
        attribute.written(data)
        await self._application.written(self._conn_handle, attribute.handle)

    async def _write(self, pdu: bytes) -> None:
        (handle,) = struct.unpack("<H", pdu[1:3])
        await self._store(await self._writable(handle), pdu[3:])
        if pdu[0] == WRITE_REQUEST:
            self._bearer.send(bytes([WRITE_REQUEST + 1]))

    async def _prepare_write(self, pdu: bytes) -> None:
        handle, offset = struct.unpack("<HH", pdu[1:5])
        await self._writable(handle)
        if sum(len(data) for _, _, data in self._prepared) + len(pdu) - 5 > PREPARED_BYTES_MAX:
            raise AttError(PREPARE_QUEUE_FULL)
        self._prepared.append((handle, offset, pdu[5:]))
        self._bearer.send(bytes([PREPARE_WRITE + 1]) + pdu[1:])

    async def _execute_write(self, pdu: bytes) -> None:
        (commit,) = struct.unpack("<B", pdu[1:])
        prepared, self._prepared = self._prepared, []
        if commit:
            values: dict[int, bytes] = {}
            for handle, offset, data in prepared:
                if offset != len(values.get(handle, b"")):
                    raise AttError(INVALID_OFFSET)
                values[handle] = values.get(handle, b"") + data
            for handle, data in values.items():
                await self._store(self._attribute(handle), data)
        self._bearer.send(bytes([EXECUTE_WRITE + 1]))


def read_request(handle: int) -> bytes:
    return struct.pack("<BH", READ, handle)


async def discover_services(bearer: Bearer, uuid: bytes | None) -> AsyncIterator[tuple[int, int, bytes]]:
    """(start, end, uuid) of the peer's primary services, all or those with `uuid` (Part G, 4.4)."""
    start = 1
    while start <= 0xFFFF:
        where = struct.pack("<HH", start, 0xFFFF)
        if uuid is None:
            pdu = await _next_page(bearer, bytes([READ_BY_GROUP]) + where + PRIMARY)
            size, entries = (pdu[1], pdu[2:]) if pdu else (0, b"")
        else:
            pdu = await _next_page(bearer, bytes([FIND_BY_TYPE_VALUE]) + where + PRIMARY + on_air(uuid))
            size, entries = 4, pdu[1:]
        if not entries or size < 4:
            return
        for at in range(0, len(entries) - size + 1, size):
            first, end = struct.unpack("<HH", entries[at : at + 4])
            yield first, end, uuid if uuid is not None else entries[at + 4 : at + size]
        if end < start:
            return
        start = end + 1


async def discover_characteristics(
    bearer: Bearer, start: int, end: int
) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """(last handle, value handle, properties, uuid) of the characteristics in a range (Part G, 4.6.1)."""
    waiting: tuple[int, int, bytes] | None = None  # its end is known when the next one is
    while start <= end:
        pdu = await _next_page(
            bearer, bytes([READ_BY_TYPE]) + struct.pack("<HH", start, end) + CHARACTERISTIC
        )
        size, entries = (pdu[1], pdu[2:]) if pdu else (0, b"")
        if not entries or size < 7:
            break
        for at in range(0, len(entries) - size + 1, size):
            declared, properties, value = struct.unpack("<HBH", entries[at : at + 5])
            if waiting:
                yield declared - 1, *waiting
            waiting = value, properties, entries[at + 5 : at + size]
        if declared < start:
            break
        start = declared + 1
    if waiting:
        yield end, *waiting


async def discover_descriptors(bearer: Bearer, start: int, end: int) -> AsyncIterator[tuple[int, bytes]]:
    """(handle, uuid) of all attributes in a range (Part G, 4.7.1)."""
    while start <= end:
        pdu = await _next_page(bearer, bytes([FIND_INFORMATION]) + struct.pack("<HH", start, end))
        if len(pdu) < 2:
            return
        size = 4 if pdu[1] == 1 else 18
        handle = end
        for at in range(2, len(pdu) - size + 1, size):
            (handle,) = struct.unpack("<H", pdu[at : at + 2])
            yield handle, pdu[at + 2 : at + size]
        if handle < start:
            return
        start = handle + 1


async def _next_page(bearer: Bearer, pdu: bytes) -> bytes:
    """The answer, or nothing where the peer has no more."""
    try:
        return await bearer.request(pdu)
    except AttError as error:
        if error.code == ATTRIBUTE_NOT_FOUND:
            return b""
        raise
