"""Long series, and targets at their steps, as ``to_windows`` takes them."""

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import as_labels, as_numpy, is_list, is_list_of_sequences
from sknt.preprocessing._layouts_columns import numbers, open_frame
from sknt.preprocessing._layouts_data import SequenceData, names_of


class Series(NamedTuple):
    """Series without the absent steps at their ends.

    Attributes
    ----------
    steps : list of ndarray of shape (n_timesteps_i, n_features)
    targets : list of ndarray of shape (n_timesteps_i, ...) or None
        Or of the shape of a target, if there is one for each series.
    per_series : bool
        Whether that is so.
    ids : ndarray of shape (n_series,)
    offsets : list of int
        Number of absent steps that were cut off the beginning of each series.
    """

    steps: list[NDArray[np.float64]]
    targets: list[NDArray[Any]] | None
    per_series: bool
    ids: NDArray[Any]
    offsets: list[int]


def read_series(X: Any, y: Any, target: Any) -> Series:
    """Return series, and the targets at their steps, from what ``to_windows`` takes."""
    data = X if isinstance(X, SequenceData) else None
    parts, names = (data.X, data.columns.features) if data else _parts(X)
    several = data is not None or parts is X
    steps = [_one_series(part, i)[0] for i, part in enumerate(parts)] if data else []
    if not data:
        steps, names = _alike(_read(parts))
    ids = data.ids if data else np.arange(len(steps))
    targets, per_series = None, False
    if target is not None:
        chosen = [_feature(one, names, steps[0].shape[1]) for one in names_of(target)]
        columns: Any = chosen if is_list(target) else chosen[0]
        targets = [own[:, columns] for own in steps]
    elif y is not None or (data and data.y is not None):
        given = data.y if data and y is None else y
        targets = _targets(given, len(steps), several)
        per_series = targets[0].ndim == 0
        if data and y is None:
            per_series = data.columns.target_per == "sequence"
        if not per_series:
            _check_lengths(steps, targets)
    kept = [_present_part(own) for own in steps]
    if targets is not None and not per_series:
        targets = [own[part] for own, part in zip(targets, kept, strict=True)]
    steps = [own[part] for own, part in zip(steps, kept, strict=True)]
    return Series(steps, targets, per_series, ids, [part.start for part in kept])


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number, and not a boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _parts(X: Any) -> tuple[Any, None]:
    """Return X itself if it is several series, and otherwise a list of the one."""
    if is_list_of_sequences(X) and all(map(is_list, X)):
        raise ValueError(
            "a list of lists may be one series of several features, or several series; "
            "give one array, or a list of arrays"
        )
    several = is_list_of_sequences(X) or getattr(X, "ndim", 2) == 3
    return (X if several else [X]), None


def _read(parts: Any) -> list[tuple[NDArray[np.float64], list[str] | None]]:
    """Return the steps and the names of features of each series.

    The name of a series of pandas or polars is that of its feature, unless there are
    several of different names, which then tell the series apart.
    """
    read = [_one_series(part, i) for i, part in enumerate(parts)]
    labels = {getattr(part, "name", None) for part in parts}
    if len(labels) == 1:
        return read
    return [
        (steps, None if hasattr(part, "name") else own)
        for (steps, own), part in zip(read, parts, strict=True)
    ]


def _alike(
    read: list[tuple[NDArray[np.float64], list[str] | None]],
) -> tuple[list[NDArray[np.float64]], list[str] | None]:
    """Return series and the names of their features, which have to be the same."""
    first, names = read[0]
    for i, (steps, own) in enumerate(read):
        if own != names or steps.shape[1] != first.shape[1]:
            raise ValueError(
                f"series {i} has the features {own or steps.shape[1]}, but series 0 has "
                f"{names or first.shape[1]}"
            )
    return [steps for steps, _ in read], names


def _one_series(part: Any, i: int) -> tuple[NDArray[np.float64], list[str] | None]:
    _refuse_disorder(part, i)
    opened = nw.from_native(part, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(opened, nw.Series):
        has_name = isinstance(opened.name, str) and opened.name != ""
        return numbers(opened)[:, np.newaxis], [opened.name] if has_name else None
    if isinstance(opened, nw.DataFrame):
        frame = open_frame(part)
        columns = [numbers(frame.get_column(name)) for name in frame.columns]
        return np.column_stack(columns), list(frame.columns)
    array = np.asarray(as_numpy(part))
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"series {i} is of shape {array.shape} and dtype {array.dtype}; give numbers "
            "of shape (n_timesteps,) or (n_timesteps, n_features)"
        )
    steps = array.astype(np.float64)
    return steps if array.ndim == 2 else steps[:, np.newaxis], None


def _refuse_disorder(part: Any, i: int) -> None:
    """Refuse data of pandas with dates as their index that are not in order."""
    index: Any = getattr(part, "index", None)
    dates = getattr(getattr(index, "dtype", None), "kind", "") == "M"
    if dates and not index.is_monotonic_increasing:
        raise ValueError(
            f"the dates in the index of series {i} are not in order; sort it first, with "
            "sort_index()"
        )


def _targets(y: Any, n_series: int, several: bool) -> list[NDArray[Any]]:
    parts = list(y) if several else [y]
    if len(parts) != n_series:
        raise ValueError(f"y has {len(parts)} entries, but X has {n_series} series")
    return [as_labels(part) for part in parts]


def _check_lengths(steps: list[NDArray[np.float64]], targets: list[NDArray[Any]]) -> None:
    for i, (own, labels) in enumerate(zip(steps, targets, strict=True)):
        if labels.ndim == 0 or len(labels) != len(own):
            raise ValueError(
                f"series {i} has {len(own)} steps, but y has {labels.size} targets for it"
            )


def _feature(target: Any, names: list[str] | None, n_features: int) -> int:
    if names is not None and target in names:
        return names.index(target)
    if is_count(target) and -n_features <= target < n_features:
        return int(target)
    raise ValueError(
        f"target={target!r} is not among the features: {names or f'0 to {n_features - 1}'}"
    )


def _present_part(steps: NDArray[np.float64]) -> slice:
    """Return the part from the first present step to the last."""
    present = np.flatnonzero(~np.isnan(steps).all(axis=1))
    return slice(present[0], present[-1] + 1) if len(present) else slice(0, 0)
