"""Blocks of a batch, and the threads that take them.

The threads are Python's own, and the kernels run without its lock: no other library's
thread pool takes part, and none of what is computed depends on how many there are.

Threads share only deques and dictionaries, of which each operation is whole for all other
threads, with Python's lock or without it. No lock is held, so that neither a fork nor an
interrupt can leave one locked.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from sknt._runtime import n_threads

BLOCK = 16
"""Sequences that go through the steps together: their memories fit into the cache."""


class Partition(NamedTuple):
    """How a batch is shared out."""

    n_blocks: int
    n_threads: int
    block: int  # sequences of the largest block


def make_partition(n_sequences: int) -> Partition:
    """Share out as many sequences as there are among as many threads as are allowed."""
    threads = min(n_threads(), n_sequences)
    wanted = -(-n_sequences // BLOCK)
    n_blocks = min(n_sequences, -(-wanted // threads) * threads)
    return Partition(n_blocks, threads, -(-n_sequences // n_blocks))


def run(n_tasks: int, threads: int, function: Callable[[int, int, int], None]) -> None:
    """Call ``function(task, n_tasks, thread)`` for every task.

    Whatever is raised, an interrupt included, is raised as soon as no thread is inside the
    function any more; tasks that have not begun by then are left out.
    """
    tasks = deque(range(n_tasks))

    def work(thread: int) -> None:
        try:
            while (task := _first(tasks)) is not None:
                function(task, n_tasks, thread)
        except BaseException:
            tasks.clear()
            raise

    jobs = [_Job(partial(work, thread)) for thread in range(1, min(threads, n_tasks))]
    try:
        for job in jobs:
            _hand_over(job, len(jobs))
        work(0)
    finally:
        tasks.clear()
        _wait_for(jobs)
    for job in jobs:
        if job.error is not None:
            raise job.error


def _first(items: deque[Any]) -> Any:
    """Take the first of the items, or None if there is none left."""
    try:
        return items.popleft()
    except IndexError:
        return None


class _Job:
    """Work for another thread, unless it is called off before that thread begins."""

    def __init__(self, work: Callable[[], None]):
        self.error: BaseException | None = None
        self._work = [work]
        self._claim: dict[str, str] = {}
        self._ended = False
        self._end = threading.Lock()  # released when the work has ended
        self._end.acquire()

    def do(self) -> None:
        """Do the work, in another thread."""
        if self._claim.setdefault("by", "worker") != "worker":
            return
        try:
            self._work.pop()()  # and refer to none of its arrays any more
        except BaseException as error:
            self.error = error
        self._ended = True
        self._end.release()

    def wait(self) -> None:
        """Call the work off, or wait until it has ended; may be called again."""
        if self._claim.setdefault("by", "caller") == "caller":
            self._work.clear()  # and refer to none of its arrays any more
            return
        while not self._ended:
            # An interrupt may come after the lock is acquired and before this returns, and
            # then nothing releases the lock a second time.
            self._end.acquire(timeout=1.0)


def _wait_for(jobs: list[_Job]) -> None:
    """Wait until no other thread works on the jobs; an interrupt has to wait, too."""
    interrupt = None
    while True:
        try:
            for job in jobs:
                job.wait()
            break
        except BaseException as error:
            interrupt = error
    if interrupt is not None:
        try:
            raise interrupt
        finally:
            del interrupt  # which refers to this frame


# The threads of this process, which wait for jobs until it ends

_jobs: SimpleQueue[_Job] = SimpleQueue()
_threads: list[threading.Thread] = []


def _hand_over(job: _Job, n_wanted: int) -> None:
    """Let one of at least ``n_wanted`` threads do a job."""
    try:
        while len(_threads) < n_wanted:
            thread = threading.Thread(
                target=_serve, args=(_jobs,), name="sknt", daemon=True
            )
            thread.start()
            _threads.append(thread)
    except RuntimeError:  # no more threads can be had: the caller does what is left
        pass
    if _threads:
        _jobs.put(job)


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        jobs.get().do()


def _start_anew() -> None:
    """Forget the threads, none of which survives a fork, and what they had to do."""
    global _jobs
    _jobs = SimpleQueue()
    _threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
