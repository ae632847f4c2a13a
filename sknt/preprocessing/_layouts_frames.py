"""Sequences as data frames, one for each, in the library of the data they are made of."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.preprocessing._layouts_data import for_a_frame


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
