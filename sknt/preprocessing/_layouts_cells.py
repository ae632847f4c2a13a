"""The columns of nested data, and their cells."""

import sys
from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np

from sknt.data.arrays import has_length
from sknt.data.sequences import is_list

ONLY = ""
"""Name of the column of data that have but one, without a name."""


def has_steps(cell: Any) -> bool:
    """Return whether a cell holds a series rather than one value."""
    return not isinstance(cell, Mapping) and has_length(cell)


def cells_by_column(X: Any) -> dict[str, list[Any]]:
    """Return the cells of each column of nested data, one for each sample.

    Raises
    ------
    TypeError
        If X is not nested data.
    ValueError
        If samples, or columns, are not alike.
    """
    if type(X).__module__.partition(".")[0] == "awkward":
        return _columns_of_awkward(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim in (1, 2):
        table = X.reshape(len(X), -1)
        names = [ONLY] if X.ndim == 1 else [f"feature_{i}" for i in range(table.shape[1])]
        return {name: list(table[:, i]) for i, name in enumerate(names)}
    if isinstance(X, Mapping):
        return _equally_long({name: list(cells) for name, cells in X.items()})
    if is_list(X) and len(X):
        return _columns_of_list(X)
    if hasattr(X, "to_pylist") and not hasattr(X, "column_names"):  # of pyarrow
        return {ONLY: X.to_pylist()}
    opened = nw.from_native(X, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(opened, nw.Series):
        return {ONLY: _cells(opened)}
    if isinstance(opened, nw.DataFrame):
        return {name: _cells(opened.get_column(name)) for name in opened.columns}
    raise TypeError(
        f"{type(X).__name__} is not nested data; give a data frame whose cells hold "
        "series, a list of dicts of lists, or an array of awkward. Arrays (n_samples, "
        "n_timesteps, n_features) and lists of arrays need no conversion"
    )


def _cells(column: nw.Series[Any]) -> list[Any]:
    if column.implementation.is_pandas_like():
        return list(column.to_native())  # series stay series, with their index
    inner = getattr(column.dtype, "inner", None)
    if inner is None or not (inner == nw.Boolean or inner.is_numeric()):
        return column.to_list()
    return list(column.to_numpy())  # an array for each cell


def _columns_of_list(X: Any) -> dict[str, list[Any]]:
    if not isinstance(X[0], Mapping):
        return {ONLY: list(X)}
    names = list(X[0])
    for sample, record in enumerate(X):
        if not isinstance(record, Mapping) or set(record) != set(names):
            found = list(record) if isinstance(record, Mapping) else type(record).__name__
            raise ValueError(
                f"sample {sample} has {found}, but sample 0 has {names}; give every "
                "sample the same keys"
            )
    return {name: [record[name] for record in X] for name in names}


def _equally_long(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if len({len(cells) for cells in columns.values()}) > 1:
        sizes = {name: len(cells) for name, cells in columns.items()}
        raise ValueError(f"the columns have different numbers of samples: {sizes}")
    return columns


def _columns_of_awkward(X: Any) -> dict[str, list[Any]]:
    """Return the columns of awkward's records of lists, or lists of records."""
    awkward = sys.modules["awkward"]  # loaded, since X is an array of it
    names = awkward.fields(X) or [ONLY]
    columns = {}
    for name in names:
        column = X[name] if name != ONLY else X
        if column.ndim == 1:
            columns[name] = column.to_list()
        else:
            lengths = awkward.to_numpy(awkward.num(column, axis=1))
            try:
                flat = awkward.to_numpy(awkward.flatten(column, axis=1))
            except ValueError as error:
                raise ValueError(
                    f"the steps in column {name!r} are not of one number of features: "
                    f"{column.type}"
                ) from error
            columns[name] = np.split(flat, np.cumsum(lengths)[:-1])
    return columns
