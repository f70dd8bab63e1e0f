"""The protected person at the phone: what can be seen and done on the bridge's own page."""

import socket
from typing import Any

import aiohttp


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class ProtectedPerson:
    """The phone's browser, at the protected person's page. `session` carries the page's secret."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session, self._url = session, f"http://127.0.0.1:{port}"

    async def see(self, seen: int = -1) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/status", params={"seen": seen}) as answer:
            answer.raise_for_status()
            shown: dict[str, Any] = await answer.json()
            return shown

    async def until(self, what: str, key: str, value: object) -> dict[str, Any]:
        """Wait until the first button's `what` has this value under `key`, by long polls as the page does."""
        shown = await self.see()
        while (shown["tags"][0][what] or {}).get(key) != value:
            shown = await self.see(shown["seen"])
        press: dict[str, Any] = shown["tags"][0][what]
        return press

    async def post(self, path: str, **body: object) -> dict[str, Any]:
        async with self._session.post(self._url + path, json=body, headers={"Origin": self._url}) as answer:
            answer.raise_for_status()
            done: dict[str, Any] = await answer.json()
            return done

    async def call_off(self, press: dict[str, Any], pin: str) -> str:
        """Call the press off, and return one of the bridge's outcomes: done, wrong_pin, kept, ..."""
        which = {name: press[name] for name in ("tag", "event", "counter")}
        outcome: str = (await self.post("/undo", **which, pin=pin))["outcome"]
        return outcome
