"""Warnings about data that can be read but look as if they meant something else.

Each says what makes the data suspicious and how to put the doubt to rest. A false alarm is
a defect: what ordinary data may look like gives no warning.
"""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skorch
from numpy.typing import NDArray

from sknt.data.ragged import PIECE, Ragged

MANY_FEATURES = 16
"""One step of at least as many features looks like a series of as many steps."""
MANY_TIMES = 3
"""Several steps are suspicious only if there are so many times as many features."""
SMOOTH = 0.1
"""Neighbouring features are alike if their squared differences are this small a part of
those between neighbouring steps."""
MOST_SEQUENCES = 200
"""The first sequences are looked at, at most so many."""
FAR_BELOW = -99
"""A single negative label of at most this looks like a mark."""
CUSTOMARY = (-99, -100, -999, -9999, -99999)
"""Numbers that are used as marks among values of any kind."""
FAR_FROM_OTHERS = 3
"""A mark among negative values is so many times farther from them than they are apart."""
TEXT_OF_NOTHING = ("nan", "NaT", "<NA>")
"""What missing labels become in an array of text."""


_PACKAGES = (
    str(Path(__file__).parents[1]),
    *(str(Path(package.__file__).parent) for package in (sklearn, skorch)),
)


class DataWarning(UserWarning):
    """X or y could be read, but look as if they meant something else."""


def warn(message: str, category: type[Warning] = DataWarning) -> None:
    """Give a warning at the first caller outside of sknt, scikit-learn and skorch."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_if_axes_look_swapped(inputs: Ragged) -> None:
    """Warn of one step of many features, or of a few rough steps of many smooth features.

    Parameters
    ----------
    inputs : Ragged
        Present steps.
    """
    n_timesteps, n_features = int(inputs.lengths.max(initial=0)), inputs.n_features
    if n_features < MANY_FEATURES or n_features < MANY_TIMES * n_timesteps:
        return
    some = inputs.take(slice(MOST_SEQUENCES))
    is_whole = (some.lengths == n_timesteps).all()
    if n_timesteps > 1 and not (is_whole and _are_swapped(some.padded())):
        return
    steps = "1 step" if n_timesteps == 1 else f"{n_timesteps} steps"
    warn(
        f"the sequences have {steps} of {n_features} features, which look like "
        f"{n_features} steps of {n_timesteps} feature(s): axis 1 should be the steps, axis "
        "2 the features. For arrays with the channels first, as in aeon and sktime, use "
        "sknt.preprocessing.from_channels_first"
    )


def _are_swapped(values: NDArray[np.float64]) -> bool:
    """Return whether features run on smoothly from one to the next, and steps do not.

    If the last feature of a step, or any other, runs on into the first feature of the next
    step, each step is a part of a longer series.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of enormous values
        across_steps = np.mean(np.diff(values, axis=1) ** 2)
        across_features = np.mean(np.diff(values, axis=2) ** 2)
        following = (values[:, 1:, :1] - values[:, :-1]) ** 2
        runs_on = following.mean(axis=(0, 1)).min()
    return bool(across_features < SMOOTH * min(across_steps, runs_on))


def warn_if_label_looks_like_a_mark(labels: NDArray[Any], *, per_step: bool) -> None:
    """Warn of a label such as −100 that other libraries use for "no target".

    It is the only negative number among the labels, and far below the others; −1 beside
    the numbers of three classes or more is suspicious for steps alone. Among text, it is
    what NaN becomes.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
    per_step : bool
        Whether the labels are those of steps.
    """
    found = np.unique(labels).tolist()
    mark: Any = None
    if labels.dtype.kind in "US":
        mark = next((text for text in TEXT_OF_NOTHING if text in found), None)
    elif len(found) > 1 and found[0] < 0 <= found[1]:
        lowest, others = found[0], found[1:]
        is_numbering = others == list(range(len(others))) and len(others) > 2
        is_far = lowest <= FAR_BELOW and -lowest not in others
        if is_far or (lowest == -1 and is_numbering and per_step):
            mark = lowest
    if mark is not None:
        _warn_of_mark("label", mark, "a class")


