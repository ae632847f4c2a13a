"""Windows of long series, with targets that come later than the window."""

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sknt.data.sequences import as_labels, as_numpy, is_list, is_list_of_sequences
from sknt.preprocessing._layouts_columns import numbers, open_frame
from sknt.preprocessing._layouts_data import SequenceData, check_choice, names_of


class Windows(NamedTuple):
    """Windows of one series or several.

    Attributes
    ----------
    X : ndarray of shape (n_windows, length, n_features)
        Series by series, in the order of time. A read-only view if there is one series.
    y : ndarray or None
        A target for each window, (n_windows,) or (n_windows, n_outputs), or for each
        step, (n_windows, length) or (n_windows, length, n_outputs).
    series : ndarray of shape (n_windows,)
        The id of each window's series, or its number: the groups of a splitter.
    starts : ndarray of int of shape (n_windows,)
        The step of the series that a window begins with.
    n_left_over : ndarray of int of shape (n_series,)
        Steps at the end of each series that no window or target reaches.
    """

    X: NDArray[np.float64]
    y: NDArray[Any] | None
    series: NDArray[Any]
    starts: NDArray[np.int64]
    n_left_over: NDArray[np.int64]


def to_windows(
    X: Any,
    y: Any = None,
    *,
    length: int,
    stride: int = 1,
    horizon: int | list[int] = 0,
    target: Any = None,
    target_per: str = "sequence",
    too_short: str = "raise",
) -> Windows:
    """Cut long series into windows.

    A window holds the steps ``start`` to ``start + length - 1``. Its target is that of
    the step `horizon` steps after its last one, so that no window holds its own target.
    Windows that overlap are alike: split them by time (``TimeSeriesSplit`` with a gap of
    at least ``(length + horizon) / stride`` windows) or by series, not at random.

    Parameters
    ----------
    X : array-like of shape (n_timesteps,) or (n_timesteps, n_features), data frame, or \
            several series
        One series, its rows in the order of time. Several are an array of shape
        (n_series, n_timesteps, n_features), a list of such arrays or frames, or a
        SequenceData; absent steps at their ends are cut off.
    y : array-like of shape (n_timesteps,) or (n_timesteps, n_outputs), or list of such, \
            default=None
        A target or label for each step, NaN where there is none. For several series also
        of shape (n_series,): one for each, which all of its windows have. None takes
        those of a SequenceData, unless there is a `target`.
    length : int
        Number of steps in a window.
    stride : int, default=1
        Number of steps from the start of a window to that of the next.
    horizon : int or list of int, default=0
        How many steps after the window's last one its target is. Several horizons are
        several outputs.
    target : int, str or list of them, default=None
        Features of X to forecast, by number or, for frames, by name. Their `horizon` has
        to be at least 1.
    target_per : {"sequence", "step"}, default="sequence"
        Whether a window has one target, or each of its steps has the target `horizon`
        steps after it.
    too_short : {"raise", "skip"}, default="raise"
        What to do with a series that has no room for a window and its target.

    Returns
    -------
    windows : Windows
        A named tuple of X, y, series, starts and n_left_over.

    Raises
    ------
    ValueError
        If a series is too short, a window has no present step, the arguments contradict
        each other, or a frame has columns that are not numbers or dates out of order.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt.preprocessing import to_windows
    >>> windows = to_windows(np.arange(8.0), length=3, stride=2, horizon=1, target=0)
    >>> windows.X[..., 0]
    array([[0., 1., 2.],
           [2., 3., 4.],
           [4., 5., 6.]])
    >>> windows.y
    array([3., 5., 7.])
    >>> windows.n_left_over
    array([0])
    """
    check_choice("target_per", target_per, ("sequence", "step"))
    check_choice("too_short", too_short, ("raise", "skip"))
    _check_counts(length, stride)
    horizons = _checked_horizons(horizon, y, target, target_per)
    data = X if isinstance(X, SequenceData) else None
    if data and y is None and target is None:
        y = data.y
    series, names = _series_of(X)
    ids = data.ids if data else np.arange(len(series))
    targets = _targets(series, names, y, target)
    per_series = targets is not None and targets[0].ndim == 0
    if per_series and horizons != [0]:
        raise ValueError("y has one target for each series, so horizon has no meaning")
    series, targets = _without_ends(series, targets)

    far = max(horizons)
    windows, found, owners, starts, left_over = [], [], [], [], []
    for i, steps in enumerate(series):
        n_windows = (len(steps) - length - far) // stride + 1
        if n_windows < 1:
            if too_short == "raise":
                raise ValueError(
                    f"series {ids[i]} has {len(steps)} steps, but a window and its target "
                    f'take {length + far}; give a shorter length, or too_short="skip"'
                )
            left_over.append(len(steps))
            continue
        begin = np.arange(n_windows) * stride
        windows.append(_cut(steps, length, begin))
        if targets is not None and (per_series or target_per == "step"):
            one = targets[i]
            found.append(
                np.repeat(one[np.newaxis], n_windows, axis=0)
                if per_series
                else _cut(one, length, begin + far)
            )
        elif targets is not None:
            ends = begin + length - 1
            columns = [targets[i][ends + h] for h in horizons]
            found.append(np.stack(columns, axis=1) if is_list(horizon) else columns[0])
        owners.append(np.full(n_windows, i))
        starts.append(begin)
        left_over.append(len(steps) - (begin[-1] + length + far))
    if not windows:
        raise ValueError(f"every series is too short for windows of {length} steps")
    cut = windows[0] if len(windows) == 1 else np.concatenate(windows)
    result = Windows(
        cut,
        np.concatenate(found) if found else None,
        np.asarray(ids)[np.concatenate(owners)],
        np.concatenate(starts),
        np.array(left_over),
    )
    _refuse_absent(result)
    return result


