"""Positions from what really gives them: gpsd and gpsfake, a serial port, a D-Bus with a GeoClue on it."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import termios
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.location.geoclue import GeoClue
from bridge.location.gpsd import LINE_BYTES_MAX, LINE_BYTES_PASSED_MAX, Gpsd
from bridge.location.nmea import Nmea
from bridge.location.positions import Positions
from bridge.model import Fix
from bridge.ports import Source, SourceOff

NOW = 1_795_428_904_000  # 2026-11-23T10:15:04Z, when the walk was recorded
WALK = Path(__file__).with_name("walk.nmea")
GREETING = b'{"class":"VERSION","release":"3.22","proto_major":3,"proto_minor":14}\r\n'

needs_gpsd = pytest.mark.skipif(
    shutil.which("gpsfake") is None, reason="no gpsfake here (Debian: gpsd, gpsd-clients)"
)
needs_dbusmock = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None
    or not Path("/usr/lib/python3/dist-packages/dbusmock").is_dir()
    or sys.platform != "linux",
    reason="no python-dbusmock here (Debian: python3-dbusmock, dbus)",
)


def now_ms() -> int:
    return NOW


class Heard:
    """What a bridge with these sources hears; `offs` are the reasons why one ended, in order."""

    def __init__(self, *sources: Source) -> None:
        self.offs: list[SourceOff] = []
        self.gave: list[str] = []  # the name of the source, for each fix
        self.positions = Positions(
            sources,
            boottime_ms=now_ms,
            on_off=lambda _, off: self.offs.append(off),
            on_fix=self.gave.append,
        )

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():  # noqa: ASYNC110 -- the test's own timeout bounds it
            await asyncio.sleep(0.02)

    async def until_at(self, lat: float) -> Fix:
        """The bridge's best fix, once it is there."""
        await self.until(
            lambda: (fix := self.positions.latest(NOW)) is not None and round(fix.lat, 10) == lat
        )
        fix = self.positions.latest(NOW)
        assert fix
        return fix

    async def until_more(self) -> Fix:
        """The bridge's best fix, after another one that comes from now on."""
        before = len(self.gave)
        await self.until(lambda: len(self.gave) > before)
        fix = self.positions.latest(NOW)
        assert fix
        return fix


@asynccontextmanager
async def hearing(*sources: Source) -> AsyncIterator[Heard]:
    heard = Heard(*sources)
    following = asyncio.create_task(heard.positions.run())
    try:
        yield heard
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def why_off(source: Source) -> SourceOff:
    with pytest.raises(SourceOff) as off:
        await source.run(lambda _: None)
    assert str(off.value)
    return off.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- gpsd ---


