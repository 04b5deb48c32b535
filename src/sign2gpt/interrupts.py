"""Interrupts wait where one would be lost, or would leave something half-made.

Python raises one wherever the main thread is. Within an import that may be swallowed or renamed on
its way (OpenCV and classes of NumPy do), and the command would go on, or end in a traceback.

Where the system has no timers (Windows), none waits.
"""

import atexit
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.05  # seconds until one that waits tries again
_PATIENCE = 20.0  # seconds after which an import is taken to hang
_ENDING = 3.0  # seconds that what ends because of one is not broken off by another
_IMPORTING = "<frozen importlib._bootstrap>"
_holds = 0
_waits_since: float | None = None
_raised_at = -_ENDING


def end_on_interrupt() -> None:
    """Let Ctrl-C, and what a cluster or a container sends first, raise KeyboardInterrupt.

    For the main thread of a command. An interrupt waits until imports are through, and the blocks
    that are `held`, and for a moment after another one. Where Ctrl-C is ignored, as behind `nohup`,
    it stays so.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    atexit.register(_ignore_from_now)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt)


@contextmanager
def held() -> Iterator[None]:
    """Hold interrupts back; processes that start meanwhile never hear one from the keyboard.

    Without `end_on_interrupt` it is Ctrl-C alone, in this thread alone.
    """
    global _holds
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if masks else set()  # as it is
    _holds += 1  # the mask is of this thread alone: another one may take the signal
    try:
        if masks:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        _holds -= 1
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _waits_since, _raised_at
    if hasattr(signal, "setitimer"):
        now = time.monotonic()
        if number == signal.SIGALRM and _waits_since is None:
            return  # of an interrupt that another one has overtaken
        since = now if _waits_since is None else _waits_since
        ends = now < _raised_at + _ENDING
        waits = ends or _holds > 0 or (_imports(frame) and now < since + _PATIENCE)
        _waits_since = since if waits else None
        signal.setitimer(signal.ITIMER_REAL, _AGAIN if waits else 0)
        if waits:
            return
        _raised_at = now
    raise KeyboardInterrupt


def _ignore_from_now() -> None:
    """From here on the process only ends: there is nothing to interrupt."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None
