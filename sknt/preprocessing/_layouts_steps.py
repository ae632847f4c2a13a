"""The steps that the cells of nested data hold, as numbers."""

from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.frames import is_frame
from sknt.data.sequences import as_numpy, is_list
from sknt.preprocessing._layouts_cells import has_steps
from sknt.preprocessing._layouts_columns import exact_float
from sknt.preprocessing._layouts_data import is_null


class Steps(NamedTuple):
    """The steps of all samples in one column.

    Attributes
    ----------
    names : list of str
        Of the features that it holds.
    values : ndarray of shape (n_steps, n_features), or (n_samples, 1) for scalars
        Objects if they are text.
    lengths : ndarray of shape (n_samples,) or None
        Number of steps of each sample; None for scalars.
    """

    names: list[str]
    values: NDArray[Any]
    lengths: NDArray[np.int64] | None

    def repeated(
        self, lengths: NDArray[np.int64], absent: NDArray[np.bool_]
    ) -> NDArray[Any]:
        """Return the values at each step; scalars are repeated but at absent steps."""
        if self.lengths is not None:
            return self.values
        values = np.repeat(self.values, lengths, axis=0)
        values[absent] = np.nan
        return values


def steps_of(cells: list[Any], name: str, scalars: str) -> Steps:
    """Return the steps in all cells of a column of features.

    Raises
    ------
    ValueError
        If a cell is missing, is not numeric, or has another number of features than the
        first; or holds one value unless `scalars` is "repeat".
    """
    where = f"column {name!r}" if name else "X"
    cells = [_plain(cell) for cell in cells]
    if all(_is_simple(cell) for cell in cells):  # nothing to check, and faster
        lengths = np.array([len(cell) for cell in cells])
        values = np.concatenate(cells).astype(np.float64)[:, np.newaxis]
        return Steps([name or "feature_0"], values, lengths)
    keys = keys_of(cells)
    arrays: list[NDArray[np.float64]] = []
    for sample, cell in enumerate(cells):
        here = f"sample {sample} of {where}"
        if not has_steps(cell):
            array = _scalar(cell, here, scalars)
        elif is_frame(cell):
            array = _steps_of_frame(cell, keys, here)
        elif keys:
            array = _steps_of_records(cell, keys, here)
        else:
            array = _as_floats(cell, here)
        arrays.append(array)
        if array.ndim > 2 or array.ndim != arrays[0].ndim:
            raise ValueError(
                f"{here} has shape {array.shape}, sample 0 {arrays[0].shape}; give every "
                "cell a series of shape (length,) or (length, n_features)"
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"{here} has {array.shape[1]} features, but sample 0 has "
                f"{arrays[0].shape[1]}; cells are of shape (length, n_features)"
            )
    if arrays[0].ndim == 0:
        return Steps([name], np.stack(arrays)[:, np.newaxis], None)
    lengths = np.array([len(array) for array in arrays])
    values = np.concatenate(arrays)
    if values.ndim == 1:
        return Steps([name or "feature_0"], values[:, np.newaxis], lengths)
    prefix = f"{name}." if name else ""
    names = [prefix + key for key in keys] or [
        f"{name or 'feature'}_{feature}" for feature in range(values.shape[1])
    ]
    return Steps(names, values, lengths)


def _plain(cell: Any) -> Any:
    """Return a series of numbers of pandas as an array, which is faster to look at."""
    if isinstance(cell, np.ndarray) or not hasattr(cell, "to_numpy"):
        return cell
    dtype = getattr(cell, "dtype", None)
    is_numeric = isinstance(dtype, np.dtype) and dtype.kind in "biuf"
    return cell.to_numpy() if is_numeric else cell


def _is_simple(cell: Any) -> bool:
    """Return whether a cell is an array of floats, one for each step."""
    return type(cell) is np.ndarray and cell.ndim == 1 and cell.dtype.kind == "f"


def keys_of(cells: list[Any]) -> list[str]:
    """Return all keys of steps that are records, in order; none if they are not."""
    keys: dict[str, None] = {}
    for cell in cells:
        if isinstance(cell, np.ndarray) and cell.dtype != object:
            continue
        if is_frame(cell):
            keys |= dict.fromkeys(nw.from_native(cell).columns)
        elif has_steps(cell) and len(cell) and isinstance(_first(cell), Mapping):
            for step in cell:
                keys |= dict.fromkeys(step if isinstance(step, Mapping) else ())
    return list(keys)


def _first(cell: Any) -> Any:
    return cell.iloc[0] if hasattr(cell, "iloc") else cell[0]


def _steps_of_frame(cell: Any, keys: list[str], here: str) -> NDArray[np.float64]:
    """Return the rows of a frame, its columns matched by their names."""
    frame = nw.from_native(cell)
    if set(frame.columns) != set(keys):
        raise ValueError(f"{here} has the columns {frame.columns}, but others have {keys}")
    columns = [
        _as_floats(frame.get_column(key).to_numpy(), f"{here}, column {key!r},")
        for key in keys
    ]
    return np.stack(columns, axis=1)


def _steps_of_records(cell: Any, keys: list[str], here: str) -> NDArray[np.float64]:
    if not all(isinstance(step, Mapping) for step in cell):
        raise ValueError(f"{here} mixes dicts with other values")
    columns = [
        _as_floats([step.get(key) for step in cell], f"{here}, key {key!r},")
        for key in keys
    ]
    return np.stack(columns, axis=1)


def _scalar(cell: Any, here: str, scalars: str) -> NDArray[np.float64]:
    if is_null(cell):
        raise ValueError(f"{here} is missing; leave the sample out, or give it a series")
    if scalars == "raise":
        raise ValueError(
            f"{here} is {cell!r} of type {type(cell).__name__}, not a series. Leave the "
            'column out with features=, or give scalars="repeat" to repeat a number at '
            "each step; a table with one row for each step is for from_long_frame"
        )
    return _as_floats(cell, here)


def _as_floats(cell: Any, here: str) -> NDArray[np.float64]:
    """Return a cell as floats: missing values are NaN, booleans 0 and 1."""
    if hasattr(cell, "to_numpy"):
        cell = cell.to_numpy()
    if is_list(cell) and len({isinstance(value, bool) for value in cell}) > 1:
        raise ValueError(f"{here} mixes booleans with other values")
    try:
        array = np.asarray(as_numpy(cell))
        if array.dtype == object and array.ndim == 1 and any(map(has_steps, array)):
            array = np.array([np.asarray(step) for step in array])
    except ValueError as error:
        raise ValueError(f"{here} has steps of unequal numbers of features") from error
    if array.dtype == object:
        array = _floats_of_objects(array, here)
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(
            f"{here} is not numeric: it is of dtype {array.dtype}. Encode text and dates "
            "as numbers, or leave the column out with features="
        )
    if array.dtype.kind in "iu" and array.size:
        for extreme in (array.max(), array.min()):
            exact_float(extreme, here)
    return array.astype(np.float64)


def _floats_of_objects(array: NDArray[Any], here: str) -> NDArray[Any]:
    flat = np.empty(array.size)
    for i, value in enumerate(array.ravel().tolist()):
        if is_null(value):
            flat[i] = np.nan
        elif isinstance(value, Real | Decimal):
            flat[i] = exact_float(value, here)
        else:
            raise ValueError(
                f"{here} is not numeric: it has {value!r} of type {type(value).__name__}. "
                "Encode text and dates as numbers, or leave the column out with features="
            )
    return flat.reshape(array.shape)
