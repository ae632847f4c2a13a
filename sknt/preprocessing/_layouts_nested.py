"""Nested data, one row for each sequence, to sequences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt.preprocessing._layouts_cells import cells_by_column, has_steps
from sknt.preprocessing._layouts_columns import values_of_one_type
from sknt.preprocessing._layouts_data import (
    Columns,
    SequenceData,
    check_choice,
    is_null,
    names_of,
    pad_steps,
    split_steps,
)
from sknt.preprocessing._layouts_steps import steps_of


def from_nested(
    X: Any,
    *,
    id: str | None = None,
    features: str | list[str] | None = None,
    target: str | None = None,
    target_per: str = "sequence",
    scalars: str = "raise",
    padded: bool = True,
) -> SequenceData:
    """Turn nested data, in which one cell holds a whole series, into sequences.

    Parameters
    ----------
    X : nested data
        One row for each sequence and one column for each feature, each cell holding the
        values of that feature at every step:

        - a data frame of pandas (sktime's nested frames) whose cells hold series, arrays
          or lists, or one of polars or pyarrow (nested Parquet) with columns of lists;
          one such column alone is one feature;
        - a list of dicts of lists, as in JSON; or a dict of lists of lists;
        - an object array of shape (n_samples, n_features) of arrays;
        - an array of awkward: records of lists, or n * var * n_features.

        A cell may also hold several features: an array of shape (length, k), named
        ``column_0`` and so on, or a list of dicts, one for each step, named
        ``column.key``, or a data frame. A list of lists of dicts or of data frames, and
        awkward's lists of records, have no column; their keys are the names.
    id : str, default=None
        A column with the id of each sequence. None counts from 0.
    features : str or list of str, default=None
        The columns to read, in this order. None takes all but `id` and `target`.
    target : str, default=None
        A column with a target for each sequence, or lists of targets.
    target_per : {"sequence", "step"}, default="sequence"
        Which of the two.
    scalars : {"raise", "repeat"}, default="raise"
        What to do with a feature that is a number rather than a series. "repeat" gives it
        to each step, as models take what does not change in a sequence, such as an age.
    padded : bool, default=True
        Whether X is an array with NaN after the end of shorter sequences. Otherwise it is
        a list of arrays.

    Returns
    -------
    data : SequenceData
        A named tuple of X, y, ids, times (None) and columns, where ``columns.features``
        has a name for each feature.

    Raises
    ------
    TypeError
        If X is not nested data.
    ValueError
        If the features of a sequence are not of one length or do not have one index, a
        cell is missing, empty or not numeric, or the samples differ in their columns.
        The error names the sample, counted from 0, and the column.

    Examples
    --------
    >>> from sknt.preprocessing import from_nested
    >>> records = [
    ...     {"name": "u", "a": [1, 2, 3], "b": [0.1, 0.2, 0.3], "label": "up"},
    ...     {"name": "v", "a": [5], "b": [0.5], "label": "down"},
    ... ]
    >>> data = from_nested(records, id="name", target="label")
    >>> data.X[1]
    array([[5. , 0.5],
           [nan, nan],
           [nan, nan]])
    >>> data.y.tolist(), data.ids.tolist(), data.columns.features
    (['up', 'down'], ['u', 'v'], ['a', 'b'])
    """
    check_choice("target_per", target_per, ("sequence", "step"))
    check_choice("scalars", scalars, ("raise", "repeat"))
    columns = cells_by_column(X)
    roles = [name for name in (id, target) if name is not None]
    others = [name for name in columns if name not in roles]
    wanted = others if features is None else names_of(features)
    for name in [*roles, *wanted]:
        if name not in columns:
            raise ValueError(f"X has no column {name!r}, only {list(columns)}")
    if not wanted:
        raise ValueError("there is no column of features; name at least one in features=")
    n_samples = len(columns[wanted[0]])
    if not n_samples:
        raise ValueError("X has no rows")
    parts = {name: steps_of(columns[name], name, scalars) for name in wanted}
    lengths = _common_lengths({name: part.lengths for name, part in parts.items()})
    _refuse_other_index({name: columns[name] for name in wanted}, n_samples)
    steps = np.column_stack([part.repeated(lengths) for part in parts.values()])
    names = [name for part in parts.values() for name in part.names]
    ids = np.arange(n_samples) if id is None else _values(columns[id], id)
    lay_out = pad_steps if padded else split_steps
    y: Any = None
    if target is not None and target_per == "sequence":
        y = _values(columns[target], target)
    elif target is not None:
        y = lay_out(_targets_of_steps(columns[target], lengths, target), lengths)
    kept = Columns(names, id, None, target, target_per)
    return SequenceData(lay_out(steps, lengths), y, ids, None, kept)


def _common_lengths(
    lengths: dict[str, NDArray[np.int64] | None],
) -> NDArray[np.int64]:
    """Return the number of steps of each sample, which all columns have to agree on."""
    series = {name: own for name, own in lengths.items() if own is not None}
    if not series:
        raise ValueError(
            f"no column of features holds series, only numbers: {list(lengths)}. For a "
            "table with one row for each step, use from_long_frame"
        )
    (first, common), *others = series.items()
    for name, own in others:
        if (own != common).any():
            sample = int((own != common).argmax())
            raise ValueError(
                f"sample {sample} has {common[sample]} steps in column {first!r}, but "
                f"{own[sample]} in {name!r}; series of a sample need one length. Bring "
                "them to common times first"
            )
    if not common.all():
        raise ValueError(
            f"sample {int((common == 0).argmax())} has no step: its cells are empty. "
            "Leave the sample out"
        )
    return common


def _refuse_other_index(columns: dict[str, list[Any]], n_samples: int) -> None:
    """Refuse series of pandas whose steps are not those of the sample's other series."""
    for sample in range(n_samples):
        indexed = [
            (name, cells[sample].index)
            for name, cells in columns.items()
            if hasattr(cells[sample], "index") and hasattr(cells[sample].index, "equals")
        ]
        for name, index in indexed[1:]:
            if not index.equals(indexed[0][1]):
                raise ValueError(
                    f"sample {sample} has another index in column {name!r} than in "
                    f"{indexed[0][0]!r}; bring the series to common times first"
                )


def _values(cells: list[Any], name: str) -> NDArray[Any]:
    for sample, cell in enumerate(cells):
        if has_steps(cell):
            raise ValueError(
                f"sample {sample} has a series in column {name!r}, where one value is "
                'expected; for a target for each step, use target_per="step"'
            )
    return _one_type(name, list(cells), "row")


def _targets_of_steps(
    cells: list[Any], lengths: NDArray[np.int64], name: str
) -> NDArray[Any]:
    values: list[Any] = []
    for sample, (cell, length) in enumerate(zip(cells, lengths, strict=True)):
        own = list(cell) if has_steps(cell) else []
        if len(own) != length:
            raise ValueError(
                f"sample {sample} has {length} steps, but {len(own)} targets in column "
                f"{name!r}"
            )
        values += own
    return _one_type(name, values, "step")


def _one_type(name: str, values: list[Any], unit: str) -> NDArray[Any]:
    missing = np.array([is_null(value) for value in values])
    if missing.any():
        raise ValueError(
            f"column {name!r} is missing in {missing.sum()} {unit}(s), first in {unit} "
            f"{missing.argmax()}; leave those out"
        )
    return values_of_one_type(f"column {name!r}", values, missing)
