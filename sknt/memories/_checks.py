"""Checks of the memories' options: each error names the option and the way out."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np


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
            f"memory_size={memory_size} rows; use shift_range <= {(memory_size - 1) // 2} "
            "in memory_params or more rows"
        )


def check_choice(option: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of those known."""
    if value not in known:
        raise ValueError(f"{option}={value!r} is not known; choose from {sorted(known)}")


def check_clip(interface_clip: Any) -> None:
    """Refuse anything but a positive number or None."""
    is_number = isinstance(interface_clip, Real) and not isinstance(interface_clip, bool)
    if interface_clip is not None and not (is_number and interface_clip > 0):
        raise ValueError(
            f"interface_clip={interface_clip!r} is not positive; "
            "use a positive number, or None for no clipping"
        )


def check_count(option: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse anything but an integer from ``low`` to ``high``."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < low or (high is not None and value > high):
        most = "" if high is None else f" and at most {high}"
        raise ValueError(
            f"{option}={value!r} is not possible; use an integer of at least {low}{most}"
        )


def check_flag(option: str, value: Any) -> None:
    """Refuse anything but True and False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{option}={value!r} is neither True nor False")


def check_cost(option: str, value: Any) -> None:
    """Refuse anything but a finite number of at least 0."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        raise ValueError(f"{option}={value!r} is not a finite number of at least 0")
