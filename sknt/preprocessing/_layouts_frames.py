"""Sequences as data frames, one for each, in the library of the data they are made of."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.frames import is_frame
from sknt.preprocessing._layouts_data import for_a_frame, is_null


def split_frame(frame: nw.DataFrame[Any], lengths: NDArray[np.int64]) -> list[Any]:
    """Return the rows of each sequence, from those of all in turn, as a native frame."""
    ends = np.cumsum(lengths)
    return [
        nw.maybe_reset_index(frame[int(end - length) : int(end)]).to_native()
        for end, length in zip(ends, lengths, strict=True)
    ]


def frame_of(columns: dict[str, NDArray[Any]], backend: Any) -> nw.DataFrame[Any]:
    """Return columns, in which missing values are NaN, as a frame of some library."""
    data = {name: for_a_frame(values) for name, values in columns.items()}
    frame = nw.from_dict(data, backend=backend)
    if frame.implementation.is_pandas_like():
        return frame
    floats = [name for name, values in columns.items() if values.dtype.kind == "f"]
    return frame.with_columns(
        nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name) for name in floats
    )


def have_text(X: Any) -> bool:
    """Return whether sequences are data frames of which a column is not numeric."""
    if not isinstance(X, list) or not X or not all(map(is_frame, X)):
        return False
    types = (dtype for own in X for dtype in nw.from_native(own).schema.values())
    return any(not (dtype.is_numeric() or dtype == nw.Boolean) for dtype in types)


def padded_frames(frames: list[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return data frames with text as one array, and which of their steps are present.

    Returns
    -------
    values : ndarray of object of shape (n_samples, n_timesteps, n_features)
        None where there is no value.
    present : ndarray of bool of shape (n_samples, n_timesteps)

    Raises
    ------
    ValueError
        If the frames have different columns.
    """
    opened = [nw.from_native(own) for own in frames]
    names = opened[0].columns
    shape = len(opened), max(map(len, opened))
    values, present = np.full((*shape, len(names)), None, object), np.zeros(shape, bool)
    for sample, own in enumerate(opened):
        if own.columns != names:
            raise ValueError(
                f"sample {sample} has the columns {own.columns}, but sample 0 has {names}"
            )
        for feature, name in enumerate(names):
            column = own.get_column(name).to_list()
            found = [None if is_null(value) else value for value in column]
            values[sample, : len(own), feature] = found
            present[sample, : len(own)] |= [value is not None for value in found]
    return values, present


def numbers_or_text(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column as floats, None as NaN, if there is no text in it."""
    if column.dtype == object and any(isinstance(value, str) for value in column):
        return column
    return column.astype(np.float64, copy=False)
