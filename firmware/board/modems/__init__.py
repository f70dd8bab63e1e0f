"""Tables of what modems are told, one a file; firmware/board/modem.py plays them.

A step is a line: `command|wanted|seconds|again|error`. `wanted`: nothing (OK is enough), how a line
begins, a judge of modem.py by its name, or the prompt; `again`: asked each so many seconds until it is met;
`error`: of wire/direct.py, and nothing where a failure does not matter.
"""
