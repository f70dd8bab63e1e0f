"""What the tests of the radio share: a D-Bus daemon of their own."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

# No service directories: nothing of this machine is started by our questions.
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/>{more}</policy>
</busconfig>"""


@contextlib.contextmanager
def a_bus(folder: Path, more: str = "") -> Iterator[str]:
    """Run a system bus of the test's own, with nobody on it; `more` goes into its policy."""
    path, configuration = folder / "bus", folder / "bus.conf"
    configuration.write_text(CONFIGURATION.format(path=path, more=more))
    process = subprocess.Popen(
        ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"unix:path={path}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
