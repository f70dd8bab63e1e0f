"""The virtual machine: Linux with bluetoothd on an air's radio, its system bus at a TCP port of this machine.

Under QEMU's own interpreter of machine code: nested machines seldom have KVM, and it boots in seconds.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal

from sim.bluez.image import Image
from sim.radio.air import Air, AirController

BOOT_S_MAX = 90
ASK_S_MAX = 15
STOP_S_MAX = 10
CONSOLE_LINES_MAX = 20_000
ADAPTER = "/org/bluez/hci0"
# What the kernel says when it is broken; then nothing that was seen in this machine counts.
BROKEN = re.compile(r"BUG:|kernel BUG|Oops|Call Trace|Kernel panic")


class Broken(Exception):
    """The virtual machine did not do what it was asked; the text has the end of its console."""


class Machine:
    """`async with Machine(image, folder) as machine:`; no adapter is in it until `plugged` into an air."""

    def __init__(self, image: Image, folder: Path) -> None:
        self._image = image
        self._hci = folder / "hci.sock"
        self.port = _free_port()
        self.console: list[str] = []
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._asking = asyncio.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """With this, a program on this machine has the virtual machine's Bluetooth for its own."""
        # TCP carries no credentials; the machine's end of the line is root.
        return {
            "DBUS_SYSTEM_BUS_ADDRESS": f"tcp:host=127.0.0.1,port={self.port}",
            "BLEAK_DBUS_AUTH_UID": "0",
        }

    async def __aenter__(self) -> "Machine":
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read_console())
        try:
            await self._answer("READY", BOOT_S_MAX)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._process.stdin.write(b"poweroff -f\n")
            async with asyncio.timeout(STOP_S_MAX):
                await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reader

    def _command(self) -> list[str]:
        return [
            *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
            *("-smp", "2", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", "console=ttyS0 quiet panic=-1 mitigations=off"),
            *("-object", "rng-random,id=r,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r"),
            *("-serial", "stdio", "-chardev", f"socket,id=hci,path={self._hci},server=on,wait=off"),
            *("-device", "isa-serial,chardev=hci,index=1"),
            # restrict: the machine reaches nobody; its bus is reached on the loopback alone.
            *("-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:5556"),
            *("-device", "virtio-net-pci,netdev=n,romfile="),
        ]

    async def _read_console(self) -> None:
        assert self._process.stdout
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").strip()
            if len(self.console) < CONSOLE_LINES_MAX:
                self.console.append(line)
            if line.startswith("## "):
                self._answers.put_nowait(line[3:])
        self._answers.put_nowait("ENDED")

    async def _answer(self, wanted: str, limit_s: float) -> str:
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._answers.get()
        except TimeoutError:
            answer = f"nothing within {limit_s:g} s"
        if not answer.startswith(wanted):
            raise Broken(f"the virtual machine was to say {wanted} and said {answer}\n{self.story()}")
        return answer

    def story(self, last: int = 40) -> str:
        return "\n".join(self.console[-last:])

    def broken(self) -> list[str]:
        """What the kernel said of its own faults."""
        return [line for line in self.console if BROKEN.search(line)]

    async def run(self, line: str) -> None:
        """Have the machine's shell run `line`; the functions in `init` are there. Raises Broken."""
        assert self._process.stdin
        async with self._asking:
            self._process.stdin.write(f"{line}\n".encode())
            answer = await self._answer("DONE", ASK_S_MAX)
        if answer != "DONE 0":
            raise Broken(f"{line}: {answer}\n{self.story()}")

    # -- its Bluetooth --------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def plugged(self, air: Air, name: str = "phone") -> AsyncIterator[AirController]:
        """While this lasts, the machine has an adapter, a radio on `air`; powered when this begins."""
        async with air.plug(self._hci, name) as radio:
            await self.run("plug")
            await self.until_powered()
            try:
                yield radio
            finally:
                await self.run("unplug")

    async def until_powered(self, limit_s: float = ASK_S_MAX) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while not await self.is_powered():  # noqa: ASYNC110  # it is another machine's
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Broken(f"the adapter is not powered after {limit_s:g} s\n{self.story()}") from None

    async def is_powered(self) -> bool:
        return bool(await self.property("Powered"))

    async def property(self, name: str) -> object:
        """One of the adapter's, None where there is no adapter (or no bluetoothd)."""
        reply = await self._call("Get", "ss", ["org.bluez.Adapter1", name])
        return None if reply.message_type == MessageType.ERROR else reply.body[0].value

    async def devices(self) -> list[str]:
        """Whom bluetoothd knows."""
        reply = await self._call(
            "GetManagedObjects", path="/", interface="org.freedesktop.DBus.ObjectManager"
        )
        return [path for path, interfaces in reply.body[0].items() if "org.bluez.Device1" in interfaces]

    async def power(self, on: bool) -> None:
        """As bluetoothctl does."""
        reply = await self._call("Set", "ssv", ["org.bluez.Adapter1", "Powered", Variant("b", on)])
        if reply.message_type == MessageType.ERROR:
            raise Broken(f"power {on}: {reply.error_name} {reply.body}")

    async def restart_daemon(self, *options: str) -> None:
        """SIGKILL, and a new one."""
        await self.run("daemon_dies")
        await self.run(" ".join(("daemon", *options)))
        await self.until_powered()

    async def _call(
        self,
        member: str,
        signature: str = "",
        body: Sequence[object] = (),
        path: str = ADAPTER,
        interface: str = "org.freedesktop.DBus.Properties",
    ) -> Message:
        bus = MessageBus(
            bus_address=self.environment["DBUS_SYSTEM_BUS_ADDRESS"],
            bus_type=BusType.SYSTEM,
            auth=AuthExternal(uid=0),
        )
        try:
            async with asyncio.timeout(ASK_S_MAX):
                await bus.connect()
                message = Message("org.bluez", path, interface, member, signature=signature, body=list(body))
                reply = await bus.call(message)
        finally:
            bus.disconnect()
        assert reply is not None
        return reply


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
