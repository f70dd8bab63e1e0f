"""A plugin for pytest, and for a program: another system, which has not what Linux alone has."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

LINUX_ALONE = ("fcntl", "resource", "dbus_fast")


class _Absent(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 -- the shape of a finder
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> None:
        if fullname.partition(".")[0] in LINUX_ALONE:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, _Absent())
for name in [name for name in sys.modules if name.partition(".")[0] in LINUX_ALONE]:
    del sys.modules[name]
