"""Kernel and root of the virtual machine, made once of this machine's own Debian packages.

The kernel comes out of its package without being installed; the root, some 12 MB of initramfs, holds the
modules that Bluetooth needs, busybox, dbus-daemon, bluetoothd, btattach and socat.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build" / "bluez"
INIT = Path(__file__).with_name("init")
TOOLS = (
    "qemu-system-x86_64",
    "apt-get",
    "apt-cache",
    "dpkg-deb",
    "depmod",
    "modprobe",
    "cpio",
    "gzip",
    "ldd",
)
PROGRAMS = (
    "/usr/bin/dbus-daemon",
    "/usr/libexec/bluetooth/bluetoothd",
    "/usr/bin/btattach",
    "/usr/bin/socat",
)
BUSYBOX = "/bin/busybox"
# In this order. Without the first five Linux has no random numbers for its ECDH when Bluetooth starts,
# and then no LE Secure Connections; the hashes and AES are what Bluetooth's pairing is made of.
MODULES = (
    *("sha3_generic", "jitterentropy_rng", "sha512_generic", "ctr", "drbg"),
    *("virtio_pci", "virtio_rng", "virtio_net", "cmac", "ecb", "ccm"),
    *("af_alg", "algif_hash", "algif_skcipher", "uhid", "hci_uart"),
)
APT_S_MAX = 300
WORK_S_MAX = 120

_FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/bluetooth/main.conf": "[Policy]\nAutoEnable=true\n",
    "etc/bus.conf": """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow eavesdrop="false"/>
<allow own="*"/><allow user="*"/></policy></busconfig>
""",
}


class NoImage(Exception):
    """This machine cannot have the virtual machine; the text says what is missing."""


@dataclass(frozen=True)
class Image:
    kernel: Path
    initrd: Path


def make() -> Image:
    """The image, made if it is not there yet (some 10 s, once). Raises NoImage."""
    if platform.machine() != "x86_64":
        raise NoImage(f"the virtual machine is x86-64, this one is {platform.machine()}")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]
    missing += [name for name in (*PROGRAMS, BUSYBOX) if not Path(name).exists()]
    if missing:
        raise NoImage(
            f"missing: {', '.join(missing)}; sudo apt-get install --no-install-recommends "
            "qemu-system-x86 bluez busybox-static kmod cpio socat dbus"
        )
    try:
        tree = _kernel(_package())
        kernel = next((tree / "boot").glob("vmlinuz-*"))
        initrd = BUILD / f"initrd-{_fingerprint(kernel)}.gz"
        if not initrd.exists():
            _pack(tree, kernel.name.removeprefix("vmlinuz-"), initrd)
    except (subprocess.SubprocessError, OSError, StopIteration) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NoImage(f"the virtual machine's kernel or root could not be made: {said.strip()}") from None
    return Image(kernel, initrd)


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _run(*argv: str, cwd: Path | None = None, limit_s: int = WORK_S_MAX) -> str:
    env = os.environ | {"PATH": _path(), "LC_ALL": "C"}
    done = subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=limit_s)
    return done.stdout


def _package() -> Path:
    """The Debian package of the distribution's present kernel; one that was fetched before will do."""
    BUILD.mkdir(parents=True, exist_ok=True)
    have = sorted(BUILD.glob("linux-image-*.deb"))
    if not have:
        name = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", "linux-image-amd64"))
        if name is None:
            raise NoImage("no package linux-image-amd64 is known here; sudo apt-get update")
        _run("apt-get", "download", name[1], cwd=BUILD, limit_s=APT_S_MAX)
        have = sorted(BUILD.glob("linux-image-*.deb"))
    return have[-1]


def _kernel(package: Path) -> Path:
    """The package's kernel and modules, as a tree."""
    tree = package.with_suffix("")
    if not tree.exists():
        with tempfile.TemporaryDirectory(dir=BUILD) as work:
            _run("dpkg-deb", "-x", str(package), f"{work}/tree")
            version = next(Path(work, "tree", "lib", "modules").iterdir()).name
            _run("depmod", "-b", f"{work}/tree", version)
            os.rename(f"{work}/tree", tree)
    return tree


def _fingerprint(kernel: Path) -> str:
    """Changes with everything that is packed."""
    digest = hashlib.sha256(INIT.read_bytes() + Path(__file__).read_bytes() + kernel.name.encode())
    for name in (*PROGRAMS, BUSYBOX):
        digest.update(Path(name).read_bytes())
    return digest.hexdigest()[:16]


def _pack(tree: Path, version: str, initrd: Path) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD) as work:
        root = Path(work, "root")
        for name in ("bin", "m", "lib64"):
            (root / name).mkdir(parents=True)
        for name, text in _FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        shutil.copy(INIT, root / "init")
        (root / "init").chmod(0o755)
        for program in (*PROGRAMS, BUSYBOX):
            shutil.copy(program, root / "bin")
            for library in _libraries(program):
                (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, root / library[1:])
        files = _modules(tree, version)
        for path in files:
            shutil.copy(path, root / "m")
        (root / "modules").write_text("".join(f"{path.name}\n" for path in files))
        _run("sh", "-ec", "find . | cpio --quiet -o -H newc | gzip -1 > ../initrd", cwd=root)
        os.rename(f"{work}/initrd", initrd)


def _libraries(program: str) -> list[str]:
    """What it is linked with; nothing, where it is linked statically."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, timeout=WORK_S_MAX)  # noqa: S607
    return re.findall(r"(/\S+) \(0x", listed.stdout)


def _modules(tree: Path, version: str) -> list[Path]:
    """The files of MODULES and of what they depend on, in the order in which they can be loaded."""
    files: dict[Path, None] = {}
    for module in MODULES:
        listed = _run("modprobe", "-d", str(tree), "-S", version, "--show-depends", module)
        for path in re.findall(r"^insmod (\S+)", listed, re.MULTILINE):
            files[Path(path)] = None
    return list(files)
