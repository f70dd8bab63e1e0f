"""A real Chromium, over the DevTools protocol.

`AMR_PICTURES=docs` before it takes pictures: the guides' go there, all others to build/. Without it none is
taken: to draw one costs more than most tests.
"""

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

# The shell is the same engine without the browser around it: less than half the processor's time.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PICTURES = Path(__file__).parents[2] / "build"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--ignore-certificate-errors", "--remote-debugging-port=0"),
)
LIMIT_S = 60  # for what never comes: nothing is measured by it
_KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "Backspace": 8, "ArrowDown": 40, "ArrowUp": 38, "+": 187}


class Failed(Exception):
    """The browser cannot do it, or the page's script threw; with what it says."""


class Tab:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.complaints: list[Any] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json(timeout=LIMIT_S)
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(said["params"])
            if said.get("id") == number:
                if "error" in said:
                    raise Failed(said["error"])
                return said["result"]

    async def value(self, expression: str) -> Any:
        """Of JavaScript. Raises Failed where it throws."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise Failed(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Of a document that is all there; also across a navigation, during which there is nobody to ask.

        A page that makes itself anew has its title before its body.
        """
        there = f"document.readyState === 'complete' && ({expression})"
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    with contextlib.suppress(Failed):
                        if await self.value(there):
                            return
                    await asyncio.sleep(0.03)
        except TimeoutError:
            seen = await self.value("document.body.innerText")
            raise AssertionError(f"never: {expression}\nseen: {seen}\n{self.complaints}") from None

    async def open(self, address: str) -> None:
        """As if typed into the address bar; returns when its own document is there.

        The browser answers when it is ready to leave the document that is shown, not when it has left it.
        """
        await self.value("void (window.isLeft = true)")
        await self.call("Page.navigate", url=address)
        await self.until("!window.isLeft")

    async def click(self, selector: str) -> None:
        await self.value(f"document.querySelector({selector!r}).click()")

    async def key(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        same = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper()))}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **same)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    async def size(self, width: int, height: int, scale: int = 1) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    async def write(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """Of what is in view, or of the `whole` page; where pictures are asked for."""
        if "AMR_PICTURES" not in os.environ:
            return
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def guide_picture(self, name: str, *, whole: bool = False) -> None:
        """That of a guide in docs/."""
        await self.picture(Path(os.environ.get("AMR_PICTURES", "")) / f"{name}.png", whole=whole)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """A browser for many tests; its address. For `new_tab`."""
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        for _ in range(1000):
            if port_file.exists() and len(lines := port_file.read_text().split()) == 2:
                break
            time.sleep(0.02)
        else:
            raise TimeoutError("chromium does not start")
        yield f"ws://127.0.0.1:{lines[0]}{lines[1]}"
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def new_tab(address: str) -> AsyncIterator[Tab]:
    """A tab with a storage of its own, as in a browser that was never used before."""
    async with new_tabs(address, 1) as (tab,):
        yield tab


@contextlib.asynccontextmanager
async def new_tabs(address: str, count: int) -> AsyncIterator[list[Tab]]:
    """Tabs of one such browser."""
    base = address.partition("/devtools/")[0]
    async with contextlib.AsyncExitStack() as kept:
        session = await kept.enter_async_context(aiohttp.ClientSession())
        browser = Tab(await kept.enter_async_context(session.ws_connect(address)))
        context = (await browser.call("Target.createBrowserContext"))["browserContextId"]
        kept.push_async_callback(browser.call, "Target.disposeBrowserContext", browserContextId=context)
        tabs = []
        for _ in range(count):
            made = await browser.call("Target.createTarget", url="about:blank", browserContextId=context)
            page = f"{base}/devtools/page/{made['targetId']}"
            tab = Tab(await kept.enter_async_context(session.ws_connect(page, max_msg_size=0)))
            for domain in ("Page", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            tabs.append(tab)
        yield tabs
