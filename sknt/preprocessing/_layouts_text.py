"""Columns of nested data of which some hold text, as frames are made of."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.frames import is_frame
from sknt.preprocessing._layouts_cells import has_steps
from sknt.preprocessing._layouts_data import is_null
from sknt.preprocessing._layouts_steps import Steps, keys_of, steps_of


def text_or_steps_of(cells: list[Any], name: str, scalars: str) -> list[Steps]:
    """Return the steps in all cells of a column, each feature of text by itself.

    Raises
    ------
    ValueError
        As :func:`steps_of`, or if text is mixed with other values.
    """
    where = f"column {name!r}" if name else "X"
    keys = keys_of(cells)
    if not keys:
        return [_text_of(cells, name, where, scalars) or steps_of(cells, name, scalars)]
    prefix = f"{name}." if name else ""
    columns = [
        _by_key(cell, keys, f"sample {i} of {where}") for i, cell in enumerate(cells)
    ]
    return [
        part
        for key in keys
        for part in text_or_steps_of([own[key] for own in columns], prefix + key, "raise")
    ]


def _by_key(cell: Any, keys: list[str], here: str) -> dict[str, Any]:
    """Return the columns of a cell that holds a frame or a list of records."""
    if is_frame(cell):
        frame = nw.from_native(cell)
        if set(frame.columns) != set(keys):
            raise ValueError(
                f"{here} has the columns {frame.columns}, but others have {keys}"
            )
        return {key: frame.get_column(key).to_list() for key in keys}
    if not has_steps(cell) or not all(isinstance(step, Mapping) for step in cell):
        raise ValueError(f"{here} mixes dicts with other values")
    return {key: [step.get(key) for step in cell] for key in keys}


def _text_of(cells: list[Any], name: str, where: str, scalars: str) -> Steps | None:
    """Return a column of text, or None if its first value that there is is none."""
    repeats = not any(map(has_steps, cells))
    series = [_values(cell) for cell in cells]
    present = ((i, v) for i, own in enumerate(series) for v in own if not is_null(v))
    first = next(present, None)
    if first is None or not isinstance(first[1], str):
        return None
    if repeats and scalars == "raise":
        return None  # which is refused there
    for i, value in present:
        if not isinstance(value, str):
            raise ValueError(
                f"sample {i} of {where} has {value!r} of type {type(value).__name__}, but "
                f"sample {first[0]} has text; give the column one type"
            )
    for i, cell in enumerate(cells):
        if has_steps(cell) == repeats:
            raise ValueError(
                f"sample {i} of {where} is {cell!r}, not a series; give every cell a "
                "series, or every cell one value"
            )
    values: NDArray[Any] = np.empty((sum(map(len, series)), 1), object)
    values[:, 0] = [np.nan if is_null(v) else v for own in series for v in own]
    lengths = None if repeats else np.array([len(own) for own in series])
    return Steps([name or "feature_0"], values, lengths)


def _values(cell: Any) -> list[Any]:
    """Return the values in a cell that may hold text; none of an array of numbers."""
    if not has_steps(cell):
        return [cell]
    if isinstance(cell, np.ndarray) and (cell.dtype.kind in "biufc" or cell.ndim > 1):
        return [0.0]
    return cell.tolist() if hasattr(cell, "tolist") else list(cell)
