"""Arrays that are used again from batch to batch.

Fresh memory is given by the system page by page, and filling a page for the first time
takes longer than the arithmetic on it.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
KEPT_BYTES = 128 * 2**20
"""Bytes that are kept for later use, at most."""

_lock = threading.Lock()
_free: list[NDArray[np.uint8]] = []


class Lease:
    """An uninitialised array, given back when the lease is no longer referred to."""

    def __init__(self, memory: NDArray[np.uint8], array: NDArray[Any]):
        self.memory = memory
        self.array = array

    def __del__(self):
        with _lock:
            if sum(map(len, _free)) + len(self.memory) <= KEPT_BYTES:
                _free.append(self.memory)


def take(size: int, dtype: Any) -> Lease:
    """Return an uninitialised array of one axis."""
    n_bytes = size * np.dtype(dtype).itemsize
    memory = _find(n_bytes + ALIGNMENT)
    offset = -memory.ctypes.data % ALIGNMENT
    return Lease(memory, memory[offset : offset + n_bytes].view(dtype))


def _find(n_bytes: int) -> NDArray[np.uint8]:
    """Take the smallest free memory that is large enough, and not far too large."""
    with _lock:
        fitting = [
            i for i, m in enumerate(_free) if n_bytes <= len(m) <= 2 * n_bytes + 4096
        ]
        if fitting:
            return _free.pop(min(fitting, key=lambda i: len(_free[i])))
    # Somewhat more, so that a batch a little longer finds it fitting, too.
    return np.empty(n_bytes + n_bytes // 8, np.uint8)
