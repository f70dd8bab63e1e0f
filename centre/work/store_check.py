"""Whether the store takes what an alarm would write: tried, not guessed from free space."""

import secrets

from centre.work.core import Core

# More than an alarm with its entry of the log: what has room for this has room for that.
BYTES = 32_768


def write(core: Core) -> None:
    """Write as an alarm does, over what was written the last time. Raises sqlite3.Error."""
    with core.store.transaction():
        # Drawn anew: SQLite writes no page that is as it was.
        core.store.run("check_write", filler=secrets.token_bytes(BYTES), now_ms=core.now_ms())
