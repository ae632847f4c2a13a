"""What arrays of objects hold: dates, or sequences in their cells."""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATES_ADVICE = (
    "Give numbers instead, such as the seconds since the sequence's first step: "
    "(t - t[0]) / np.timedelta64(1, 's')"
)
_DATES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)


def holds_dates(array: NDArray[Any]) -> bool:
    """Return whether an array holds dates, times or durations, also among other objects."""
    if array.dtype != object:
        return array.dtype.kind in "mM"
    return any(
        issubclass(kind, _DATES) or kind.__name__ == "Period" for kind in _types(array)
    )


def holds_sequences(array: NDArray[Any]) -> bool:
    """Return whether some cells of an array of objects are themselves sequences."""
    if array.dtype != object:
        return False
    kinds = (k for k in _types(array) if not issubclass(k, str | bytes | Mapping))
    return any(hasattr(kind, "__len__") for kind in kinds)


def refuse_dates(array: NDArray[Any], name: str) -> None:
    """Raise a ValueError if an array holds dates or durations."""
    if holds_dates(array):
        raise ValueError(
            f"{name} is not numeric: it holds dates or durations. {DATES_ADVICE}"
        )


def as_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy as objects, dates as they are: ``astype`` makes integers of some."""
    if array.dtype.kind not in "mM":
        return array.astype(object)
    objects = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        objects[index] = array[index]
    return objects


def _types(array: NDArray[Any]) -> set[type]:
    return set(map(type, array.ravel()))
