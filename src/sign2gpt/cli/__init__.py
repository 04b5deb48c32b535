"""The command line: one verb a job.

Only what ``--help`` needs is imported here; each verb imports its job when it runs.
"""

from __future__ import annotations

import atexit
import errno
import gc
import sys
from threading import current_thread, main_thread

# In the order in which --help lists them.
from sign2gpt.cli import training, corpora, use  # isort: skip  # noqa: F401
from sign2gpt.cli.app import app
from sign2gpt.errors import UserError, one_line
from sign2gpt.interrupts import end_on_interrupt

__all__ = ["app", "main"]

_INTERRUPTED = 130  # exit code after Ctrl-C
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def main() -> None:
    """Entry point: a user's mistake ends in one sentence and exit code 2."""
    # Imports leave a million objects and no garbage: looking at them as they grow takes .4 s, and
    # as the process ends a second.
    gc.set_threshold(10_000)
    atexit.register(gc.freeze)
    if current_thread() is main_thread():
        end_on_interrupt()
    try:
        app()
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            _say_stopped()
        raise
    except KeyboardInterrupt:  # before or after the command itself
        _say_stopped()
        sys.exit(_INTERRUPTED)
    except UserError as error:
        # From a data worker the sentence comes behind that process's traceback.
        print(f"sign2gpt: {str(error).rpartition('UserError: ')[2].strip()}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if (sentence := _failure_of_the_system(error)) is None:
            raise
        print(f"sign2gpt: {sentence}", file=sys.stderr)
        sys.exit(2)


def _say_stopped() -> None:
    kept = (
        sys.argv[1:2] in (["demo"], ["prepare"], ["synth"], ["train"])
        and "--dry-run" not in sys.argv
    )
    more = "; the same command goes on from what is kept" if kept else ""
    print(f"sign2gpt: stopped{more}.", file=sys.stderr)


def _failure_of_the_system(error: Exception) -> str | None:
    """What the system refused, as a sentence; None where the error is another one."""
    from safetensors import SafetensorError

    said = str(error)
    no_memory = isinstance(error, RuntimeError) and any(word in said for word in _NO_MEMORY)
    if no_memory or isinstance(error, MemoryError) or getattr(error, "errno", 0) == errno.ENOMEM:
        return (
            f"There is not enough memory ({one_line(error)}); a smaller batch or model takes less, "
            "and `sign2gpt train RECIPE --dry-run` says how much."
        )
    if isinstance(error, RuntimeError) and "inline_container" in said:  # torch.save's writer
        return (
            "A checkpoint cannot be written whole, as where a disk is full; free some space and "
            "run the same command again."
        )
    if not isinstance(error, OSError | SafetensorError):
        return None
    file = getattr(error, "filename", None)
    what = f"{file} cannot be used" if file else "A file cannot be read or written"
    reason = getattr(error, "strerror", None) or one_line(error)
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in reason
    mend = "free some space and run the same command again" if full else "mend or name another one"
    return f"{what} ({reason}); {mend}."