@asynccontextmanager
async def gpsfake(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The real gpsd, fed with the recorded walk over and over; in a process group of its own."""
    process = await asyncio.create_subprocess_exec(
        *("gpsfake", "-q", "-c", "0.01", "-P", str(port), str(WALK)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_group(process)
        await process.wait()


def kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@needs_gpsd
async def test_gpsd_gives_the_walk_and_is_found_again_after_it_was_killed() -> None:
    """A fix with gpsd's circle; its end is said in a sentence; nobody need restart the bridge."""
    port = free_port()
    async with hearing(Gpsd(port=port, now_ms=now_ms)) as heard:
        await heard.until(lambda: len(heard.offs) == 1)  # it is not there yet
        async with gpsfake(port) as process:
            fix = await heard.until_more()
            assert (round(fix.lat, 2), round(fix.lon, 2), fix.method, fix.source) == (
                50.8,
                4.38,
                "GNSS",
                "gpsd",
            )
            assert fix.taken_at.startswith("2026-11-23T10:15:")
            assert 0 < fix.radius_m < 10_000
            before = len(heard.offs)
            kill_group(process)
            await heard.until(lambda: len(heard.offs) > before)
        async with gpsfake(port):
            await heard.until_more()
    assert {off.reason for off in heard.offs} == {"gpsd_gone"}


@needs_gpsd
async def test_a_receiver_has_the_same_radius_by_way_of_gpsd_and_of_its_port() -> None:
    """Where it tells the dilution alone, both make the circle by gpsd's model."""
    port = free_port()
    seen: set[float] = set()
    async with gpsfake(port), hearing(Gpsd(port=port, now_ms=now_ms)) as heard:
        while 1.2 * 19 not in seen:
            seen.add(round((await heard.until_more()).radius_m, 1))


@asynccontextmanager
async def pretender(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Something else on gpsd's port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not_gpsd"),
        (b'{"class":"VERSION","proto_major":2}\r\n', "not_gpsd"),
        (b"[]\r\n", "not_gpsd"),
        (b"", "gpsd_gone"),
        (GREETING, "gpsd_gone"),
        (GREETING + b"x" * (2 * LINE_BYTES_MAX) + b"\r\n", "gpsd_gone"),
        (GREETING + b"x" * (LINE_BYTES_PASSED_MAX + 2 * LINE_BYTES_MAX), "gpsd_nonsense"),
        (GREETING + b"?\r\n" * 100, "gpsd_nonsense"),
    ],
)
async def test_what_is_not_gpsd_or_speaks_nonsense_is_named_and_left(said: bytes, reason: str) -> None:
    """Bounded: no line and no number of lines keeps the bridge reading for ever."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        if said:  # what it asks is read, or the connection is reset
            await reader.read(100)

    async with pretender(speak) as port:
        off = await why_off(Gpsd(port=port, now_ms=now_ms))
        assert off.reason == reason
        assert f"127.0.0.1:{port}" in str(off)


async def test_nonsense_between_reports_is_counted_and_skipped() -> None:
    """A line that was cut is no reason to lose the receiver."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        for _ in range(5):
            writer.write(
                b'{"class":"TPV","mode":3,"la\r\n{"class":"TPV","mode":3,"lat":50.8,"lon":4.4,"eph":9}\r\n'
            )
        await writer.drain()

    async with pretender(speak) as port:
        source, fixes = Gpsd(port=port, now_ms=now_ms), list[Fix]()
        with pytest.raises(SourceOff):
            await source.run(fixes.append)
    assert (len(fixes), source.nonsense) == (5, 5)


