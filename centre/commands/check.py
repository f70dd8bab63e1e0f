"""`amr-centre check`: a test alarm through the whole chain to the desks, at the start of a shift.

The program is a check button and its phone in one: real codes, real HTTPS, real proofs of each stage. Its
button is known to the centre as one for exercises only, so what it sends can alarm nobody in earnest.
"""

import argparse
import asyncio
import hashlib
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import aiohttp

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, address, core_of, no, zone
from centre.platform.home import Home
from centre.platform.tls import CA_FILE
from centre.settings import CONFIG, load, settle
from centre.work import buttons, exercises
from centre.work.core import Core
from wire import codes, keys, receipts
from wire.keys import Mac, derive

WAIT_S, WAIT_S_MAX = 120, 3600
ANSWER_S_MAX = 10.0
_UNUSABLE = ("enrolment_unknown", "enrolment_used", "enrolment_expired", "unauthorised", "revoked")


@dataclass(frozen=True, slots=True)
class CheckButton:
    """What the program keeps of its button, in a file of the home; the counter is raised before its use."""

    zone: str
    device_id: str
    root: str
    code: str  # of the enrolment
    token: str = ""
    counter: int = 0


class Failed(Exception):
    """The chain is broken; the text says where. `reason`: the centre's, where it has refused."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


def add_check(commands: Commands) -> None:
    parser = commands.add(check)
    parser.add_argument("--zone", type=zone, help="the police zone; needed the first time")
    parser.add_argument(
        "--url", type=address, help="this centre as phones reach it (default: by the home's configuration)"
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate to believe, where serve runs with --cert"
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=WAIT_S,
        metavar="SECONDS",
        help="how long an operator may take to confirm (default: %(default)s)",
    )


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= WAIT_S_MAX:
        raise argparse.ArgumentTypeError(f"it is 1 to {WAIT_S_MAX} seconds")
    return int(text)


def check(arguments: argparse.Namespace) -> int:
    """Send a test alarm, wait for the desk's word, print it."""
    home, core = Home(arguments.home), core_of(arguments)
    zones = sorted({button.zone for button in exercises.check_buttons(core)})
    if arguments.zone is None and len(zones) != 1:
        known = f" (there are check buttons of {', '.join(zones)})" if zones else ""
        return no(BAD_INPUT, f"say which zone: --zone ZONE{known}")
    try:
        url, trust = arguments.url or _url(home), _trust(home, arguments.ca)
    except OSError as error:
        return no(
            BAD_INPUT, f"{arguments.ca or home.path / CA_FILE} cannot be used: {error.strerror or error}"
        )
    chain = Chain(home, core, url, arguments.zone or zones[0])
    try:
        return asyncio.run(chain.run(trust, arguments.wait))
    except Failed as failed:
        return no(COULD_NOT, f"NO TEST ALARM: {failed}")


def _url(home: Home) -> str:
    """Return where phones reach this centre, by its configuration."""
    path = home.path / CONFIG
    settings = settle(load(path) if path.exists() else {})
    return settings.public_url or f"https://localhost:{settings.port}"


def _trust(home: Home, ca: Path | None) -> ssl.SSLContext:
    """Believe what a phone believes: the pinned CA; the system's where the home has none. Raises OSError."""
    own = home.path / CA_FILE
    return ssl.create_default_context(cafile=ca or (own if own.exists() else None))


