"""Checks of the sizes of tasks, and the layout of sequences of unequal length."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_sizes(**sizes: Any) -> None:
    """Check that numbers are positive integers.

    Raises
    ------
    ValueError
        If one is not.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name}={size!r} is not a positive integer; use at least 1")


def check_range(name: str, low: Any, high: Any, least: int = 1) -> None:
    """Check that ``min_<name>`` and ``max_<name>`` are a range of integers.

    Raises
    ------
    ValueError
        If they are not.
    """
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in (low, high))
    if not whole or not least <= low <= high:
        raise ValueError(
            f"min_{name}={low!r} and max_{name}={high!r} are not a range of integers; "
            f"use {least} <= min_{name} <= max_{name}"
        )


def group_by_size(sizes: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each size that occurs, with the indices of the samples of that size."""
    order = np.argsort(sizes, kind="stable")
    found, starts = np.unique(sizes[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts[1:]), strict=True)


def empty_targets(*shape: int) -> NDArray[np.float64]:
    """Return targets that are all missing."""
    return np.full(shape, np.nan)


def random_bits(rng: np.random.RandomState, *shape: int) -> NDArray[np.int8]:
    """Draw fair bits."""
    return rng.randint(0, 2, size=shape, dtype=np.int8)
