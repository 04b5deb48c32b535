"""Folders that results go to, and the small files of our own that are read again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sign2gpt.errors import UserError, one_line

LOCK = ".sign2gpt.lock"
"""Name of the file in a folder that one process alone may write to."""
_NO_LOCKS = {
    errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EROFS, errno.EACCES, errno.EPERM
}  # fmt: skip


def check_output(folder: Path) -> None:
    """Find out before hours of work whether results can be written to a folder; leaves nothing.

    Raises:
        UserError: the folder, or the nearest one above it that is there, takes no files.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    reason = None if there.is_dir() else "is not a folder"
    if reason is None:
        try:  # what permissions say is not asked: root may do everything but write to /proc
            os.rmdir(tempfile.mkdtemp(prefix=".sign2gpt-", dir=there))
        except OSError as error:
            reason = f"takes no files ({error.strerror})"
    if reason:
        raise UserError(f"Nothing can be written to {folder}: {there} {reason}; name another one.")


def make_weights_readable(folder: Path) -> None:
    """Let those read a saved model's weights who may read its configuration: safetensors makes
    files for their owner alone."""
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if the block fails, those that stayed empty go again."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first one that is not empty, and all above it, stay
            for place in made:
                place.rmdir()
        raise


@contextmanager
def alone_in(folder: Path, refusal: str) -> Iterator[None]:
    """As `new_folder`, and other processes are kept from writing to it while the block runs.

    Where the file system has no locks, or takes no files, nobody is kept out.

    Raises:
        UserError: with `refusal`, where another process is in it.
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    with new_folder(folder):
        lock = FileLock(path, fallback_to_soft=False)
        held = None
        try:
            lock.acquire(timeout=0)
            held = path.stat().st_ino
        except Timeout as error:
            raise UserError(refusal) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                reason = error.strerror
                raise UserError(f"{path} cannot be locked ({reason}); remove it.") from error
        try:
            yield
        finally:
            with suppress(OSError):
                if held in (None, path.stat().st_ino):  # not of a folder that was made since
                    path.unlink()
            lock.release()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty place beside `folder` to fill, which then takes its place: a folder that is
    there is whole, and a block that fails leaves nothing.

    Args:
        folder: not there yet, or empty.
    """
    folder = folder.resolve()  # "." has no place beside it, a link is not replaced
    with new_folder(folder.parent):
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            yield staging
            staging.chmod(0o755)  # a temporary folder is its maker's alone
            staging.replace(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Turns whatever a damaged file of our own breaks, read or used, into a sentence.

    Args:
        path: the file that is read in the block.
        remedy: how to mend it.
    """
    try:
        yield
    except (
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError
    ) as error:  # fmt: skip
        raise UserError(f"The file {path} is damaged ({one_line(error)}); {remedy}.") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a place beside `path` to write to, which then takes its place: a file that is there is
    whole, and a block that fails leaves nothing. A device or a pipe is given itself.

    Raises:
        OSError: of the block, naming `path`.
    """
    special = path.exists() and not path.is_file() and not path.is_dir()
    unfinished = path if special else path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        if not special:
            unfinished.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(unfinished)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if not special:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path, suffix: str) -> None:
    """Remove what a killed process has left of a `whole_file` with this suffix."""
    for left in folder.glob(f".*{suffix}.*"):
        left.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text all at once; as `whole_file`."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, readable in any language, all at once."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
