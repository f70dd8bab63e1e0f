"""What the tests of scenarios share."""

GOOD = """\
title = "a title"
about = "what it is about"

[[button]]
name = "button"

[[phone]]
name = "phone"
button = "button"

[[act]]
does = "press"
who = "button"
"""
