"""Arrays that are used again from batch to batch.

Fresh memory is given by the system page by page, and filling a page for the first time
takes longer than the arithmetic on it.

Nothing here runs when an array is let go, which may happen at any time, in the middle of
anything: code that runs then must not wait for a lock, and an interrupt that arrives in it
is lost. Memory is free once nothing refers to its array any more, and that is looked up
when some is needed. There is no lock either: whoever takes an entry out of the dictionary
has the memory, and between any two lines another thread, a fork or an interrupt may come.
"""

import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
KEPT_BYTES = 128 * 2**20
"""Bytes that are kept for later use, at most; those in use now are among them."""
KEPT_ARRAYS = 64
"""Arrays that are kept for later use, at most, for all of them are looked through."""


class _Kept(NamedTuple):
    memory: NDArray[np.uint8]
    array: weakref.ref[Any]  # which shows it, and to which all views of it refer


_kept: dict[object, _Kept] = {}  # the oldest first


class Lease:
    """An uninitialised array, whose memory is used again once nothing refers to it."""

    def __init__(self, array: NDArray[Any]):
        self.array = array


def take(size: int, dtype: Any) -> Lease:
    """Return an uninitialised array of one axis."""
    n_bytes = size * np.dtype(dtype).itemsize
    memory = _find(n_bytes)
    # No view of the memory: NumPy lets views of views refer to the array that owns it.
    array = np.frombuffer(memory.data, dtype, size)
    if len(memory) <= KEPT_BYTES:
        _kept[object()] = _Kept(memory, weakref.ref(array))
        _forget_the_oldest()
    return Lease(array)


def _find(n_bytes: int) -> NDArray[np.uint8]:
    """Take the smallest free memory that is large enough, and not far too large."""
    fitting = [
        (key, kept)
        for key, kept in _kept.copy().items()
        if n_bytes <= len(kept.memory) <= 2 * n_bytes + 4096 and kept.array() is None
    ]
    for key, _ in sorted(fitting, key=lambda entry: len(entry[1].memory)):
        kept = _kept.pop(key, None)
        if kept is not None:  # else another thread was faster
            return kept.memory
    # Somewhat more, so that a batch a little longer finds it fitting, too.
    n_bytes += n_bytes // 8
    memory = np.empty(n_bytes + 2 * ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes + ALIGNMENT]


def _forget_the_oldest() -> None:
    """Keep to the limits; memory in use that is forgotten is not used again."""
    entries = _kept.copy()
    n_bytes, n_arrays = sum(len(kept.memory) for kept in entries.values()), len(entries)
    for key, kept in entries.items():
        if n_bytes <= KEPT_BYTES and n_arrays <= KEPT_ARRAYS:
            return
        _kept.pop(key, None)
        n_bytes, n_arrays = n_bytes - len(kept.memory), n_arrays - 1
