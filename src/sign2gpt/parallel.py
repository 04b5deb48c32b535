"""Work spread over processes, its results in order."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

from sign2gpt.errors import UserError
from sign2gpt.interrupts import held

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    chunk: int = 8,
) -> Iterator[Result]:
    """`work` of each item, in the order of `items`, whoever did it.

    The processes end with this one, however it ends; an interrupt from the keyboard is its alone.

    Args:
        work: a function that other processes can import (or a partial of one).
        workers: processes; all cores this process may use where None. One works in this process.
        chunk: items handed over at a time.

    Raises:
        UserError: a process was killed, by the system for its memory, say.
    """
    workers = min(workers or _cores(), len(items))
    if workers <= 1:
        yield from map(work, items)
        return
    # Not fork: the caller may run threads, which a forked child would lose in mid-lock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            with held():  # those who start here never hear of any
                results = pool.map(work, items, chunksize=chunk)
            yield from results
        except BrokenProcessPool as error:
            raise UserError(
                "A process that worked beside this one was killed, maybe for want of memory; run "
                "the same command again, with fewer --workers, and it goes on."
            ) from error
        finally:
            # Results that nobody has asked for yet cancel nothing: an interrupt that waited for
            # the processes to start would else be heard when all the work is done.
            with held():  # a second one would leave the pool half closed, and hang
                pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this process end when its parent does: one that is killed cannot say so."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _cores() -> int:
    """Those this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