@pytest.mark.parametrize("size", [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 40_960, 400_000])
async def test_a_sky_full_of_satellites_costs_no_position(size: int) -> None:
    """A line that is too long for a position is passed over; those before and after it are read."""
    place = b'{"class":"TPV","mode":3,"lat":50.8,"lon":4.4,"eph":9}\r\n'
    sky = b'{"class":"SKY","satellites":[' + b"1," * ((size - 36) // 2)
    sky += b"1" * (size - len(sky) - 4) + b"]}\r\n"

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(sky + place + sky + sky + place)
        await writer.drain()

    async with pretender(speak) as port:
        source, fixes = Gpsd(port=port, now_ms=now_ms), list[Fix]()
        with pytest.raises(SourceOff):
            await source.run(fixes.append)
    assert (len(fixes), source.nonsense) == (2, 0)


async def test_gpsd_without_a_receiver_is_not_waited_for_for_ever() -> None:
    """It answers, and then there is nothing: its owner is told to plug one in."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING + b'{"class":"DEVICES","devices":[]}\r\n')
        await reader.read()

    async with pretender(speak) as port:
        off = await why_off(Gpsd(port=port, now_ms=now_ms, silence_s_max=0.2))
    assert off.reason == "gpsd_silent"


# --- a receiver at a serial port ---


class Wire:
    """A pseudo-terminal: the bridge has the one end as its serial port, the test is the receiver."""

    def __init__(self) -> None:
        self.receiver, self._port = os.openpty()
        tty.setraw(self._port, termios.TCSANOW)
        self.path = Path(os.ttyname(self._port))

    def say(self, said: bytes) -> None:
        os.write(self.receiver, said)

    async def keep_saying(self, said: bytes, until: Callable[[], bool]) -> None:
        """As receivers do: a port that is opened late has missed what went before."""
        while not until():
            self.say(said)
            await asyncio.sleep(0.4)

    def pull(self) -> None:
        """The cable, out."""
        for end in (self.receiver, self._port):
            if end >= 0:
                os.close(end)
        self.receiver = self._port = -1


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.pull()


def moment(number: int) -> list[bytes]:
    """What the receiver said in one second of the walk: RMC, GGA, GSA, GST."""
    first = 2 + 9 + 4 * number  # two lines of comment, three seconds without a fix
    return WALK.read_bytes().splitlines(keepends=True)[first : first + 4]


async def test_a_receiver_is_read_and_its_cable_may_be_pulled(wire: Wire) -> None:
    """With a wrong checksum and half a line among what it says."""
    source = Nmea(wire.path, now_ms=now_ms)
    async with hearing(source) as heard:
        await wire.keep_saying(b"".join(moment(0)), lambda: bool(heard.gave))
        rmc, gga, *_ = moment(1)
        wire.say(rmc.replace(b",A,", b",V,", 1) + gga[:25] + b"\r\n" + b"".join(moment(2)))
        await heard.until(lambda: source.bad == 1)
        fix = await heard.until_at(50.8039666667)
        assert (round(fix.lon, 3), fix.source, fix.method) == (4.379, "nmea", "GNSS")
        assert fix.taken_at == "2026-11-23T10:15:05.000Z"
        assert fix.radius_m == pytest.approx(3.2 * 2.45)
        wire.pull()
        await heard.until(lambda: bool(heard.offs))
    assert heard.offs[0].reason == "nmea_gone"


async def test_a_port_that_cannot_be_used_says_why(wire: Wire, tmp_path: Path) -> None:
    """Missing, no serial port, or another program's; and free again when the bridge has done with it."""
    assert (await why_off(Nmea(tmp_path / "none", now_ms=now_ms))).reason == "nmea_no_port"
    file = tmp_path / "file"
    file.touch()
    assert (await why_off(Nmea(file, now_ms=now_ms))).reason == "nmea_not_serial"
    for _ in range(2):
        async with hearing(Nmea(wire.path, now_ms=now_ms)) as heard:
            await wire.keep_saying(b"".join(moment(0)), lambda: bool(heard.gave))
            assert (await why_off(Nmea(wire.path, now_ms=now_ms))).reason == "nmea_in_use"


async def test_a_port_that_is_silent_or_speaks_something_else_is_named(wire: Wire) -> None:
    """The wrong port, or the wrong speed."""
    silent = await why_off(Nmea(wire.path, now_ms=now_ms, silence_s_max=0.5))
    assert silent.reason == "nmea_silent"
    for nonsense in (b"\xf3\x9e\x81\n" * 60, b"hello\r\n", moment(0)[0].replace(b",A,", b",V,", 1)):
        source = Nmea(wire.path, now_ms=now_ms, silence_s_max=1.0)
        running = asyncio.create_task(why_off(source))
        await wire.keep_saying(nonsense, running.done)
        assert (await running).reason == "nmea_nonsense"
        assert "9600 baud" in source.heard()


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"!AIVDM,1,1,,A,15M67F0000G?Uf6E`FepT@3n00Sa,0*5C", "says VDM, but no position; have it send GGA"),
        (b"$GPGGA,101503.00,,,,,0,00,,,M,,M,,*41", "says GGA, without a position from satellites"),
    ],
)
async def test_a_receiver_without_a_position_is_not_left_and_says_what_it_hears(
    wire: Wire, body: bytes, part: str
) -> None:
    """It speaks NMEA; whoever looks for the position is told what came."""
    total = 0
    for byte in body[1 : body.index(b"*")]:
        total ^= byte
    said = body[: body.index(b"*")] + b"*%02X\r\n" % total
    source = Nmea(wire.path, now_ms=now_ms, silence_s_max=0.8)
    assert "nothing comes" in source.heard()
    async with hearing(source) as heard:
        for _ in range(5):
            wire.say(said)
            await asyncio.sleep(0.3)
        assert not heard.offs
        assert part in source.heard()


# --- GeoClue ---

