"""Nested data, one row for each sequence, to sequences."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.choices import check_choice
from sknt.preprocessing._layouts_cells import cells_by_column, has_steps
from sknt.preprocessing._layouts_columns import values_of_one_type
from sknt.preprocessing._layouts_data import (
    Columns,
    SequenceData,
    is_null,
    names_of,
    pad_steps,
    split_steps,
)
from sknt.preprocessing._layouts_frames import frame_of, split_frame
from sknt.preprocessing._layouts_steps import Steps, steps_of
from sknt.preprocessing._layouts_text import text_or_steps_of


def from_nested(
    X: Any,
    *,
    id: str | None = None,
    features: str | list[str] | None = None,
    target: str | None = None,
    target_per: str = "sequence",
    scalars: str = "raise",
    padded: bool = True,
    as_frames: bool | str = False,
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
        What to do with a feature that is one value rather than a series. "repeat" gives it
        to each step, as models take what does not change in a sequence, such as an age. A
        step that all series lack stays without it, absent.
    padded : bool, default=True
        Whether X is an array with NaN after the end of shorter sequences. Otherwise it is
        a list of arrays.
    as_frames : bool or {"pandas", "polars", "pyarrow"}, default=False
        Whether X is a list of data frames instead, of the library that is named; True
        stands for that of X, or else pandas. Only frames may have features of text, for a
        ``StepwiseTransformer`` to encode.

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

    See Also
    --------
    NestedToSequence : The same as a step of a pipeline.

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
    if not isinstance(as_frames, bool):
        check_choice("as_frames", as_frames, ("pandas", "polars", "pyarrow"))
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
    parts = {
        name: text_or_steps_of(columns[name], name, scalars)
        if as_frames
        else [steps_of(columns[name], name, scalars)]
        for name in wanted
    }
    lengths = _common_lengths({name: own[0].lengths for name, own in parts.items()})
    _refuse_other_index({name: columns[name] for name in wanted}, n_samples)
    features_of = [part for own in parts.values() for part in own]
    absent = _absent(features_of)
    steps = [part.repeated(lengths, absent) for part in features_of]
    names = [name for part in features_of for name in part.names]
    ids = np.arange(n_samples) if id is None else _values(columns[id], id)
    lay_out = pad_steps if padded and not as_frames else split_steps
    y: Any = None
    if target is not None and target_per == "sequence":
        y = _values(columns[target], target)
    elif target is not None:
        y = lay_out(_targets_of_steps(columns[target], lengths, target), lengths)
    kept = Columns(names, id, None, target, target_per)
    if as_frames:
        values = [feature for own in steps for feature in own.T]
        backend = _library_of(X) if as_frames is True else as_frames
        frame = frame_of(_named(names, values), backend)
        sequences: Any = split_frame(frame, lengths)
    else:
        sequences = lay_out(np.column_stack(steps), lengths)
    return SequenceData(sequences, y, ids, None, kept)


def _library_of(X: Any) -> Any:
    if not nw.dependencies.is_into_dataframe(X):
        return "pandas"
    return nw.from_native(X, eager_only=True).implementation


def _absent(parts: list[Steps]) -> NDArray[np.bool_]:
    """Return which steps all series lack."""
    series = [part.values for part in parts if part.lengths is not None]
    return np.logical_and.reduce([(own != own).all(axis=1) for own in series])


def _named(names: list[str], values: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two features would have the name {twice[0]!r}; rename one")
    return dict(zip(names, values, strict=True))


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
    columns = {
        name: cells
        for name, cells in columns.items()
        if any(hasattr(cell, "index") and hasattr(cell, "iloc") for cell in cells)
    }
    if len(columns) < 2:
        return
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
