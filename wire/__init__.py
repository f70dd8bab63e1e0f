"""What is said between button, bridge and centre.

One source for MicroPython and CPython: these modules import `hashlib` and `struct` alone.
`SPEC.md` has the byte tables, `vectors.json` the golden and the hostile examples.
"""
