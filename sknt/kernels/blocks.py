"""Blocks of a batch, and the threads that take them.

The threads are Python's own, and the kernels run without its lock: no other library's
thread pool takes part, and none of what is computed depends on how many there are.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sknt._runtime import n_threads

BLOCK = 16
"""Sequences that go through the steps together: their memories fit into the cache."""

_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


class Plan(NamedTuple):
    """How a batch is shared out."""

    n_blocks: int
    n_threads: int
    block: int  # sequences of the largest block


def make_plan(n_sequences: int) -> Plan:
    """Share out as many sequences as there are among as many threads as are allowed."""
    threads = min(n_threads(), n_sequences)
    wanted = -(-n_sequences // BLOCK)
    n_blocks = min(n_sequences, -(-wanted // threads) * threads)
    return Plan(n_blocks, threads, -(-n_sequences // n_blocks))


def run(n_tasks: int, threads: int, function: Callable[[int, int, int], None]) -> None:
    """Call ``function(task, n_tasks, thread)`` for every task."""
    if threads == 1:
        for task in range(n_tasks):
            function(task, n_tasks, 0)
        return
    tasks = iter(range(n_tasks))

    def work(thread: int) -> None:
        while (task := next(tasks, None)) is not None:  # atomic, by Python's lock
            function(task, n_tasks, thread)

    others = [_pool(threads - 1).submit(work, i) for i in range(1, threads)]
    try:
        work(0)
    finally:
        for other in others:
            other.result()


def _pool(n: int) -> ThreadPoolExecutor:
    """Return a pool of this process: threads do not survive a fork."""
    key = os.getpid(), n
    with _lock:
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(n, thread_name_prefix="sknt")
        return _pools[key]
