"""A progress bar with the time that remains, for work of known length."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS = 10.0


class Advance(Protocol):
    """Called whenever a job has got further; `what` names its step, where it has several."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


@contextmanager
def progress_display() -> Iterator[Progress]:
    """A place on standard error for one bar under another, for a job of many steps.

    It is drawn from the first move of a bar on: a job that is refused at its door shows none.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<36}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    try:
        yield progress
    finally:
        if progress.live.is_started:
            progress.stop()


def add_bar(progress: Progress, title: str) -> Advance:
    """A new bar of a display; call what is returned to move it.

    Where standard error is no terminal, a log is: there a line is written now and then.
    """
    if not progress.console.is_terminal:
        return _lines(title)
    task = progress.add_task(title, total=None)

    def advance(done: int, total: int, what: str = "") -> None:
        progress.start()  # nothing, where it is drawn already
        progress.update(task, description=_titled(title, what), completed=done, total=total)

    return advance


def _lines(title: str) -> Advance:
    """A line at each tenth of a job, at most one in `_SECONDS`: short jobs say nothing."""
    start = last = time.monotonic()
    begin = tenth = -1
    step: tuple[str, int] | None = None

    def advance(done: int, total: int, what: str = "") -> None:
        nonlocal start, last, begin, tenth, step
        now = time.monotonic()
        if step != (what, total) or done < begin:  # which may go on from an earlier run's
            start, begin, tenth, step = now, done, -1, (what, total)
        due = now - last >= 60 or 10 * done // max(total, 1) > tenth
        if done > begin and now - last >= _SECONDS and due:
            last, tenth = now, 10 * done // total
            left = (now - start) / (done - begin) * (total - done) / 60
            title_now = _titled(title, what)
            print(f"{title_now}: {done:,} of {total:,}, {left:.1f} minutes left", file=sys.stderr)

    return advance


def _titled(title: str, what: str) -> str:
    return f"{title}, {what}" if what else title


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """Show one bar while the block runs; yields the function that moves it."""
    with progress_display() as progress:
        yield add_bar(progress, title)
