"""Checks of the memories' options: each error names the option and the way out."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

MAX_ROWS = 2**24
"""Single precision holds all whole numbers up to this."""


def check_shift_range(shift_range: Any, memory_size: int) -> None:
    """Refuse anything but a number of rows, and more shifts than there are rows."""
    if (
        not isinstance(shift_range, Integral)
        or isinstance(shift_range, bool)
        or shift_range < 0
    ):
        raise ValueError(
            f"shift_range={shift_range!r} is not a number of rows; "
            "use an integer of at least 0 (memory_params={'shift_range': 1})"
        )
    n_shifts = 2 * int(shift_range) + 1
    if n_shifts > memory_size:
        raise ValueError(
            f"shift_range={shift_range} makes {n_shifts} shifts, more than "
            f"memory_size={memory_size} rows; use {_at_most((memory_size - 1) // 2)} in "
            "memory_params, or more rows"
        )


def _at_most(largest: int) -> str:
    return f"shift_range <= {largest}" if largest else "shift_range=0"


def check_clip(interface_clip: Any) -> None:
    """Refuse anything but a positive number or None."""
    is_number = isinstance(interface_clip, Real) and not isinstance(interface_clip, bool)
    if interface_clip is not None and not (is_number and interface_clip > 0):
        raise ValueError(
            f"interface_clip={interface_clip!r} is not positive; "
            "use a positive number, or None for no clipping"
        )


def check_flag(option: str, value: Any) -> None:
    """Refuse anything but true and false."""
    if not isinstance(value, bool | np.bool):
        raise ValueError(f"{option}={value!r} is neither True nor False")


def check_n_nearest(n_nearest: Any, memory_size: int) -> None:
    """Refuse anything but None or a number of rows that the memory has."""
    if n_nearest is None:
        return
    is_integer = isinstance(n_nearest, Integral) and not isinstance(n_nearest, bool)
    if not is_integer or not 1 <= n_nearest <= memory_size:
        example = {"n_nearest": min(8, memory_size)}
        raise ValueError(
            f"n_nearest={n_nearest!r} is not a number of rows of memory_size="
            f"{memory_size}; use 1 to {memory_size} (memory_params={example}), or None for "
            "as many as is usual"
        )


def check_rows_of_heads(n_write_heads: int, memory_size: int) -> None:
    """Refuse fewer rows than write heads, and more than floats can count."""
    if n_write_heads > memory_size:
        raise ValueError(
            f"n_write_heads={n_write_heads} is more than memory_size={memory_size} rows, "
            "but each write head writes a row of its own; use fewer heads or more rows"
        )
    if memory_size > MAX_ROWS:
        raise ValueError(
            f"memory_size={memory_size} is more than the {MAX_ROWS} rows that single "
            "precision can number; use fewer rows"
        )


def check_count(option: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse anything but an integer from ``low`` to ``high``."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < low or (high is not None and value > high):
        most = "" if high is None else f" and at most {high}"
        raise ValueError(
            f"{option}={value!r} is not possible; use an integer of at least {low}{most}"
        )


def check_cost(option: str, value: Any) -> None:
    """Refuse anything but a finite number of at least 0."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        raise ValueError(f"{option}={value!r} is not a finite number of at least 0")
