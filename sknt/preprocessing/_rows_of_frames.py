"""A list of data frames, one for each sequence, as one frame of all present steps.

Names and types of columns stay; columns are matched by name. Narwhals reads the frames.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.frames import (
    check_frame,
    check_same_columns,
    column_types,
    text_names,
)
from sknt.data.sequences import Layout, is_list
from sknt.preprocessing._layouts_columns import is_missing_in, numbers
from sknt.preprocessing._rows import Arrangement, Rows

FIT_NAMES = "The feature names should match those that were passed during fit: "
"""The words of scikit-learn for a plain frame."""

TEXT = (nw.String, nw.Categorical, nw.Enum)


def are_named_frames(X: Any) -> bool:
    """Return whether X is a list that begins with a frame whose columns have names."""
    return (
        is_list(X)
        and len(X) > 0
        and text_names(X[0]) is not None
        and bool(nw.dependencies.is_into_dataframe(X[0]))
    )


def frames_in_order(frames: Sequence[Any], names: Sequence[str] | None) -> list[Any]:
    """Return frames with their columns in one order.

    Parameters
    ----------
    frames : list of data frame
    names : list of str or None
        The order; None takes that of the first frame.

    Raises
    ------
    ValueError
        If a sample lacks a column, or has another one, or is not a frame with names.
    """
    wanted = text_names(frames[0]) if names is None else list(names)
    start = "" if names is None else FIT_NAMES
    return [_in_order(i, frame, wanted, frames, start) for i, frame in enumerate(frames)]


def _in_order(i: int, frame: Any, wanted: Any, frames: Sequence[Any], start: str) -> Any:
    own = text_names(frame)
    if own == wanted:
        return frame
    if own is None:
        check_same_columns(frames)  # which refuses it
        own = []
    without = [name for name in wanted if name not in own]
    if without:
        raise ValueError(f"{start}sample {i} lacks the column(s) {without} of {wanted}")
    others = [name for name in own if name not in wanted]
    if others:
        raise ValueError(f"{start}sample {i} has the column(s) {others} beside {wanted}")
    _refuse_doubled(own, i)
    return nw.from_native(frame, eager_only=True).select(wanted).to_native()


def rows_of_frames(frames: Sequence[Any], text: Sequence[str] | None = None) -> Rows:
    """Return the present steps of frames with the same columns in the same order.

    A step is absent if it is missing in every column. Columns of numbers that are missing
    somewhere become floats.

    Parameters
    ----------
    frames : list of data frame
    text : list of str or None
        Names of the columns that hold text, as far as is known: a column without any value
        does not say whether it is one.

    Raises
    ------
    TypeError
        If a frame is lazy or a batch of Arrow.
    ValueError
        If a column holds dates or sequences, is infinite, or is of types that do not go
        together.
    """
    examples = _checked(frames)
    opened = [nw.from_native(frame, eager_only=True) for frame in frames]
    _check_libraries(opened)
    lengths = np.array([len(frame) for frame in opened])
    table = _for_scikit_learn(_one_below_the_other(opened, examples))
    missing = [is_missing_in(table.get_column(name)) for name in table.columns]
    present = ~np.logical_and.reduce(missing)
    if not present.all():
        table = table.filter(present.tolist())
    table = nw.maybe_reset_index(table)
    samples = np.repeat(np.arange(len(frames)), lengths)[present]
    index = [getattr(frame, "index", None) for frame in frames]
    has_index = opened[0].implementation.is_pandas_like()
    known = () if text is None else text
    columns = [
        _prepared(table.get_column(name), samples, is_text=name in known)
        for name in table.columns
    ]
    layout = Layout(lengths, present)
    arrangement = Arrangement("list", layout, index if has_index else None)
    return Rows(table.with_columns(*columns).to_native(), arrangement)


def text_columns(table: Any) -> list[str]:
    """Return the names of the columns of a frame that hold text."""
    schema = nw.from_native(table, eager_only=True).schema
    return [name for name, dtype in schema.items() if dtype in TEXT or dtype == nw.Object]


def _check_libraries(frames: list[nw.DataFrame[Any]]) -> None:
    first = frames[0].implementation
    for i, frame in enumerate(frames):
        if frame.implementation is not first:
            raise ValueError(
                f"sample {i} is a frame of {frame.implementation.name.lower()}, but sample "
                f"0 one of {first.name.lower()}; give frames of one library"
            )


def _for_scikit_learn(table: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return a table of Arrow as a frame of pandas, if that is installed.

    scikit-learn reads such tables, but a ColumnTransformer cannot pass columns through.
    """
    if not table.implementation.is_pyarrow():
        return table
    try:
        return nw.from_native(table.to_pandas(), eager_only=True)
    except ImportError:
        return table


def _refuse_doubled(names: Any, i: int) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"sample {i} has two columns of the name {twice!r}; rename one")


