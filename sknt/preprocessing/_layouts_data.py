"""What the functions for layouts return: sequences with their targets, ids and names."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import is_missing


class Columns(NamedTuple):
    """Where sequences came from: names of columns, for the way back.

    Attributes
    ----------
    features : list of str
        The features of a step, in the order of the last axis of X.
    id, time, target : str, list of str or None
        Columns of the ids, the times and the targets.
    target_per : {"sequence", "step"}
        What has a target.
    time_zone : str or None
        The time zone of the times, which are in UTC in arrays.
    """

    features: list[str]
    id: str | list[str] | None = None
    time: str | None = None
    target: str | list[str] | None = None
    target_per: str = "sequence"
    time_zone: str | None = None


class SequenceData(NamedTuple):
    """Sequences ready for ``fit``, in the order in which their ids first appear.

    Attributes
    ----------
    X : ndarray of shape (n_samples, longest, n_features), or list of ndarray or data frame
        Steps in the order of time, followed by NaN; or, not padded, a list of arrays of
        shape (length_i, n_features), or of data frames with a row for each step.
    y : ndarray, list of ndarray or None
        A target for each sequence, (n_samples,) or (n_samples, n_outputs), or for each
        step, laid out like X; None without targets.
    ids : ndarray of shape (n_samples,)
        The id of each sequence; tuples if several columns identify it.
    times : list of ndarray of shape (length_i,) or None
        The times of each sequence's steps; None without a column of times.
    columns : Columns
        Names of columns. ``columns.features`` reads another frame in the same order.
    """

    X: Any
    y: Any
    ids: NDArray[Any]
    times: list[NDArray[Any]] | None
    columns: Columns


def shown(value: Any) -> str:
    """Return a value as an error names it: 1 rather than np.int64(1)."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    return repr(value.item() if isinstance(value, np.generic) else value)


def is_null(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA, which equals nothing."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # the truth value of NA
        return True


def one_or_list(given: Any) -> Any:
    """Return several names, in whatever holds them, as a list, and one as it is."""
    several = isinstance(given, list | tuple) or hasattr(given, "tolist")  # an Index, too
    return list(given) if several else given


def names_of(given: Any) -> list[Any]:
    """Return one name or several as a list."""
    names = one_or_list(given)
    return names if isinstance(names, list) else [names]


def split_steps(steps: NDArray[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return the steps of each sequence, from those of all in turn."""
    return np.split(steps, np.cumsum(lengths)[:-1])


def pad_steps(steps: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Return the steps of all sequences as one array, NaN after the end of each.

    Numbers become floats if there is an end to mark; booleans and text become objects.
    """
    shape = (len(lengths), int(lengths.max()), *steps.shape[1:])
    if lengths.min() == lengths.max():
        return steps.reshape(shape)
    padded = np.full(shape, np.nan, np.float64 if steps.dtype.kind in "iuf" else object)
    padded[np.arange(shape[1]) < lengths[:, np.newaxis]] = steps
    return padded


def for_a_frame(values: NDArray[Any]) -> Any:
    """Return a column that every library reads: missing objects are None."""
    if values.dtype.kind not in "OSU":
        return values
    missing = is_missing(values)
    return [
        None if absent else value
        for value, absent in zip(values.tolist(), missing, strict=True)
    ]
