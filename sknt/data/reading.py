"""X as people hold it: what can be read as sequences, and the way out for the rest."""

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknt.data.arrays import as_numpy, is_list, is_list_of_sequences, is_table
from sknt.data.cells import holds_sequences, refuse_dates
from sknt.data.frames import check_frame, check_one_level, is_frame

EVENTS = (
    ". If a row is an event, and an id says which sequence it belongs to, use "
    "sknt.preprocessing.from_long_frame"
)
"""What to do with a table of events, beside turning dates into numbers."""


def readable(X: Any) -> Any:
    """Return X as an array, a frame or a list of sequences.

    Parameters
    ----------
    X : object
        As a user gives it.

    Returns
    -------
    X : ndarray, frame or list

    Raises
    ------
    TypeError
        If X is a container of another kind.
    ValueError
        If X holds dates, groups of rows, or sequences in the cells of a table.
    """
    _refuse_container(X)
    X = as_numpy(X)
    if is_frame(X):
        check_frame(X, dates=EVENTS)
        check_one_level(X)
        return X
    if is_list(X) and len(X) and hasattr(X[0], "collect"):
        check_frame(X[0])  # a lazy frame, which has no length
    if is_list(X) and not is_table(X):
        return X
    try:
        array = np.asarray(X)
    except ValueError as error:
        if hasattr(X, "to_list"):  # an array of awkward
            raise TypeError(
                f"X is an {type(X).__name__} of sequences of unequal length; give "
                "X.to_list()"
            ) from error
        raise
    if is_list_of_sequences(array):
        return list(array)
    refuse_dates(array, "X")
    if holds_sequences(array):
        raise ValueError(
            f"X has shape {array.shape} and holds a sequence in each cell; give X[:, 0] if "
            "there is one column, or else pandas.DataFrame(X), to "
            "sknt.preprocessing.from_nested"
        )
    return array


def _refuse_container(X: Any) -> None:
    """Raise a TypeError for what is neither an array nor a frame nor a list."""
    way_out = None
    if X is None:
        raise TypeError("X is None; give an array or a list of sequences")
    if issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required; give X.toarray()"
        )
    if {"X", "y"} <= {*getattr(X, "_fields", ())}:  # of from_long_frame and its like
        way_out = "its field X, and y as the targets: fit(data.X, data.y)"
    elif isinstance(X, Mapping):
        way_out = "list(X.values()) if each value is a sequence"
    elif hasattr(X, "batch_sizes"):  # torch's PackedSequence, a tuple
        way_out = "torch.nn.utils.rnn.unpack_sequence(X)"
    elif hasattr(X, "ngroups"):
        way_out = (
            "[group for _, group in X], or what "
            "sknt.preprocessing.from_long_frame(frame, id=...) makes of the frame"
        )
    elif isinstance(X, Set) or hasattr(X, "__next__"):
        way_out = "list(X)"
    elif isinstance(X, str | bytes) or callable(X):
        way_out = "an array or a list of sequences"
    elif not (is_list(X) or is_frame(X) or hasattr(X, "__array__") or np.isscalar(X)):
        way_out = "an array or a list of sequences"
        if hasattr(X, "__getitem__"):
            way_out += "; of a data set of pairs, X, y = zip(*dataset)"
    if way_out is not None:
        raise TypeError(
            f"X is a {type(X).__name__}, which is not read as sequences; give {way_out}"
        )