GEOCLUE = "org.freedesktop.GeoClue2"
MOCK = "org.freedesktop.DBus.Mock"
MANAGER_PATH = "/org/freedesktop/GeoClue2/Manager"
CLIENT_PATH = "/org/freedesktop/GeoClue2/Client/1"


class FakeGeoClue:
    """A D-Bus of the test's own, with python-dbusmock as GeoClue on it."""

    def __init__(self, address: str, daemon: asyncio.subprocess.Process) -> None:
        self.address, self.daemon = address, daemon
        self._mock: asyncio.subprocess.Process | None = None
        self._places = 0

    async def start(self, start_code: str = "") -> None:
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.address}
        self._mock = await asyncio.create_subprocess_exec(
            *("/usr/bin/python3", "-m", "dbusmock", "--session"),
            *(GEOCLUE, MANAGER_PATH, f"{GEOCLUE}.Manager"),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
        )
        for _ in range(200):
            if await self._is_there():
                break
            await asyncio.sleep(0.05)
        await self.call(
            *(MANAGER_PATH, MOCK, "AddMethod", "sssss"),
            *(f"{GEOCLUE}.Manager", "GetClient", "", "o", f"ret = '{CLIENT_PATH}'"),
        )
        properties = {
            "DesktopId": Variant("s", ""),
            "DistanceThreshold": Variant("u", 1000),
            "TimeThreshold": Variant("u", 1000),
            "RequestedAccuracyLevel": Variant("u", 0),
        }
        await self.call(
            *(MANAGER_PATH, MOCK, "AddObject", "ssa{sv}a(ssss)"),
            *(CLIENT_PATH, f"{GEOCLUE}.Client", properties, [["Start", "", "", start_code]]),
        )

    async def stop(self) -> None:
        if self._mock is not None and self._mock.returncode is None:
            self._mock.terminate()
            await self._mock.wait()

    async def move(
        self, lat: float, lon: float, accuracy_m: float, description: str = "", stamp_ms: int = NOW
    ) -> None:
        """A new Location object, and the signal that tells of it."""
        self._places += 1
        path = f"{CLIENT_PATH}/Location/{self._places}"
        properties = {
            "Latitude": Variant("d", lat),
            "Longitude": Variant("d", lon),
            "Accuracy": Variant("d", accuracy_m),
            "Description": Variant("s", description),
            "Timestamp": Variant("(tt)", [stamp_ms // 1000, 250_000]),
        }
        await self.call(
            *(CLIENT_PATH, MOCK, "AddObject", "ssa{sv}a(ssss)", path, f"{GEOCLUE}.Location", properties, [])
        )
        await self.call(
            *(CLIENT_PATH, MOCK, "EmitSignal", "sssav", f"{GEOCLUE}.Client", "LocationUpdated", "oo"),
            [Variant("o", "/"), Variant("o", path)],
        )

    async def property(self, name: str) -> Any:
        answer = await self.call(
            CLIENT_PATH, "org.freedesktop.DBus.Properties", "Get", "ss", f"{GEOCLUE}.Client", name
        )
        return answer.body[0].value

    async def started(self) -> bool:
        answer = await self.call(CLIENT_PATH, MOCK, "GetMethodCalls", "s", "Start")
        return bool(answer.body[0])

    async def _is_there(self) -> bool:
        answer = await self.call(
            *("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", GEOCLUE),
            to="org.freedesktop.DBus",
        )
        return bool(answer.body[0])

    async def call(
        self, path: str, interface: str, member: str, signature: str, *body: Any, to: str = GEOCLUE
    ) -> Any:
        bus = await MessageBus(bus_address=self.address).connect()
        try:
            answer = await bus.call(
                Message(to, path, interface, member, signature=signature, body=list(body))
            )
            assert answer
            assert answer.message_type is not MessageType.ERROR, answer.body
            return answer
        finally:
            bus.disconnect()


@pytest.fixture
async def geoclue(tmp_path: Path) -> AsyncIterator[FakeGeoClue]:
    address = f"unix:path={tmp_path}/bus"
    daemon = await asyncio.create_subprocess_exec(
        *("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout
    await daemon.stdout.readline()
    fake = FakeGeoClue(address, daemon)
    try:
        yield fake
    finally:
        await fake.stop()
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()


async def until_started(geoclue: FakeGeoClue) -> None:
    while not await geoclue.started():  # noqa: ASYNC110 -- it is another process that changes
        await asyncio.sleep(0.05)


@needs_dbusmock
async def test_geoclue_is_asked_for_its_best_and_says_how_it_knew(geoclue: FakeGeoClue) -> None:
    """Every move, as exactly as it can; the network's guess, unless GeoClue says that it was another."""
    await geoclue.start()
    async with hearing(GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=geoclue.address)) as heard:
        await until_started(geoclue)
        assert await geoclue.property("DesktopId") == "amr-bridge"
        assert await geoclue.property("RequestedAccuracyLevel") == 8
        assert await geoclue.property("DistanceThreshold") == 0
        await geoclue.move(50.8, 4.38, 35.0)
        fix = await heard.until_at(50.8)
        assert (fix.lat, fix.lon, fix.radius_m, fix.method) == (50.8, 4.38, 35.0, "NETWORK")
        assert (fix.taken_at, fix.source) == ("2026-11-23T10:15:04.250Z", "geoclue")
        await geoclue.move(50.8001, 4.3801, 5.0, "GPS GGA")
        assert (await heard.until_at(50.8001)).method == "GNSS"
        await geoclue.move(95.0, 4.38, 5.0)  # nowhere: passed over
        await geoclue.move(50.8002, 4.3802, 4.0, "WiFi")
        assert (await heard.until_at(50.8002)).method == "WIFI"


@needs_dbusmock
async def test_what_geoclue_remembers_is_as_old_as_it_is(geoclue: FakeGeoClue) -> None:
    """It begins with the last position that it knew; the next one shows where the phone is."""
    await geoclue.start()
    async with hearing(GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=geoclue.address)) as heard:
        await until_started(geoclue)
        await geoclue.move(50.8, 4.38, 35.0, stamp_ms=NOW - 600_000)
        fix = await heard.until_at(50.8)
        assert fix.marks == ("stale",)
        await geoclue.move(50.9, 4.38, 900.0)
        assert (await heard.until_at(50.9)).marks == ()


@needs_dbusmock
async def test_geoclue_that_stops_is_asked_again(geoclue: FakeGeoClue) -> None:
    """It leaves when nobody asks for long, and is updated while we run."""
    await geoclue.start()
    async with hearing(GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=geoclue.address)) as heard:
        await until_started(geoclue)
        await geoclue.stop()
        await heard.until(lambda: bool(heard.offs))
        assert heard.offs[0].reason == "geoclue_gone"
        await geoclue.start()
        await until_started(geoclue)
        await geoclue.move(50.8, 4.38, 35.0)
        await heard.until_at(50.8)


@needs_dbusmock
async def test_the_bus_itself_may_go(geoclue: FakeGeoClue) -> None:
    """It is restarted with the system's updates, too."""
    await geoclue.start()
    async with hearing(GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=geoclue.address)) as heard:
        await until_started(geoclue)
        geoclue.daemon.terminate()
        await heard.until(lambda: len(heard.offs) == 2)
    assert [off.reason for off in heard.offs] == ["geoclue_gone", "no_dbus"]


@needs_dbusmock
async def test_why_geoclue_gives_nothing_is_said(geoclue: FakeGeoClue, tmp_path: Path) -> None:
    """No D-Bus, no GeoClue, or not allowed: with what to do."""
    for address in (f"unix:path={tmp_path}/none", "nonsense"):
        assert (
            await why_off(GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=address))
        ).reason == "no_dbus"
    source = GeoClue(now_ms=now_ms, boottime_ms=now_ms, bus_address=geoclue.address)
    assert (await why_off(source)).reason == "geoclue_missing"
    denied = "raise dbus.exceptions.DBusException('no', name='org.freedesktop.DBus.Error.AccessDenied')"
    await geoclue.start(denied)
    off = await why_off(source)
    assert off.reason == "geoclue_denied"
    assert "geoclue.conf" in str(off)
