"""The one error a user is meant to read: a sentence that says what, where and how to mend it."""

import os
from pathlib import Path


class UserError(Exception):
    """Something the user gave cannot be used; the command line prints it and exits with code 2."""


def check_output(folder: Path) -> None:
    """Find out before hours of work whether results can be written to a folder; makes nothing.

    Raises:
        UserError: the folder, or the nearest one above it that is there, takes no files.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    reason = None if there.is_dir() else "is not a folder"
    if reason is None and not os.access(there, os.W_OK):
        reason = "is write-protected"
    if reason:
        raise UserError(f"Nothing can be written to {folder}: {there} {reason}; name another one.")
