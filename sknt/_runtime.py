"""Care for what is global in a process: torch's random state and its threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_random_lock = threading.Lock()
_thread_lock = threading.Lock()
_n_single_threaded = 0
_n_threads_before = 1


@contextmanager
def seeded_construction(seed: int = 0) -> Iterator[None]:
    """Build modules inside as the seed says, whatever the process has set.

    Torch's CPU generator and default dtype are outside as they were.
    """
    with _random_lock:
        state, dtype = torch.default_generator.get_state(), torch.get_default_dtype()
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            with torch.inference_mode(False):
                yield
        finally:
            torch.default_generator.set_state(state)
            torch.set_default_dtype(dtype)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run torch on one thread inside, and on as many as before outside.

    The operations of a time step are small: a second thread makes them several times
    slower, and sums differ with the number of threads. The setting is the process's
    own, so the first of several Python threads sets it and the last sets it back.
    """
    global _n_single_threaded, _n_threads_before
    with _thread_lock:
        if _n_single_threaded == 0:
            _n_threads_before = torch.get_num_threads()
            torch.set_num_threads(1)
        _n_single_threaded += 1
    try:
        yield
    finally:
        with _thread_lock:
            _n_single_threaded -= 1
            if _n_single_threaded == 0:
                torch.set_num_threads(_n_threads_before)


def n_threads() -> int:
    """Return how many threads the kernels may use.

    As many as torch was allowed, shared between those that asked for single-threaded
    torch and run the kernels at once.
    """
    with _thread_lock:
        if _n_single_threaded:
            return max(1, _n_threads_before // _n_single_threaded)
    return torch.get_num_threads()
