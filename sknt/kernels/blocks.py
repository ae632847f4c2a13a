"""Partition of a batch into blocks, and the threads that compute them.

The kernels release Python's global lock and run in threads of this module. A pool of
``concurrent.futures`` would not do: its locks can be held by another thread during a fork,
and an interrupt can leave its workers behind. No result depends on the number of threads.

Threads share only deques and dictionaries, whose single operations are atomic with and
without the global lock. No lock is ever held, so neither a fork nor an interrupt can leave
one locked.
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
"""Sequences per block at most; the memories of so many fit into the cache."""


class Partition(NamedTuple):
    """How a batch is divided among threads."""

    n_blocks: int
    n_threads: int
    block: int  # number of sequences in the largest block


def make_partition(n_sequences: int) -> Partition:
    """Divide a batch among as many threads as are allowed."""
    threads = min(n_threads(), n_sequences)
    wanted = -(-n_sequences // BLOCK)
    n_blocks = min(n_sequences, -(-wanted // threads) * threads)
    return Partition(n_blocks, threads, -(-n_sequences // n_blocks))


def run(n_tasks: int, threads: int, function: Callable[[int, int, int], None]) -> None:
    """Call ``function(task, n_tasks, thread)`` for every task.

    An exception in any thread, an interrupt included, is raised once no thread is inside
    the function any more; tasks that have not begun by then are skipped.
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
    """Remove and return the first item, or return None if there is none left."""
    try:
        return items.popleft()
    except IndexError:
        return None


class _Job:
    """Work for another thread, which the caller can cancel until that thread begins."""

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
            self._work.pop()()  # pop: keep no reference to its arrays afterwards
        except BaseException as error:
            self.error = error
        self._ended = True
        self._end.release()

    def wait(self) -> None:
        """Cancel the work, or wait until it has ended; may be called repeatedly."""
        if self._claim.setdefault("by", "caller") == "caller":
            self._work.clear()  # keep no reference to its arrays
            return
        while not self._ended:
            # With a timeout: an interrupt can arrive after the lock has been acquired and
            # before this returns, and nothing would release the lock a second time.
            self._end.acquire(timeout=1.0)


def _wait_for(jobs: list[_Job]) -> None:
    """Wait until no other thread works on the jobs, and only then raise an interrupt."""
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
            del interrupt  # its traceback refers to this frame


# The worker threads of this process: daemons that wait for jobs until it ends

_jobs: SimpleQueue[_Job] = SimpleQueue()
_threads: list[threading.Thread] = []


def _hand_over(job: _Job, n_wanted: int) -> None:
    """Queue a job for the worker threads, of which there will be at least ``n_wanted``."""
    try:
        while len(_threads) < n_wanted:
            thread = threading.Thread(
                target=_serve, args=(_jobs,), name="sknt", daemon=True
            )
            thread.start()
            _threads.append(thread)
    except RuntimeError:  # no more threads can be started: the caller does the rest
        pass
    if _threads:
        _jobs.put(job)


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        jobs.get().do()


def _start_anew() -> None:
    """Forget the worker threads, none of which survives a fork, and their jobs."""
    global _jobs
    _jobs = SimpleQueue()
    _threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
