"""The one exception of these tools that is for people."""


class CommandError(Exception):
    """Tell that what was asked cannot be done; the message says what to do instead."""
