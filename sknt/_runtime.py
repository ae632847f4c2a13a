"""Process-wide settings: torch's random state and its number of threads.

Both locks are acquired before the process forks. Otherwise a child could inherit a lock
that another thread of its parent held, and which nobody in the child would release.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

# Reentrant, because the code that runs while they are held may fork.
_random_lock = threading.RLock()
_thread_lock = threading.RLock()


@contextmanager
def seeded_construction(seed: int = 0) -> Iterator[None]:
    """Make what is built inside depend on the seed alone, not on torch's global settings.

    Torch's CPU generator and default dtype are restored afterwards.
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
    """Object whose lifetime is that of a single-threaded part, even if interrupted."""


class _Part(NamedTuple):
    thread: int  # identifier of the thread that it runs in
    n_threads: int  # torch's number of threads there before


_parts: dict[weakref.ref[_Token], _Part] = {}


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run torch on one thread inside, and on as many as before afterwards.

    The operations of a time step are small: a second thread makes them several times
    slower, and sums depend on the number of threads. Torch keeps this number for each of
    Python's threads; a thread that is new to torch gets the number that was set last.
    """
    token: _Token | None = _Token()
    try:
        with _thread_lock:
            running, thread = _running_parts(), threading.get_ident()
            if all(part.thread != thread for part in running):
                n_threads = torch.get_num_threads()
                if n_threads == 1 and running:  # a new thread, after another part set 1
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

    As many as torch may use, divided among the Python threads that are in a
    :func:`single_threaded` part at the same time.
    """
    with _thread_lock:
        running = _running_parts()
        if running:
            return max(1, running[0].n_threads // len(running))
    return torch.get_num_threads()


def _running_parts() -> list[_Part]:
    """Return the active parts, after restoring torch for ended ones of this thread."""
    for reference, part in list(_parts.items()):
        if reference() is None and part.thread == threading.get_ident():
            if part.n_threads > 1:
                torch.set_num_threads(part.n_threads)
            _parts.pop(reference, None)
    return [part for reference, part in list(_parts.items()) if reference() is not None]


def _forget_other_threads() -> None:
    """Drop the parts of threads that do not exist in a forked child.

    Torch would go on giving one thread to threads that are new to it. Its number is
    restored by the next call here, because torch may not be ready yet at this point.
    """
    own, n_threads = threading.get_ident(), 1
    for reference, part in list(_parts.items()):
        if part.thread != own:
            n_threads = part.n_threads
            _parts.pop(reference, None)
    if not _parts:
        token = _Token()  # deallocated on return: stands for a part that has ended
        _parts[weakref.ref(token)] = _Part(own, n_threads)


if hasattr(os, "register_at_fork"):
    # The lock that is registered last is acquired first. Code that holds the random lock
    # may wait for the thread lock; no code waits for them in the opposite order.
    for _lock in (_thread_lock, _random_lock):
        os.register_at_fork(
            before=_lock.acquire,
            after_in_parent=_lock.release,
            after_in_child=_lock.release,
        )
    os.register_at_fork(after_in_child=_forget_other_threads)
