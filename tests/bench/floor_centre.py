"""The floor of the centre's bench: an aiohttp handler that reads the body, keeps nothing, and answers."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from centre.platform import tls
from centre.platform.home import Home

ANSWER = {
    "incident": "0123456789abcdef",
    "receipt": {"stage": 1, "proof": "0123456789abcdef0123456789abcdef"},
    "dropped": [],
}


async def no_op(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response(ANSWER, status=201)


async def serve(home: Home) -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", no_op)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.development_context(home, "127.0.0.1")).start()
    print(f"https://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Home(Path(sys.argv[1]))))
