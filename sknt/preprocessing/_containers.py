"""Transformed steps as data frames, one for each sequence."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils.metaestimators import available_if

from sknt.data.frames import is_frame
from sknt.preprocessing._layouts_data import for_a_frame
from sknt.preprocessing._layouts_frames import split_frame
from sknt.preprocessing._rows import Arrangement

CONTAINERS = ("default", "pandas", "polars")


class FrameOutputMixin:
    """Lets a transformer return data frames, as ``set_output`` of scikit-learn does.

    That one makes one data frame of all that a transformer returns, so it is not used.
    """

    @available_if(lambda transformer: hasattr(transformer, "get_feature_names_out"))
    def set_output(self, *, transform: str | None = None) -> Any:
        """Set what `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "pandas" or "polars" stand for data frames of that library, one for each
            sequence, with the names of `get_feature_names_out`. None changes nothing.

        Returns
        -------
        self : transformer
        """
        if transform is not None:  # where scikit-learn keeps it, too
            self._sklearn_output_config = {"transform": transform}
        return self

    def _library(self) -> str:
        """Return the library of the frames that are wanted, or "default".

        Raises
        ------
        ValueError
            If another one was set.
        """
        config = getattr(self, "_sklearn_output_config", {})
        library = config.get("transform", get_config()["transform_output"])
        if library not in CONTAINERS:
            raise ValueError(
                f"output config must be in {sorted(CONTAINERS)}, got {library}"
            )
        return library if hasattr(self, "get_feature_names_out") else "default"


def as_array(steps: Any) -> NDArray[Any]:
    """Return what a transformer has returned as an array."""
    return steps.toarray() if issparse(steps) else np.asarray(steps)


def as_numbers(steps: Any) -> NDArray[Any]:
    """Return what a transformer has returned as an array of numbers.

    Raises
    ------
    ValueError
        If it is not numeric; the message has the column, if it has a name.
    """
    array = as_array(steps)
    if array.dtype.kind in "biuf":
        return array
    names = nw.from_native(steps).columns if is_frame(steps) else range(array.shape[1])
    for name, column in zip(names, array.T, strict=True):
        try:
            column.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"what the transformer returns is not numeric: column {name!r}: {error}. "
                "Encode text, for instance with OneHotEncoder in a ColumnTransformer, or "
                'use set_output(transform="pandas") to hand it on to another transformer'
            ) from error
    return array.astype(np.float64)


def as_frames(steps: Any, arrangement: Arrangement, names: Any, library: str) -> Any:
    """Return present steps as data frames, absent ones as rows without values.

    Parameters
    ----------
    steps : ndarray, sparse array or data frame of shape (n_present, n_features)
    arrangement : Arrangement
    names : array-like of str
        Of the columns; of a table with one feature, those of its steps.
    library : {"pandas", "polars"}

    Returns
    -------
    frames : list of data frame, or one data frame for a table with one feature
    """
    if arrangement.form == "table" and np.shape(steps)[1] == 1:
        table = arrangement.lay_out(as_array(steps))
        columns = dict(zip(names, table.T, strict=True))
        return _with_index(_frame(columns, library), arrangement.index)
    if is_frame(steps):
        own = nw.from_native(steps, eager_only=True)
        parts = [own.get_column(name).to_numpy() for name in own.columns]
    else:
        parts = list(as_array(steps).T)
    columns = {
        name: arrangement.fill(part) for name, part in zip(names, parts, strict=True)
    }
    whole = nw.from_native(_frame(columns, library), eager_only=True)
    frames = split_frame(whole, arrangement.lengths)
    if arrangement.form != "list" or arrangement.index is None:
        return frames
    return [_with_index(*pair) for pair in zip(frames, arrangement.index, strict=True)]


def _frame(columns: dict[str, NDArray[Any]], library: Any) -> Any:
    data = {name: for_a_frame(values) for name, values in columns.items()}
    return nw.from_dict(data, backend=library).to_native()


def _with_index(frame: Any, index: Any) -> Any:
    """Return a frame of pandas with the index of the one that it is made from."""
    if index is None or not hasattr(frame, "set_axis"):
        return frame
    return frame.set_axis(index, axis=0)
