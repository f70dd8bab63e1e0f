"""The one exception of these tools that is for people."""


class Refused(Exception):
    """What was asked cannot be done; the message says what to do instead."""
