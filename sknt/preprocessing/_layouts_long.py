"""Long frames, one row for each step, to sequences."""

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.choices import check_choice
from sknt.data.sequences import is_missing
from sknt.preprocessing._layouts_columns import (
    TEXT,
    is_missing_in,
    moments,
    numbers,
    open_frame,
    refuse_missing,
    values_of,
)
from sknt.preprocessing._layouts_data import (
    Columns,
    SequenceData,
    names_of,
    one_or_list,
    pad_steps,
    shown,
    split_steps,
)
from sknt.preprocessing._layouts_frames import split_frame


def from_long_frame(
    frame: Any,
    *,
    id: str | list[str],
    time: str | None = None,
    features: str | list[str] | None = None,
    target: str | list[str] | None = None,
    target_per: str = "sequence",
    duplicates: str = "raise",
    null_targets: str = "raise",
    empty_rows: str = "raise",
    padded: bool = True,
    as_frames: bool = False,
) -> SequenceData:
    """Turn a data frame with one row for each step into sequences.

    Rows of the same id make up a sequence, wherever they are in the frame. Sequences are
    in the order in which their ids first appear, steps in the order of their times. Times
    order the steps and do nothing else; a step of time that no row has leaves no gap.

    Parameters
    ----------
    frame : data frame of pandas, polars, pyarrow or another library that Narwhals reads
        Levels of a pandas index may be named like columns.
    id : str or list of str
        The column, or columns, that say which sequence a row belongs to.
    time : str, default=None
        The column to sort by: numbers, dates with or without a time of day, or durations.
        None keeps the order of the rows.
    features : str or list of str, default=None
        Columns of numbers; booleans count as 0 and 1, and null is NaN. None takes every
        column that has no other role. To read new data in the same order, pass the
        ``columns.features`` of the first result.
    target : str or list of str, default=None
        The column of the target: numbers, text, booleans or categories. A list of columns
        of numbers gives several outputs.
    target_per : {"sequence", "step"}, default="sequence"
        Whether the rows of a sequence share one target, or each has its own.
    duplicates : {"raise", "first", "last", "keep"}, default="raise"
        What to do if a sequence has two rows of the same time: take the one that comes
        first or last in the frame, or keep them as successive steps.
    null_targets : {"raise", "missing"}, default="raise"
        What to do if the target is null. "missing" means that there is no target, NaN in
        y; a sequence has the target of those of its rows that have one.
    empty_rows : {"raise", "absent"}, default="raise"
        What to do with a row in which all features are null. "absent" leaves it to be an
        absent step, which models pass over.
    padded : bool, default=True
        Whether X, and y with a target for each step, are arrays with NaN after the end of
        shorter sequences. Otherwise they are lists of arrays.
    as_frames : bool, default=False
        Whether X is a list of data frames instead, whose columns are as in `frame`. Only
        these may have features of text, for a ``StepwiseTransformer`` to encode.

    Returns
    -------
    data : SequenceData
        A named tuple of X, y, ids, times and columns.

    Raises
    ------
    TypeError
        If `frame` is not a data frame in memory.
    ValueError
        If a column is missing or of a type that would be misread, an id or a time is
        null, or something that a parameter decides on occurs. The error names the column
        and the row, counted from 0.

    See Also
    --------
    to_long_frame : The way back, and predictions as a frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknt.preprocessing import from_long_frame
    >>> events = pd.DataFrame({
    ...     "patient": ["p7", "p7", "p2", "p7"],
    ...     "day": [3, 1, 1, 2],
    ...     "pulse": [70.0, 60.0, 81.0, 65.0],
    ...     "ill": [True, True, False, True],
    ... })
    >>> data = from_long_frame(events, id="patient", time="day", target="ill")
    >>> data.X[..., 0]
    array([[60., 65., 70.],
           [81., nan, nan]])
    >>> data.y, data.ids
    (array([ True, False]), array(['p7', 'p2'], dtype=object))

    The long frames of forecasting libraries:

    >>> series = events.rename(columns={"patient": "unique_id", "day": "ds", "pulse": "y"})
    >>> from_long_frame(series, id="unique_id", time="ds", features="y").X.shape
    (2, 3, 1)
    """
    check_choice("target_per", target_per, ("sequence", "step"))
    check_choice("duplicates", duplicates, ("raise", "first", "last", "keep"))
    check_choice("null_targets", null_targets, ("raise", "missing"))
    check_choice("empty_rows", empty_rows, ("raise", "absent"))
    id, target = one_or_list(id), one_or_list(target)
    optional = [] if time is None else [time]
    roles = [*names_of(id), *optional, *([] if target is None else names_of(target))]
    wanted = roles if features is None else [*roles, *names_of(features)]
    twice = [name for name in wanted if wanted.count(name) > 1]
    for role, given in {"id": id, "target": target}.items():
        if given is not None and not names_of(given):
            raise ValueError(f"{role} names no column")
    if twice:
        raise ValueError(f"column {twice[0]!r} is named twice; give each column one role")
    opened = open_frame(frame, wanted)
    names = names_of(features) if features is not None else _others(opened, roles)
    if not names:
        raise ValueError("there is no column of features; name at least one in features=")

    codes, ids = _groups([opened.get_column(name) for name in names_of(id)])
    when, zone = (None, None) if time is None else moments(opened.get_column(time))
    features_of = [opened.get_column(name) for name in names]
    steps: Any = _frame(features_of) if as_frames else _numbers(features_of)
    if empty_rows == "raise":
        _refuse_empty(features_of, codes, ids)
    rows = _order(codes, when)
    if when is not None and duplicates != "keep":
        rows = _without_duplicates(rows, codes, when, ids, time, duplicates)
    lengths = np.bincount(codes[rows])
    lay_out = pad_steps if padded and not as_frames else split_steps
    y: Any = None
    if target is not None:
        y = _targets(opened, target, null_targets)[rows]
        if target_per == "sequence":
            y = _shared_targets(y, lengths, ids, target)
        else:
            y = lay_out(y, lengths)
    times = None if when is None else split_steps(when[rows], lengths)
    columns = Columns(names, id, time, target, target_per, zone)
    X = split_frame(steps[rows], lengths) if as_frames else lay_out(steps[rows], lengths)
    return SequenceData(X, y, ids, times, columns)


