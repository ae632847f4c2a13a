"""Windows of long series, with targets that come later than the window."""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sknt.data.choices import check_choice
from sknt.data.sequences import is_list
from sknt.preprocessing._layouts_data import shown
from sknt.preprocessing._layouts_series import is_count, read_series


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

    A window holds the steps ``start`` to ``start + length - 1``, and its target is that
    of the step `horizon` steps after its last one: no window holds its own target.
    Windows that overlap are alike, so split them by time (``TimeSeriesSplit`` with a gap
    of ``(length + horizon) / stride`` windows) or by series, not at random.

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
        steps after it. Later steps of a window then hold the targets of earlier ones, so
        the model must not be bidirectional.
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
    far = max(horizons)
    series = read_series(X, y, target)
    if series.targets is None and far:
        raise ValueError(f"horizon={horizon!r} needs a target: give y or target")
    if series.per_series and far:
        raise ValueError("y has one target for each series, so horizon has no meaning")

    windows, targets, owners, starts, left_over = [], [], [], [], []
    for i, (steps, offset) in enumerate(zip(series.steps, series.offsets, strict=True)):
        n_windows = (len(steps) - length - far) // stride + 1
        if n_windows < 1 and too_short == "raise":
            raise ValueError(
                f"series {shown(series.ids[i])} has {len(steps)} steps, but a window and "
                f"its target take {length + far}; give a shorter length, or "
                'too_short="skip"'
            )
        if n_windows < 1:
            left_over.append(len(steps))
            continue
        begin = np.arange(n_windows) * stride
        _refuse_absent(steps, begin, length, f"series {shown(series.ids[i])}", offset)
        windows.append(_cut(steps, length, begin))
        if series.targets is not None:
            own = series.targets[i]
            if series.per_series:
                targets.append(np.repeat(own[np.newaxis], n_windows, axis=0))
            elif target_per == "step":
                targets.append(_cut(own, length, begin + far))
            else:
                later = [own[begin + length - 1 + ahead] for ahead in horizons]
                targets.append(np.stack(later, axis=1) if is_list(horizon) else later[0])
        owners.append(np.full(n_windows, i))
        starts.append(begin + offset)
        left_over.append(len(steps) - int(begin[-1]) - length - far)
    if not windows:
        raise ValueError(f"every series is too short for windows of {length} steps")
    return Windows(
        windows[0] if len(windows) == 1 else np.concatenate(windows),
        np.concatenate(targets) if targets else None,
        series.ids[np.concatenate(owners)],
        np.concatenate(starts),
        np.array(left_over),
    )


def _check_counts(length: Any, stride: Any) -> None:
    for name, value in {"length": length, "stride": stride}.items():
        if not is_count(value) or value < 1:
            raise ValueError(f"{name}={value!r} is not a whole number of steps from 1 on")


def _checked_horizons(horizon: Any, y: Any, target: Any, per: str) -> list[int]:
    horizons = list(horizon) if is_list(horizon) else [horizon]
    if not horizons or not all(is_count(h) and h >= 0 for h in horizons):
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


def _cut(steps: NDArray[Any], length: int, starts: NDArray[np.int64]) -> NDArray[Any]:
    """Return windows of steps as a view, shape (n_windows, length, ...)."""
    stride = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    views = sliding_window_view(steps, length, axis=0)[starts[0] : starts[-1] + 1 : stride]
    return np.moveaxis(views, -1, 1)


def _refuse_absent(
    steps: NDArray[np.float64],
    starts: NDArray[np.int64],
    length: int,
    name: str,
    offset: int,
) -> None:
    """Refuse windows without any present step."""
    n_present = np.cumsum(np.r_[0, ~np.isnan(steps).all(axis=1)])
    absent = n_present[starts + length] == n_present[starts]
    if absent.any():
        first = starts[absent.argmax()] + offset
        raise ValueError(
            f"{absent.sum()} window(s) of {name} have no present step: steps {first} to "
            f"{first + length - 1} are all NaN. Split the series at its gaps, and give the "
            "pieces as a list"
        )
