"""Columns of a data frame of any library as arrays; what would be misread is refused.

Narwhals reads the frames, so no library of frames is imported here.
"""

import datetime
import difflib
import os
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

LARGEST_EXACT = 2**53
"""Double precision holds every integer up to here."""

TEXT = ("String", "Categorical", "Enum")
"""Types of columns of text, by name."""

ENCODE = (
    "encode text and categories as numbers, for instance with OneHotEncoder, or keep them "
    "with as_frames=True and encode them in a StepwiseTransformer"
)

ADVICE = {
    **dict.fromkeys(TEXT, ENCODE),
    "Datetime": "order rows by it (time= of from_long_frame), or convert it to seconds",
    "Date": "order rows by it (time= of from_long_frame), or convert it to days",
    "Duration": "convert durations to a number of seconds or days",
    "List": "read nested columns with from_nested",
    "Array": "read nested columns with from_nested",
    "Struct": "make its fields columns of their own",
}
"""The way out for features of a type that is not a number."""


def open_frame(frame: Any, wanted: Sequence[Any] = ()) -> nw.DataFrame[Any]:
    """Return a data frame as one of Narwhals.

    Parameters
    ----------
    frame : data frame of pandas, polars, pyarrow or another eager library
    wanted : sequence of str
        Columns; levels of a pandas index among them become columns.

    Raises
    ------
    TypeError
        If it is no data frame, or one that has not been computed yet.
    ValueError
        If it has no rows, two columns of one name, or lacks a column.
    """
    index = getattr(frame, "index", None)
    if any(name is not None and name in wanted for name in getattr(index, "names", ())):
        frame = frame.reset_index()
    try:
        opened = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        hint = "of a lazy frame, frame.collect()"
        if isinstance(frame, str | os.PathLike):
            hint = "of a CSV file, pandas.read_csv(path)"
        raise TypeError(
            f"{type(frame).__name__} is not a data frame in memory; give one of pandas, "
            f"polars or pyarrow ({hint})"
        ) from error
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"the frame has two columns of one name: {error}") from error
    columns = list(opened.columns)
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise ValueError(f"the frame has two columns of one name: {twice[0]!r}; rename one")
    for name in wanted:
        if name not in columns:
            close = difflib.get_close_matches(str(name), list(map(str, columns)), 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            if getattr(index, "nlevels", 1) > 1:  # as in sktime, whose levels are unnamed
                hint = " Name the levels of its index first, with frame.rename_axis"
            raise ValueError(f"the frame has no column {name!r}, only {columns}.{hint}")
    if not len(opened):
        raise ValueError("the frame has no rows")
    return opened


def is_missing_in(column: nw.Series[Any]) -> NDArray[np.bool_]:
    """Return which entries of a column are null or NaN."""
    missing = column.is_null().to_numpy()
    if column.dtype.is_float():
        missing = missing | np.isnan(column.cast(nw.Float64).to_numpy())
    return np.asarray(missing, dtype=bool)


def refuse_missing(column: nw.Series[Any], advice: str) -> None:
    """Refuse a column with an entry that is null or NaN, naming its first row."""
    missing = is_missing_in(column)
    if missing.any():
        raise ValueError(
            f"column {column.name!r} is missing in {missing.sum()} row(s), first in row "
            f"{missing.argmax()}; {advice}"
        )


def numbers(column: nw.Series[Any]) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is missing; booleans are 0 and 1.

    Raises
    ------
    ValueError
        If it holds anything but numbers, or integers that floats cannot hold.
    """
    missing = is_missing_in(column)
    if missing.all():
        return np.full(len(missing), np.nan)
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        if column.dtype.is_integer():
            present = column.filter((~missing).tolist())
            for extreme in (present.max(), present.min()):
                exact_float(extreme, f"column {column.name!r}")
        return column.cast(nw.Float64).to_numpy()
    if column.dtype == nw.Object:
        return _numbers_among_objects(column, missing)
    kind = type(column.dtype).__name__
    advice = ADVICE.get(kind, "convert it to numbers, or leave it out")
    raise ValueError(f"column {column.name!r} is not numeric but {column.dtype}; {advice}")


def exact_float(value: Any, where: str) -> float:
    """Return a number as a float, but refuse integers that floats cannot hold."""
    if isinstance(value, Integral) and abs(int(value)) > LARGEST_EXACT:
        raise ValueError(
            f"{where} has integers beyond 2**53, which floats round; subtract an offset, "
            "or leave it out if it is an identifier"
        )
    return float(value)


def _numbers_among_objects(
    column: nw.Series[Any], missing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    values = column.to_list()
    present = np.flatnonzero(~missing)
    booleans = [isinstance(values[row], bool | np.bool_) for row in present]
    for row, boolean in zip(present, booleans, strict=True):
        number = isinstance(values[row], Real | Decimal)
        if not number or boolean != booleans[0]:
            raise ValueError(
                f"column {column.name!r} mixes types or is not numeric: row {row} has "
                f"{values[row]!r} of type {type(values[row]).__name__}; convert the column "
                "to one type of number"
            )
    result = np.full(len(values), np.nan)
    result[present] = [
        exact_float(values[row], f"column {column.name!r}") for row in present
    ]
    return result


def moments(column: nw.Series[Any]) -> tuple[NDArray[Any], str | None]:
    """Return a column of times as numbers or dates that can be sorted, and its time zone.

    Raises
    ------
    ValueError
        If an entry is missing, or they are neither numbers, dates nor durations.
    """
    refuse_missing(column, "fill in the times, or leave those rows out")
    dtype, zone = column.dtype, None
    if dtype == nw.Datetime:
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.to_numpy(), zone
    if dtype.is_integer() or dtype.is_float() or dtype == nw.Duration:
        return column.to_numpy(), None
    if dtype == nw.Date:
        return np.array(column.to_list(), "datetime64[D]"), None
    if dtype == nw.Object:
        values = column.to_list()
        if {type(value) for value in values} == {datetime.date}:
            return np.array(values, "datetime64[D]"), None
    raise ValueError(
        f"column {column.name!r} is of type {dtype}, which does not say what comes first; "
        "convert times to numbers, dates or durations, for instance with "
        "pandas.to_datetime or polars' str.to_datetime"
    )


def values_of(column: nw.Series[Any]) -> NDArray[Any]:
    """Return a column of ids or labels as an array of one type, NaN where it is missing.

    Numbers and booleans keep their type if none is missing; text, and the values of
    categories, are objects.

    Raises
    ------
    ValueError
        If its values are of several types.
    """
    dtype, missing = column.dtype, is_missing_in(column)
    if dtype == nw.Datetime or dtype == nw.Date:
        refuse_missing(column, "fill in the dates, or leave those rows out")
        return moments(column)[0]
    if dtype == nw.Duration:
        return column.to_numpy()
    if dtype.is_decimal():
        return numbers(column)
    if dtype.is_numeric() or (dtype == nw.Boolean and not missing.any()):
        return column.to_numpy()
    return values_of_one_type(f"column {column.name!r}", column.to_list(), missing)


def values_of_one_type(
    name: str, values: list[Any], missing: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return Python values as an array, after a check that they are of one type."""
    present = np.flatnonzero(~missing)
    types = dict.fromkeys(type(values[row]) for row in present)
    kinds = {own: _kind(own) for own in types}
    first = next(iter(kinds.values()), None)
    for own, kind in kinds.items():
        if kind is None or kind is not first:
            row = next(row for row in present if type(values[row]) is own)
            others = "" if first is None else f", but others are {first.__name__}"
            raise ValueError(
                f"{name} has {values[row]!r} of type {own.__name__} in row {row}{others}; "
                "convert the column to one type, such as text or integers"
            )
    array = np.empty(len(values), object)
    array[:] = values
    array[missing] = np.nan
    return _as_numbers(array, first, missing)


def _as_numbers(
    values: NDArray[Any], kind: Any, missing: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return objects that are all numbers, or all booleans, as an array of that type."""
    if kind in (float, Decimal) or (kind is int and missing.any()):
        return values.astype(np.float64)
    if kind not in (bool, int) or missing.any():
        return values
    try:
        return values.astype(kind)
    except OverflowError:  # more than 64 bits
        return values


def _kind(own: type) -> type | None:
    """Return what values of a type count as, or None if they identify nothing."""
    counts_as: dict[type, type] = {
        **{bool: bool, np.bool_: bool, str: str},
        **{int: int, np.integer: int, float: float, np.floating: float},
    }
    for base, kind in counts_as.items():
        if issubclass(own, base):
            return kind
    known = (datetime.date, datetime.datetime, Decimal)
    return own if issubclass(own, known) else None
