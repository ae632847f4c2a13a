"""A mode that finds kernels which write outside of their arrays.

With ``SKNT_CHECK_KERNELS=1`` in the environment, there is a gap after every part of every
array, and all arrays begin filled with one pattern, which is a NaN. After each pass, the
gaps have to hold it still. Numbers that are read before they are written are NaN.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENABLED = os.environ.get("SKNT_CHECK_KERNELS", "0") not in ("", "0")
"""Whether the mode is on, in this process."""

GUARD = 16 if ENABLED else 0
"""Numbers in the gap after each part."""

_PATTERNS: dict[int, tuple[Any, int]] = {
    4: (np.uint32, 0x7FC0DEAD),
    8: (np.uint64, 0x7FF8DEADDEADDEAD),
}


def fill(array: NDArray[Any]) -> NDArray[Any]:
    """Fill an array with the pattern, and return it."""
    kind, pattern = _PATTERNS[array.itemsize]
    array.view(kind)[...] = pattern
    return array


def fill_gaps(rows: NDArray[Any], gaps: Mapping[str, slice]) -> None:
    """Fill the gaps of rows, (..., n), with the pattern."""
    kind, pattern = _PATTERNS[rows.itemsize]
    for gap in gaps.values():
        rows.view(kind)[..., gap] = pattern


def check(rows: NDArray[Any], gaps: Mapping[str, slice], where: str) -> None:
    """Raise an error if one of the gaps does not hold the pattern any more.

    Parameters
    ----------
    rows : ndarray of shape (..., n)
    gaps : mapping of str to slice
        The gap after each part, by the part's name.
    where : str
        What the rows are, and of which kernel.

    Raises
    ------
    RuntimeError
        Names the part next to the gap.
    """
    kind, pattern = _PATTERNS[rows.itemsize]
    words = rows.view(kind)
    for name, gap in gaps.items():
        if (words[..., gap] != pattern).any():
            raise RuntimeError(f"{where}: something wrote beyond the end of {name!r}")
