"""Care for what is global in a process: torch's random state and its threads.

Both locks are held while the process forks, so that no child begins in the middle of what
another thread of its parent was at, with a lock that nobody releases.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

# Those that a thread may acquire twice: what runs inside may fork.
_random_lock = threading.RLock()
_thread_lock = threading.RLock()


@contextmanager
def seeded_construction(seed: int = 0) -> Iterator[None]:
    """Build modules inside as the seed says, whatever the process has set.

    Torch's CPU generator and default dtype are outside as they were.
    """
    with _random_lock:
        state, dtype = torch.default_generator.get_state(), torch.get_default_dtype()
        try:
            torch.default_generator.manual_seed(seed)
            torch.set_default_dtype(torch.float32)
            with torch.inference_mode(False):
                yield
        finally:
            try:
                torch.set_default_dtype(dtype)
            finally:
                torch.default_generator.set_state(state)


class _Token:
    """What a single-threaded part refers to until it ends, even by an interrupt."""


class _Part(NamedTuple):
    thread: int  # that it runs in
    n_threads: int  # that torch had there before


_parts: dict[weakref.ref[_Token], _Part] = {}


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run torch on one thread inside, and on as many as before outside.

    The operations of a time step are small: a second thread makes them several times
    slower, and sums differ with the number of threads. Torch has a number for each thread
    of Python's, and gives the one that was set last to threads that are new to it.
    """
    token: _Token | None = _Token()
    try:
        with _thread_lock:
            running, thread = _running_parts(), threading.get_ident()
            if all(part.thread != thread for part in running):
                n_threads = torch.get_num_threads()
                if n_threads == 1 and running:  # new to torch, and set by another part
                    n_threads = running[0].n_threads
                assert token is not None
                _parts[weakref.ref(token)] = _Part(thread, n_threads)
                if n_threads > 1:
                    torch.set_num_threads(1)
        yield
    finally:
        token = None
        with _thread_lock:
            _running_parts()


def n_threads() -> int:
    """Return how many threads the kernels may use.

    As many as torch was allowed, shared between the threads that asked for single-threaded
    torch and run the kernels at once.
    """
    with _thread_lock:
        running = _running_parts()
        if running:
            return max(1, running[0].n_threads // len(running))
    return torch.get_num_threads()


def _running_parts() -> list[_Part]:
    """Return the parts that have not ended, after setting torch back for this thread's."""
    for reference, part in list(_parts.items()):
        if reference() is None and part.thread == threading.get_ident():
            if part.n_threads > 1:
                torch.set_num_threads(part.n_threads)
            _parts.pop(reference, None)
    return [part for reference, part in list(_parts.items()) if reference() is not None]


def _forget_other_threads() -> None:
    """Drop the parts of threads that a fork has left behind.

    Torch has one thread for who is new to it as long as it is not set back, which is left
    to the next call here: torch itself may not be ready yet.
    """
    own, n_threads = threading.get_ident(), 1
    for reference, part in list(_parts.items()):
        if part.thread != own:
            n_threads = part.n_threads
            _parts.pop(reference, None)
    if not _parts:
        token = _Token()  # that is gone at once: a part that has ended
        _parts[weakref.ref(token)] = _Part(own, n_threads)


if hasattr(os, "register_at_fork"):
    # The lock that is registered last is acquired first: what holds the random lock may
    # wait for the other one, but not the other way round.
    for _lock in (_thread_lock, _random_lock):
        os.register_at_fork(
            before=_lock.acquire,
            after_in_parent=_lock.release,
            after_in_child=_lock.release,
        )
    os.register_at_fork(after_in_child=_forget_other_threads)
