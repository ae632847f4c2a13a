"""Blocks of a batch, and the threads that take them.

The threads are Python's own, and the kernels run without its lock: no other library's
thread pool takes part, and none of what is computed depends on how many there are.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sknt._runtime import n_threads

BLOCK = 16
"""Sequences that go through the steps together: their memories fit into the cache."""

_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def n_blocks(n_sequences: int) -> int:
    """Return the number of blocks, a multiple of the number of threads if possible."""
    wanted = -(-n_sequences // BLOCK)
    threads = n_workers(n_sequences)
    return min(n_sequences, -(-wanted // threads) * threads)


def n_workers(n_sequences: int) -> int:
    """Return the number of threads that work on a batch."""
    return min(n_threads(), n_sequences)


def largest(n_sequences: int) -> int:
    """Return the number of sequences of the largest block."""
    return -(-n_sequences // n_blocks(n_sequences))


def run(n_sequences: int, function: Callable[[int, int, int], None]) -> None:
    """Call ``function(block, n_blocks, worker)`` for every block."""
    _run(n_blocks(n_sequences), n_workers(n_sequences), function)


def run_parts(n_sequences: int, function: Callable[[int, int, int], None]) -> None:
    """Call ``function(part, n_parts, worker)`` with a part for every thread."""
    n_parts = n_workers(n_sequences)
    _run(n_parts, n_parts, function)


def _run(n_tasks: int, workers: int, function: Any) -> None:
    if workers == 1:
        for task in range(n_tasks):
            function(task, n_tasks, 0)
        return
    tasks = iter(range(n_tasks))

    def work(worker: int) -> None:
        while (task := next(tasks, None)) is not None:  # atomic, by Python's lock
            function(task, n_tasks, worker)

    others = [_pool(workers - 1).submit(work, i) for i in range(1, workers)]
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
