"""The one exception for what a user can mend."""


class InputError(ValueError):
    """A mistake in files or flags; its text names the file, the row if there is one, and the cure.

    Command lines print the text without a traceback and exit with code 2.
    """
