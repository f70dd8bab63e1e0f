"""What a sub-command ends with when it cannot do what it was asked."""

OK, FAILED, USAGE = 0, 1, 2


class CommandError(Exception):
    """A command cannot be carried out; the text is a sentence for the user."""

    exit_code = FAILED


class BadInput(CommandError):
    """What the user gave cannot be used; the text is a sentence for them."""

    exit_code = USAGE
