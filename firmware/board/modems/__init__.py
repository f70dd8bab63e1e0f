"""Tables of what modems are told, one a file; firmware/board/modem.py plays them.

A step is `(command, wanted, wait_ms, every_ms, error)`: `wanted` is None (OK is enough), how a line begins,
or a judge; `every_ms` asks again until it is met; `error` 0 means that it does not matter.
"""