def warn_if_labels_look_like_those_of_steps(n_outputs: int, n_timesteps: int) -> None:
    """Warn of as many labels for each sequence as it has steps."""
    if n_outputs == n_timesteps > 2:
        warn(
            f"y has {n_outputs} labels for each sequence, as many as X has steps; they "
            "count as independent labels of whole sequences. For a label for each step, "
            "use return_sequences=True"
        )


def warn_if_value_looks_like_a_mark(values: NDArray[np.float64]) -> None:
    """Warn of a customary mark such as −999 that occurs repeatedly among other values.

    It is the only negative number among them, or far below all others.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
    """
    lowest = values.min()
    others = values[values > lowest]
    if lowest not in CUSTOMARY or not 0 < len(others) < len(values) - 1:
        return
    gap, spread = others.min() - lowest, others.max() - others.min()
    if others.min() >= 0 or gap > FAR_FROM_OTHERS * spread > 0:
        _warn_of_mark("value", int(lowest), "a value")


def _warn_of_mark(kind: str, mark: Any, meant: str) -> None:
    warn(
        f"y has the {kind} {mark!r}, which looks like a mark for entries without a target, "
        f"but counts as {meant}. Set missing_target={mark!r} to leave them out, or "
        f"missing_target=None if it is {meant}"
    )


def warn_if_differences_are_lost(
    inputs: Ragged,
    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    standardize: bool | str,
) -> None:
    """Warn of features that vary less than single precision resolves.

    Such are seconds since 1970 unless they are standardised, or if they span decades.
    Rounding in double precision is not taken for a difference.

    Parameters
    ----------
    inputs : Ragged
    scale : callable
        Called with steps; what it returns is cast to single precision.
    standardize : bool or "auto"
        The estimator's parameter, for the advice.
    """
    some = np.unique(np.linspace(0, len(inputs) - 1, MOST_SEQUENCES).astype(int))
    longest = max(2, PIECE // (len(some) * inputs.n_features))
    steps = inputs.take(some).cut(longest).steps()
    scaled = scale(steps)
    noise = 16 * np.finfo(np.float64).eps * np.abs(steps).max(axis=0)
    differs = np.abs(np.diff(steps, axis=0)) > noise
    exact = np.diff(scaled, axis=0)
    rounded = np.diff(scaled.astype(np.float32).astype(np.float64), axis=0)
    is_lost = differs & (np.abs(rounded - exact) > np.abs(exact) / 2)
    lost = np.flatnonzero(2 * is_lost.sum(axis=0) > differs.sum(axis=0))
    if _warn_if_rounded(steps) or not len(lost):
        return
    advice = "subtract what a sequence's steps have in common, such as its first value"
    if standardize is False:
        advice += ', or use standardize="auto"'
    warn(
        f"most differences between successive values of feature(s) {lost.tolist()} are "
        "lost in single precision, in which the network computes: they are too small for "
        f"values of up to {np.abs(steps).max(axis=0)[lost[0]]:.3g}. To keep them, "
        f"{advice}, or take logarithms if a few values are very large"
    )


def _warn_if_rounded(steps: NDArray[np.float64]) -> bool:
    """Warn of features that were in single precision, which cannot hold large integers.

    They have few of the differences that are too large to be one of the rounding: most are
    one or two units in the last place.
    """
    unit = np.spacing(np.abs(steps).max(axis=0).astype(np.float32)).astype(np.float64)
    is_rounded = (unit > 1) & (steps % np.maximum(unit, 1) == 0).all(axis=0)
    units = np.abs(np.diff(steps, axis=0)) / unit
    n_fine, n_coarse = ((units > 0) & (units <= 2)).sum(axis=0), (units > 2).sum(axis=0)
    rounded = np.flatnonzero(is_rounded & (n_fine > n_coarse))
    if len(rounded):
        warn(
            f"feature(s) {rounded.tolist()} seem to have been rounded to single precision "
            "before they were given, which has lost most differences between their values. "
            "Give them in double precision, or subtract a common value first"
        )
    return bool(len(rounded))
