# The board's first program: mount the flash at /, then boot.py and main.py, as on an ESP32.

import os
import sys
import time
import vfs

import _link

_ERASED = b"\xff" * 128


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


def _armed(event):
    _flash.armed = event[1]
    _link.call("armed")


_link.start()
_flash = _Flash(os.getenv("AMR_FLASH"))
_flash.armed = _link.call("boot")
_link.handlers["w"] = _armed
_shims = os.getenv("AMR_SHIMS")
_host = vfs.VfsPosix(_shims)
vfs.umount("/")
vfs.mount(_host, "/shims")
vfs.mount(vfs.VfsLfs2(_flash), "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib", "/shims"]
del _host, _shims


def _run(name):
    # As on a board: a program of its own, whose __name__ is __main__.
    try:
        with open(name) as file:
            code = compile(file.read(), name, "exec")
    except OSError:
        return
    exec(code, {"__name__": "__main__"})


_run("boot.py")
_link.call("main")
_run("main.py")
_link.call("idle")
while True:  # the prompt: nobody types, but interrupts are taken
    time.sleep_ms(1000)