def _checked(frames: Sequence[Any]) -> list[int]:
    """Check frames, and return one sample for each combination of types that occurs.

    Only columns of objects have to be looked at in every frame. Frames without rows say
    nothing about types.
    """
    seen: set[tuple[Any, ...]] = set()
    examples: dict[tuple[Any, ...], int] = {}
    for i, frame in enumerate(frames):
        types = tuple(column_types(frame))
        if types not in seen or any(str(own) == "object" for own in types):
            check_frame(frame)
            seen.add(types)
        if types not in examples and len(frame):
            examples[types] = i
    return list(examples.values()) or [0]


def _one_below_the_other(
    frames: list[nw.DataFrame[Any]], examples: list[int]
) -> nw.DataFrame[Any]:
    """Return one frame of the rows of all; columns of different types get a common one."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    schemas = {i: frames[i].schema for i in examples}
    is_pandas = filled[0].implementation.is_pandas_like()
    casts, united = {}, []
    natives = [column_types(frames[i].to_native()) for i in examples]
    for name, own in zip(frames[0].columns, zip(*natives, strict=True), strict=True):
        dtypes = {i: schema[name] for i, schema in schemas.items()}
        if len(set(own)) == 1:
            continue
        if all(isinstance(dtype, nw.Categorical | nw.Enum) for dtype in dtypes.values()):
            united.append(name)
        elif is_pandas:
            continue  # it finds a common type, objects if there is no other
        casts[name] = _common_type(name, dtypes)
    if casts:
        columns = [nw.col(name).cast(dtype) for name, dtype in casts.items()]
        filled = [frame.with_columns(columns) for frame in filled]
    with warnings.catch_warnings():
        # pandas 2 says that types of columns without any value will count; both do here.
        warnings.simplefilter("ignore", FutureWarning)
        table = nw.concat(filled) if len(filled) > 1 else filled[0]
    return table.with_columns([nw.col(name).cast(nw.Categorical) for name in united])


def _common_type(name: str, dtypes: dict[int, Any]) -> Any:
    """Return the type to which a column is cast that is of several, by their samples."""
    known: dict[Any, int] = {}
    for i, dtype in dtypes.items():
        if dtype != nw.Unknown:  # that of a column without any value
            known.setdefault(dtype, i)
    if all(dtype in TEXT for dtype in known):
        return nw.String
    if len(known) == 1:
        return next(iter(known))
    if all(dtype.is_integer() for dtype in known):
        return nw.Int64
    if all(dtype.is_numeric() for dtype in known):
        return nw.Float64
    found = " and ".join(f"{dtype} in sample {i}" for dtype, i in known.items())
    raise ValueError(f"column {name!r} is {found}; give it one type in all samples")


def _prepared(
    column: nw.Series[Any], samples: NDArray[np.int64], *, is_text: bool
) -> nw.Series[Any]:
    """Return a column as every transformer of scikit-learn reads it."""
    missing, name = is_missing_in(column), column.name
    if missing.all() and not is_text:
        return _floats(column)
    if column.dtype == nw.Unknown:
        column = column.cast(nw.String)
    if column.dtype == nw.Object:
        column = _of_one_type(column, samples)
    dtype, has_gaps = column.dtype, bool(missing.any())
    if dtype.is_decimal() or (has_gaps and (dtype.is_numeric() or dtype == nw.Boolean)):
        column = _floats(column)
    elif has_gaps and column.implementation.is_pandas_like():
        native = column.to_native()
        if not isinstance(dtype, nw.Categorical | nw.Enum):  # NaN for NA and None alike
            native = native.astype(object).where(~missing, np.nan)
        column = nw.from_native(native, series_only=True)
    if column.dtype.is_float():
        infinite = np.isinf(column.to_numpy())
        if infinite.any():
            sample = samples[infinite.argmax()]
            raise ValueError(
                f"X contains infinity: sample {sample}, column {name!r}. Clip the data"
            )
    return column.alias(name)


def _of_one_type(column: nw.Series[Any], samples: NDArray[np.int64]) -> nw.Series[Any]:
    """Return objects as floats if they are numbers, and refuse numbers among text."""
    values = column.to_list()
    present = np.flatnonzero(~is_missing_in(column))
    is_text = [isinstance(values[row], str) for row in present]
    if not any(is_text):
        return _floats(column)
    if not all(is_text):
        row = present[is_text.index(False)]
        raise ValueError(
            f"column {column.name!r} mixes text with other values: sample {samples[row]} "
            f"has {values[row]!r} of type {type(values[row]).__name__}; give the column "
            "one type"
        )
    return column


def _floats(column: nw.Series[Any]) -> nw.Series[Any]:
    return nw.new_series(
        column.name, numbers(column), nw.Float64, backend=column.implementation
    )