def _check_counts(length: Any, stride: Any) -> None:
    for name, value in {"length": length, "stride": stride}.items():
        if not _is_count(value) or value < 1:
            raise ValueError(f"{name}={value!r} is not a whole number of steps from 1 on")


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _checked_horizons(horizon: Any, y: Any, target: Any, per: str) -> list[int]:
    horizons = list(horizon) if is_list(horizon) else [horizon]
    if not horizons or not all(_is_count(h) and h >= 0 for h in horizons):
        raise ValueError(f"horizon={horizon!r} is not a number of steps, or a list of them")
    if target is not None and y is not None:
        raise ValueError("give y or target, not both: target takes features of X for y")
    if target is not None and min(horizons) < 1:
        raise ValueError(
            "with target, horizon must be at least 1: at 0 the window holds its target"
        )
    if is_list(horizon) and per == "step":
        raise ValueError("a target for each step has one horizon, not a list of them")
    if is_list(horizon) and is_list(target) and len(target) > 1:
        raise ValueError("give several targets or several horizons, not both")
    return horizons


def _series_of(X: Any) -> tuple[list[NDArray[np.float64]], list[str] | None]:
    """Return each series as an array (n_timesteps, n_features), and features' names."""
    if isinstance(X, SequenceData):
        return [np.asarray(own) for own in X.X], X.columns.features
    if is_list_of_sequences(X) and all(map(is_list, X)):
        raise ValueError(
            "a list of lists may be one series of several features, or several series; "
            "give one array, or a list of arrays"
        )
    parts = X if is_list_of_sequences(X) or getattr(X, "ndim", 2) == 3 else [X]
    read = [_one_series(part, i) for i, part in enumerate(parts)]
    names = read[0][1]
    for i, (steps, own) in enumerate(read):
        if own != names or steps.shape[1] != read[0][0].shape[1]:
            raise ValueError(
                f"series {i} has the features {own or steps.shape[1]}, but series 0 has "
                f"{names or read[0][0].shape[1]}"
            )
    return [steps for steps, _ in read], names


