"""The one error a user is meant to read: a sentence that says what, where and how to mend it."""


class UserError(Exception):
    """Something the user gave cannot be used; the command line prints it and exits with code 2."""
