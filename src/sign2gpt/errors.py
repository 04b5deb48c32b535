"""The one error a user is meant to read: a sentence that says what, where and how to mend it."""


class UserError(Exception):
    """Something the user gave cannot be used; the command line prints it and exits with code 2."""


def one_line(error: Exception) -> str:
    """Kind and first line of another library's error, for the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.') if lines else 'no message'}"