def _one_series(part: Any, i: int) -> tuple[NDArray[np.float64], list[str] | None]:
    opened = nw.from_native(part, eager_only=True, pass_through=True)
    if isinstance(opened, nw.DataFrame):
        _refuse_disorder(part, i)
        frame = open_frame(part)
        columns = [numbers(frame[name]) for name in frame.columns]
        return np.column_stack(columns), list(frame.columns)
    array = np.asarray(as_numpy(part))
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"series {i} is of shape {array.shape} and dtype {array.dtype}; give numbers "
            "of shape (n_timesteps,) or (n_timesteps, n_features)"
        )
    return array.astype(np.float64).reshape(len(array), -1), None


def _refuse_disorder(frame: Any, i: int) -> None:
    """Refuse a frame of pandas with dates as its index that are not in order."""
    index = getattr(frame, "index", None)
    dates = getattr(getattr(index, "dtype", None), "kind", "") == "M"
    if dates and not index.is_monotonic_increasing:
        raise ValueError(
            f"the dates in the index of series {i} are not in order; sort it first, with "
            "frame.sort_index()"
        )


def _targets(
    series: list[NDArray[np.float64]], names: list[str] | None, y: Any, target: Any
) -> list[NDArray[Any]] | None:
    """Return the targets of each step of each series, or of the series."""
    if target is not None:
        numbers_of = [_feature(one, names, series[0].shape[1]) for one in names_of(target)]
        chosen = numbers_of if is_list(target) else numbers_of[0]
        return [steps[:, chosen] for steps in series]
    if y is None:
        return None
    several = len(series) > 1 or is_list_of_sequences(y) or np.ndim(y) == 3
    parts = list(y) if several or np.ndim(y) == 0 else [y]
    if len(parts) != len(series):
        raise ValueError(f"y has {len(parts)} entries, but X has {len(series)} series")
    arrays = [as_labels(part) for part in parts]
    for i, (steps, own) in enumerate(zip(series, arrays, strict=True)):
        if own.ndim and len(own) != len(steps):
            raise ValueError(
                f"series {i} has {len(steps)} steps, but y has {len(own)} targets for it"
            )
    return arrays


def _feature(target: Any, names: list[str] | None, n_features: int) -> int:
    if names is not None and target in names:
        return names.index(target)
    if _is_count(target) and -n_features <= target < n_features:
        return int(target)
    raise ValueError(f"target={target!r} is not among the features {names or n_features}")


def _without_ends(
    series: list[NDArray[np.float64]], targets: list[NDArray[Any]] | None
) -> tuple[list[NDArray[np.float64]], list[NDArray[Any]] | None]:
    """Cut absent steps off the ends of several series, and their targets with them."""
    if len(series) == 1:
        return series, targets
    kept = []
    for steps in series:
        present = np.flatnonzero(~np.isnan(steps).all(axis=1))
        kept.append(slice(present[0], present[-1] + 1) if len(present) else slice(0))
    series = [steps[own] for steps, own in zip(series, kept, strict=True)]
    if targets is not None and targets[0].ndim:
        targets = [own[where] for own, where in zip(targets, kept, strict=True)]
    return series, targets


def _cut(steps: NDArray[Any], length: int, starts: NDArray[np.int64]) -> NDArray[Any]:
    """Return windows of steps as a view, shape (n_windows, length, ...)."""
    stride = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    views = sliding_window_view(steps, length, axis=0)[starts[0] : starts[-1] + 1 : stride]
    return np.moveaxis(views, -1, 1)


def _refuse_absent(windows: Windows) -> None:
    absent = np.isnan(windows.X).all(axis=(1, 2))
    if absent.any():
        first = int(absent.argmax())
        raise ValueError(
            f"{absent.sum()} window(s) have no present step, first window {first}: step "
            f"{windows.starts[first]} of series {windows.series[first]} and those after "
            "it are all NaN. Split the series at its gaps, and give the pieces as a list"
        )
