"""Arrays whose memory is reused from batch to batch.

The operating system provides fresh memory page by page, and filling a page for the first
time takes longer than the arithmetic on it.

No code here runs when an array is deallocated. That can happen at any point of a program,
so such code must not wait for a lock, and an interrupt that arrives while it runs is lost.
Instead, each request looks for memory to whose array nothing refers any more. There is no
lock either: whichever thread removes an entry from the dictionary owns its memory. Another
thread, a fork or an interrupt may intervene between any two lines.
"""

import math
import mmap
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
KEPT_BYTES = 128 * 2**20
"""The most bytes that are kept for reuse, including those in use now."""
LARGE_BYTES = 2**20
"""From this size on, arrays of zeros are fresh memory of the operating system."""
KEPT_ARRAYS = 64
"""The most arrays that are kept for reuse; each request looks through all of them."""


class _Kept(NamedTuple):
    memory: NDArray[np.uint8]
    array: weakref.ref[Any]  # the array on this memory, to which all its views refer


_kept: dict[object, _Kept] = {}  # oldest first


def zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array of zeros; a large one takes memory only where it is written to.

    NumPy's would reuse memory that the process has, and write zeros everywhere.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes < LARGE_BYTES or not hasattr(mmap, "MAP_PRIVATE"):
        return np.zeros(shape, dtype)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), dtype).reshape(shape)


def take(size: int, dtype: Any) -> NDArray[Any]:
    """Return an uninitialised 1-D array; its memory is reused once nothing refers to it."""
    n_bytes = size * np.dtype(dtype).itemsize
    memory = _find(n_bytes)
    is_new = memory is None
    if memory is None:
        memory = _allocate(n_bytes)
    # A view of the memory would not do: views of that view would refer to the memory alone.
    array: NDArray[Any] = np.frombuffer(memory.data, dtype, size)
    if len(memory) <= KEPT_BYTES:
        _kept[object()] = _Kept(memory, weakref.ref(array))
        if is_new:
            _forget_the_oldest()
    return array


def _find(n_bytes: int) -> NDArray[np.uint8] | None:
    """Take the smallest free memory that is large enough and not far too large, if any."""
    fitting = [
        (key, kept)
        for key, kept in _kept.copy().items()
        if n_bytes <= len(kept.memory) <= 2 * n_bytes + 4096 and kept.array() is None
    ]
    for key, _ in sorted(fitting, key=lambda entry: len(entry[1].memory)):
        kept = _kept.pop(key, None)
        if kept is not None:  # otherwise another thread was faster
            return kept.memory
    return None


def _allocate(n_bytes: int) -> NDArray[np.uint8]:
    """Allocate somewhat more memory, so that a slightly longer batch can reuse it."""
    n_bytes += n_bytes // 8
    memory = np.empty(n_bytes + 2 * ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes + ALIGNMENT]


def _forget_the_oldest() -> None:
    """Drop the oldest entries beyond the limits; those in use are then not reused."""
    entries = _kept.copy()
    n_bytes, n_arrays = sum(len(kept.memory) for kept in entries.values()), len(entries)
    for key, kept in entries.items():
        if n_bytes <= KEPT_BYTES and n_arrays <= KEPT_ARRAYS:
            return
        _kept.pop(key, None)
        n_bytes, n_arrays = n_bytes - len(kept.memory), n_arrays - 1