def _others(frame: nw.DataFrame[Any], roles: list[str]) -> list[str]:
    return [name for name in frame.columns if name not in roles]


def _groups(columns: list[nw.Series[Any]]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return each row's number of its group, in order of appearance, and the ids."""
    codes: NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    values = []
    for column in columns:
        refuse_missing(column, "say which sequence those rows belong to, or leave them out")
        values.append(values_of(column))
        own, n_own = _codes(values[-1])
        codes, _ = _codes(codes * n_own + own)
    first = np.unique(codes, return_index=True)[1]
    if len(values) == 1:
        return codes, values[0][first]
    ids = np.empty(len(first), object)
    ids[:] = list(zip(*(value[first].tolist() for value in values), strict=True))
    return codes, ids


def _codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Return values numbered in the order in which they first appear."""
    if values.dtype == object:
        seen: dict[Any, int] = {}
        codes = [seen.setdefault(value, len(seen)) for value in values.tolist()]
        return np.array(codes, np.int64), len(seen)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)], len(first)


def _order(codes: NDArray[np.int64], when: NDArray[Any] | None) -> NDArray[np.int64]:
    """Return the rows sequence by sequence, in the order of time, and stable."""
    return np.lexsort((codes,) if when is None else (when, codes))


def _without_duplicates(
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    when: NDArray[Any],
    ids: NDArray[Any],
    time: str | None,
    duplicates: str,
) -> NDArray[np.int64]:
    again = (codes[rows][1:] == codes[rows][:-1]) & (when[rows][1:] == when[rows][:-1])
    if duplicates == "raise" and again.any():
        one, other = rows[again.argmax() : again.argmax() + 2]
        raise ValueError(
            f"{again.sum()} row(s) repeat a time of their sequence: rows {one} and {other} "
            f"of id {shown(ids[codes[one]])} both have {time}={when[one]}; give "
            'duplicates="first", "last" or "keep", or aggregate them'
        )
    keep = ~again
    return rows[np.r_[True, keep] if duplicates == "first" else np.r_[keep, True]]


def _numbers(columns: list[nw.Series[Any]]) -> NDArray[np.float64]:
    return np.column_stack([numbers(column) for column in columns])


def _frame(columns: list[nw.Series[Any]]) -> nw.DataFrame[Any]:
    """Return columns as a frame; those of neither numbers nor text are refused."""
    for column in columns:
        if type(column.dtype).__name__ not in TEXT:
            numbers(column)  # refuses it, with advice
    return columns[0].to_frame().with_columns(columns[1:])


def _refuse_empty(
    columns: list[nw.Series[Any]], codes: NDArray[np.int64], ids: NDArray[Any]
) -> None:
    empty = np.logical_and.reduce([is_missing_in(column) for column in columns])
    if empty.any():
        row = int(empty.argmax())
        raise ValueError(
            f"{empty.sum()} row(s) have no feature: all are null in row {row}, of id "
            f"{shown(ids[codes[row]])}. Fill them in or leave them out, or give "
            'empty_rows="absent" to make them absent steps'
        )


def _targets(frame: nw.DataFrame[Any], target: Any, null_targets: str) -> NDArray[Any]:
    """Return the target of each row; several targets are columns of numbers."""
    for name in names_of(target):
        column = frame.get_column(name)
        if type(column.dtype).__name__ in ("Datetime", "Date", "Duration"):
            numbers(column)  # refuses it, with advice
        if null_targets == "raise":
            refuse_missing(
                column, 'give null_targets="missing" if there is no target in those rows'
            )
    if not isinstance(target, list):
        return values_of(frame.get_column(target))
    return np.column_stack([numbers(frame.get_column(name)) for name in target])


def _shared_targets(
    y: NDArray[Any], lengths: NDArray[np.int64], ids: NDArray[Any], target: Any
) -> NDArray[Any]:
    """Return the one target that all rows of a sequence have, missing ones apart."""
    table = y.reshape(len(y), -1)
    starts = np.cumsum(lengths) - lengths
    chosen = np.empty((len(lengths), table.shape[1]), y.dtype)
    for output, name in enumerate(names_of(target)):
        values = table[:, output]
        known = ~is_missing(values)
        rank = np.where(known, np.arange(len(values)), len(values))
        first = np.minimum.reduceat(rank, starts)  # of those with a target, if there is one
        chosen[:, output] = values[np.where(first < len(values), first, starts)]
        differs = known & np.asarray(values != np.repeat(chosen[:, output], lengths), bool)
        if differs.any():
            sequence = int(np.repeat(np.arange(len(lengths)), lengths)[differs.argmax()])
            found = (chosen[sequence, output], values[differs.argmax()])
            raise ValueError(
                f"{name!r} differs within the sequence of id {shown(ids[sequence])}: "
                f"{shown(found[0])} and {shown(found[1])}; for a target for each step, use "
                'target_per="step"'
            )
    return chosen.reshape(-1, *y.shape[1:])