class Chain:
    """One test alarm, from the button's code to the desk and back to the button's proof."""

    def __init__(self, home: Home, core: Core, url: str, zone: str) -> None:
        self._home, self._core, self._url, self._zone = home, core, url, zone
        self._file = f"check-{hashlib.sha256(zone.encode()).hexdigest()[:16]}.json"

    async def run(self, trust: ssl.SSLContext, wait_s: int) -> int:
        """Return the exit code. Raises Failed."""
        timeout = aiohttp.ClientTimeout(sock_connect=ANSWER_S_MAX)
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            button = await self._button(session)
            button = self._keep(replace(button, counter=button.counter + 1))
            incident_id = await self._press(session, button)
            print(
                f"zone {self._zone}: test alarm {incident_id} is stored; now on every desk, marked EXERCISE"
            )
            try:
                async with asyncio.timeout(wait_s):
                    async for stage in self._stages(session, button, incident_id):
                        print(f"the button has the proof of {receipts.NAMES[stage]}")
            except TimeoutError:
                return no(COULD_NOT, f"nobody has confirmed within {wait_s} s: is anybody at a desk?")
        return self._told(incident_id)

    def _told(self, incident_id: str) -> int:
        """Print what the desk has said."""
        said = exercises.desk_check(self._core, incident_id)
        if said is None:
            return no(COULD_NOT, "the test alarm was closed, and nobody has said whether it was heard")
        if not said.sound_heard:
            return no(COULD_NOT, f"{said.name} saw it after {said.after_s:.1f} s, but heard NO SOUND")
        print(f"seen and heard by {said.name} after {said.after_s:.1f} s")
        return 0

    async def _button(self, session: aiohttp.ClientSession) -> CheckButton:
        """Return the zone's check button, enrolled; a new one where there is none that the centre knows."""
        in_use = {button.device_id for button in exercises.check_buttons(self._core)}
        kept = self._kept()
        if kept is not None and kept.device_id not in in_use:
            kept = None  # it was revoked, or a backup knows nothing of it
        for button in ([kept] if kept else []) + [None]:
            try:
                return await self._enrolled(session, button or self._new())
            except Failed as failed:
                if button is None or failed.reason not in _UNUSABLE:
                    raise
        raise AssertionError

    def _kept(self) -> CheckButton | None:
        path = self._home.path / self._file
        try:
            return CheckButton(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            raise Failed(f"{path} cannot be read: remove it, and another check button is made") from None

    def _new(self) -> CheckButton:
        code = "".join(secrets.choice(buttons.BASE32) for _ in range(buttons.ENROLMENT_CHARS))
        made = exercises.new_check_button(hashlib.sha256(code.encode()).hexdigest())
        button = CheckButton(self._zone, made.device_id, made.root.hex(), code)
        self._keep(button)
        exercises.add_check_button(self._core, self._zone, made)
        return button

    def _keep(self, button: CheckButton) -> CheckButton:
        self._home.write(self._file, json.dumps(asdict(button)).encode())
        return button

    async def _enrolled(self, session: aiohttp.ClientSession, button: CheckButton) -> CheckButton:
        if button.token:
            return button
        answer = await self._post(session, "/v1/enrolments", {"code": button.code})
        return self._keep(replace(button, token=str(answer["token"])))

    async def _press(self, session: aiohttp.ClientSession, button: CheckButton) -> str:
        """Press; return the incident, whose first receipt is proven. Raises Failed."""
        code = codes.code(self._mac(button, "code"), codes.ALARM, button.counter)
        press = {"device_id": button.device_id, "event": codes.ALARM, "counter": button.counter}
        told = {"code": code.hex(), "path": "phone", "age_s": 0}
        answer = await self._post(session, "/v1/alarms", press | told, button.token)
        self._prove(button, answer["receipt"])
        return str(answer["incident"])

    async def _post(
        self, session: aiohttp.ClientSession, path: str, body: object, token: str = ""
    ) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with (
                asyncio.timeout(ANSWER_S_MAX),
                session.post(self._url + path, json=body, headers=headers) as response,
            ):
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError, TimeoutError) as error:
            raise Failed(f"{self._url} cannot be reached: {_why(error)}") from None
        if response.status not in (200, 201) or not isinstance(answer, dict):
            reason = str(answer.get("reason", "")) if isinstance(answer, dict) else ""
            raise Failed(f"{self._url}{path} answers {response.status} {reason}".rstrip(), reason)
        return answer

    async def _stages(
        self, session: aiohttp.ClientSession, button: CheckButton, incident_id: str
    ) -> AsyncIterator[int]:
        """Yield each later stage as the button would feel it, until the last. Raises Failed."""
        headers = {"Authorization": f"Bearer {button.token}"}
        path = f"/v1/incidents/{incident_id}/receipts"
        try:
            async with session.get(self._url + path, headers=headers) as response:
                async for raw in response.content:
                    if raw.startswith(b"data: "):
                        stage = self._prove(button, json.loads(raw[6:]))
                        if stage > receipts.RECEIVED:
                            yield stage
        except aiohttp.ClientError as error:
            raise Failed(f"the stream of receipts has ended: {_why(error)}") from None

    def _prove(self, button: CheckButton, receipt: object) -> int:
        """Check a receipt as the button does; return its stage. Raises Failed."""
        press = (codes.ALARM, button.counter)
        receipt = receipt if isinstance(receipt, dict) else {}
        try:
            value = bytes((receipt["stage"],)) + bytes.fromhex(receipt["proof"])
            return receipts.check(
                value, self._mac(button, "heard"), self._mac(button, "receipt"), press, press
            )
        except (KeyError, TypeError, ValueError, keys.InvalidMessage):
            raise Failed("the centre's proof is not right: the button would not have vibrated") from None

    @staticmethod
    def _mac(button: CheckButton, label: str) -> Mac:
        return Mac(derive(bytes.fromhex(button.root), label))


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_S_MAX:.0f} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not the one that phones pin (--ca)"
    return str(error) or type(error).__name__
