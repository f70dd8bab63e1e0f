"""docs/api.md: the bridge in it is a bridge."""

import asyncio
import re
import sys
from pathlib import Path

from tests.unit.centre.parts import Hand, centre

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
HAND = Hand()


async def test_the_guides_bridge_enrols_alarms_and_lives(tmp_path: Path) -> None:
    """As it is printed there, but for the address, the code and the CA's file."""
    (program,) = re.findall(r"^```python\n(.+?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    async with centre(tmp_path, HAND) as (serving, _):
        (tmp_path / "pinned.pem").write_bytes(serving.authority.pem)
        for before, after in (
            ("https://127.0.0.1:8443", serving.url),
            ("the code", HAND.enrolment_code),
            ("ca.pem", str(tmp_path / "pinned.pem")),
        ):
            program = program.replace(f'"{before}"', f'"{after}"')
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    receipt, next_in_s = said.decode().splitlines()
    assert re.match(r"[0-9a-f]+ \{'stage': 1, 'proof': '[0-9a-f]{32}'\}", receipt)
    assert 10 <= int(next_in_s) < 60 + 10
