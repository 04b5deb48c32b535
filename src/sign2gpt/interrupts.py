"""Interrupts wait where one would be lost, or would leave something half-made.

Python raises one wherever the main thread is. Within an import that may be swallowed or renamed on
its way (OpenCV and classes of NumPy do), and the command would go on, or end in a traceback.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.05  # seconds until one that waits tries again
_IMPORTING = "<frozen importlib._bootstrap>"
_holds = 0


def end_on_interrupt() -> None:
    """Let Ctrl-C, and what a cluster or a container sends first, raise KeyboardInterrupt.

    For the main thread of a command. An interrupt waits until imports are through, and the blocks
    that are `held`. Where Ctrl-C is ignored, as behind `nohup`, it stays so.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _interrupt)


@contextmanager
def held() -> Iterator[None]:
    """Hold interrupts back; processes that start meanwhile never hear one from the keyboard."""
    global _holds
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    _holds += 1  # the mask is of this thread alone: another one may take the signal
    try:
        yield
    finally:
        _holds -= 1
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if hasattr(signal, "setitimer") and (_holds or _imports(frame)):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        return
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None
