"""Data frames, known by what they offer: pandas, polars and Arrow are not imported.

A frame has ``columns`` (for Arrow, ``column_names``) and a dtype for each of them.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from sknt.data.cells import DATES_ADVICE, holds_dates, holds_sequences

_DATES = re.compile(r"date|time|duration|period")
_TEXT = re.compile(r"object|str|large_str|categor|enum|dictionary|large_binary|binary")
_NESTED = re.compile(r"list|large_list|fixed_size_list|array|struct")


def is_frame(X: Any) -> bool:
    """Return whether X is a data frame."""
    if isinstance(X, np.ndarray | list):  # the usual case, told without a look-up
        return False
    return hasattr(X, "columns") or hasattr(X, "column_names")


def column_names(frame: Any) -> list[Any]:
    """Return the names of a frame's columns."""
    return list(getattr(frame, "column_names", None) or frame.columns)


def check_frame(frame: Any, *, dates: str = "") -> None:
    """Refuse columns that do not hold numbers but might be read as some.

    Parameters
    ----------
    frame : data frame
    dates : str, default=""
        More advice for dates.

    Raises
    ------
    TypeError
        If the frame is lazy, or a batch of Arrow, whose names scikit-learn does not know.
    ValueError
        If a column holds dates, durations or sequences.
    """
    if hasattr(frame, "collect"):
        raise TypeError(
            f"X is a {type(frame).__name__}, which holds no data yet; give X.collect()"
        )
    if type(frame).__name__ == "RecordBatch":
        raise TypeError("X is a RecordBatch; give pyarrow.Table.from_batches([X])")
    for name, dtype in zip(column_names(frame), column_types(frame), strict=True):
        kind = str(dtype).lower()
        objects = np.asarray(frame[name]) if kind == "object" else np.empty(0, object)
        if _DATES.match(kind) or holds_dates(objects):
            raise ValueError(
                f"column {name!r} holds dates or durations ({dtype}). {DATES_ADVICE}{dates}"
            )
        if _NESTED.match(kind) or holds_sequences(objects):
            raise ValueError(
                f"column {name!r} holds a sequence in each cell ({dtype}); "
                "sknt.preprocessing.from_nested turns such a frame into sequences"
            )


def without_dictionaries(values: Any) -> Any:
    """Return an array or a table of Arrow with the values that its dictionaries stand for.

    Of a dictionary in several chunks, NumPy would get another value where one is missing.
    """
    if hasattr(values, "column_names"):
        schema = values.schema
        for i, field in enumerate(schema):
            if _is_dictionary(field.type):
                schema = schema.set(i, field.with_type(field.type.value_type))
        return values if schema.equals(values.schema) else values.cast(schema)
    kind: Any = getattr(values, "type", None)
    return values.cast(kind.value_type) if _is_dictionary(kind) else values


def _is_dictionary(kind: Any) -> bool:
    return str(kind).startswith("dictionary<")


def refuse_text(frame: Any, where: str, advice: str) -> None:
    """Refuse a frame that has text other than numbers in a column.

    Raises
    ------
    ValueError
        The message has the name of the column.
    """
    for name, dtype in zip(column_names(frame), column_types(frame), strict=True):
        if not _TEXT.match(str(dtype).lower()):
            continue
        for value in np.asarray(frame[name]).ravel().tolist():
            if isinstance(value, str | bytes) and not _is_number(value):
                raise ValueError(
                    f"X is not numeric: column {name!r}{where} has {value!r}. {advice}"
                )


def _is_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_one_level(frame: Any) -> None:
    """Refuse a table whose rows are grouped, or whose columns mix features and steps.

    Raises
    ------
    ValueError
        If rows have more than one level, or more than one level of columns differs.
    """
    index: Any = getattr(frame, "index", None)
    if getattr(index, "nlevels", 1) > 1:
        raise ValueError(
            f"the rows of X are grouped, by {tuple(index.names)}, and each row of a frame "
            "is read as a sequence. If a group is a sequence, use "
            "sknt.preprocessing.from_long_frame(X.reset_index(), ...), or give a list of "
            "frames, [group for _, group in X.groupby(level=0)]; if a row is one, "
            "X.reset_index(drop=True)"
        )
    columns: Any = getattr(frame, "columns", None)
    levels = range(getattr(columns, "nlevels", 0))
    if sum(len(columns.unique(level=level)) > 1 for level in levels) > 1:
        raise ValueError(
            "X has two levels of columns, as a pivoted table has, and it is not known "
            "which of them are the steps; sknt.preprocessing.from_long_frame makes "
            "sequences of the table before it is pivoted"
        )


def check_same_columns(samples: Iterable[Any]) -> None:
    """Refuse sequences of which some are frames with other columns than the first one.

    Names that are not all text, such as pandas' numbers, are no names, as in scikit-learn.

    Raises
    ------
    ValueError
        If the names differ, also in their order, or only some of the samples are frames.
    """
    first: Any = None
    for i, sample in enumerate(samples):
        names = text_names(sample)
        if i == 0:
            first = names
        elif names != first:
            raise ValueError(
                f"sample {i} has {_described(names)}, but sample 0 has "
                f"{_described(first)}; give all samples the same columns in the same order"
            )


def first_frame(X: Any) -> Any:
    """Return the first sample of a list if it is a frame, or None."""
    sample = next(iter(X), None)
    return sample if is_frame(sample) else None


def text_names(sample: Any) -> list[str] | None:
    """Return the names of a frame's columns if all are text, or else None."""
    names = column_names(sample) if is_frame(sample) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _described(names: list[str] | None) -> str:
    return "columns without names" if names is None else f"the columns {names}"


def column_types(frame: Any) -> list[Any]:
    """Return the dtype of each column, of the frame's own library."""
    return list(frame.schema.types if hasattr(frame, "column_names") else frame.dtypes)
