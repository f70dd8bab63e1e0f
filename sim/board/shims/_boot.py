# The board's first program: mount the flash at /, then boot.py and main.py, as on an ESP32; at /flash and
# main.py alone, as MicroPython's Zephyr port does.

import micropython
import os
import sys
import time
import vfs

import _link

_ERASED = b"\xff" * 128
_PROMPT = os.getenv("AMR_PROMPT")  # None, "friendly" or "raw"
_ZEPHYR = os.getenv("AMR_PORT") == "zephyr"
_ROOT = "/flash" if _ZEPHYR else "/"


class _Flash:
    # A NOR flash in a file. Only the shims know that it is one.
    def __init__(self, path):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // 4096
        self.armed = False

    def _cut(self):
        # Whether the power fails in the middle of this operation.
        return self.armed and _link.call("flash_operation")

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * 4096 + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        cut = self._cut()
        self._file.seek(block * 4096 + offset)
        self._file.write(memoryview(buffer)[: len(buffer) // 2] if cut else buffer)
        if cut:
            _link.call("power_cut")

    def ioctl(self, what, argument):
        if what == 4:
            return self._blocks
        if what == 5:
            return 4096
        if what == 6:
            cut = self._cut()
            self._file.seek(argument * 4096)
            for _ in range(16 if cut else 32):
                self._file.write(_ERASED)
            if cut:
                _link.call("power_cut")
            return 0
        return None

    def is_blank(self):
        self._file.seek(0)
        return all([self._file.read(128) == _ERASED for _ in range(32)])


def _armed(event):
    _flash.armed = event[1]
    _link.call("armed")


def _mount():
    try:
        vfs.mount(vfs.VfsLfs2(_flash), _ROOT)
    except OSError:
        while not _flash.is_blank():
            if not _PROMPT:
                raise
            print("The filesystem appears to be corrupted. Erase the flash and program it anew.")
            time.sleep(3)
        vfs.VfsLfs2.mkfs(_flash)
        vfs.mount(vfs.VfsLfs2(_flash), _ROOT)
        if not _ZEPHYR:
            with open("boot.py", "w") as file:
                file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")


def _run(name):
    # As on a board: boot.py and main.py see what the prompt sees.
    try:
        with open(name) as file:
            code = compile(file.read(), name, "exec")
    except OSError:
        return
    exec(code, __import__("__main__").__dict__ if _PROMPT else {"__name__": "__main__"})


def _ends_well(name):
    # False after an exception, Ctrl-C among them: then the prompt comes next.
    try:
        micropython.kbd_intr(3)
        try:
            _run(name)
        finally:
            micropython.kbd_intr(-1)
        return True
    except SystemExit:
        _link.call("soft_reset")
    except BaseException as error:
        sys.print_exception(error)
    return False


micropython.kbd_intr(-1)  # before the board hears that it may interrupt
_link.start()
_flash = _Flash(os.getenv("AMR_FLASH"))
_link.handlers["w"] = _armed  # from the answer to boot on, it may be told
if _link.call("boot"):
    _flash.armed = True
_shims = os.getenv("AMR_SHIMS")
_host = vfs.VfsPosix(_shims)
vfs.umount("/")
vfs.mount(_host, "/shims")
_mount()
os.chdir(_ROOT)
sys.path[:] = ["", ".frozen", "/flash/lib" if _ZEPHYR else "/lib", "/shims"]
del _host, _shims

if _PROMPT:
    if (_ZEPHYR or _ends_well("boot.py")) and _PROMPT == "friendly":
        _link.call("main")
        _ends_well("main.py")
    _link.call("idle")
else:
    if not _ZEPHYR:
        _run("boot.py")
    _link.call("main")
    _run("main.py")
    _link.call("idle")
    while True:  # nobody types, but interrupts are taken
        time.sleep_ms(1000)
