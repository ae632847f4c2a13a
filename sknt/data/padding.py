"""Padding: sequences of unequal length in one array, and back."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknt.data.arrays import as_labels, as_numpy, is_missing
from sknt.data.cells import as_objects
from sknt.data.choices import check_choice
from sknt.data.frames import check_frame, check_same_columns, is_frame


def pad_sequences(
    sequences: Any, *, max_length: int | None = None, side: str = "right"
) -> NDArray[Any]:
    """Put sequences of unequal length into one array, with NaN after the end of each.

    Parameters
    ----------
    sequences : list of array-like of shape (length_i, n_features) or (length_i,)
        Numbers, or labels of any kind. Masked entries become NaN.
    max_length : int or None, default=None
        Number of steps of the result; None stands for the longest sequence's. Longer
        sequences lose steps at `side`.
    side : {"right", "left"}, default="right"
        Where steps are added or removed: after a sequence's end, or before its beginning.

    Returns
    -------
    padded : ndarray of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps)
        Floats; objects if the sequences do not hold numbers.

    Raises
    ------
    ValueError
        If there is no sequence, they differ in dimensions, number of features or names of
        columns, or a parameter is invalid.

    See Also
    --------
    unpad_sequences : The inverse.

    Examples
    --------
    >>> from sknt import pad_sequences
    >>> pad_sequences([[1.0, 2.0, 3.0], [4.0]])
    array([[ 1.,  2.,  3.],
           [ 4., nan, nan]])
    """
    check_choice("side", side, ("left", "right"))
    is_number = isinstance(max_length, Integral) and not isinstance(max_length, bool)
    if max_length is not None and not (is_number and max_length > 0):
        raise ValueError(f"max_length={max_length!r} is not a positive integer or None")
    arrays = arrays_of_steps(sequences)
    numeric = all(a.dtype.kind in "biuf" for a in arrays)
    n_timesteps = max(map(len, arrays)) if max_length is None else int(max_length)
    step_shape = next((a.shape[1:] for a in arrays if a.shape != (0,)), ())
    padded = np.full(
        (len(arrays), n_timesteps, *step_shape),
        np.nan,
        dtype=np.float64 if numeric else object,
    )
    for row, array in zip(padded, arrays, strict=True):
        if len(array):
            steps = array[:n_timesteps] if side == "right" else array[-n_timesteps:]
            first = 0 if side == "right" else n_timesteps - len(steps)
            row[first : first + len(steps)] = steps
    return padded


def arrays_of_steps(sequences: Any) -> list[NDArray[Any]]:
    """Return each sequence of a list as an array; all steps have the same shape.

    Raises
    ------
    ValueError
        If there is no sequence, they differ in dimensions, number of features or names of
        columns, or one of them is not a sequence.
    """
    sequences = list(sequences)
    check_same_columns(sequences)
    if not sequences:
        raise ValueError("There is no sequence: the list is empty")
    arrays: list[NDArray[Any]] = []
    step_shape: tuple[int, ...] | None = None
    for i, sequence in enumerate(sequences):
        array = as_steps(i, sequence)
        if array.shape != (0,):  # an empty sequence fits any number of features
            step_shape = array.shape[1:] if step_shape is None else step_shape
            if array.shape[1:] != step_shape:
                raise ValueError(
                    f"sample {i} has steps of shape {array.shape[1:]}, but those before "
                    f"it have steps of shape {step_shape}; all samples need the same "
                    "number of features. Axis 0 is the steps: if the number of features "
                    "is on it, give [x.T for x in X]"
                )
        arrays.append(array)
    return arrays


def as_steps(i: int, sequence: Any) -> NDArray[Any]:
    """Return sample i as an array of one or two dimensions; missing values are NaN or None.

    Raises
    ------
    ValueError
        If it is not a sequence.
    """
    if isinstance(sequence, tuple) and any(map(is_frame, sequence)):
        raise ValueError(
            f"sample {i} is a tuple with a frame, as iterating over a groupby gives it; "
            "give [group for _, group in X.groupby(...)]"
        )
    if is_frame(sequence):
        check_frame(sequence)
    try:
        array = as_labels(sequence)
    except ValueError:
        array = None
    if array is None or array.ndim not in (1, 2):
        found = "rows of unequal length" if array is None else f"shape {array.shape}"
        raise ValueError(
            f"sample {i} is not a sequence: it has {found}; give each sample an "
            "array of shape (length, n_features) or (length,)"
        )
    return as_objects(array) if array.dtype.kind in "mM" else array


def unpad_sequences(array: ArrayLike) -> list[NDArray[Any]]:
    """Remove the absent steps from an array, giving one array per sequence.

    Parameters
    ----------
    array : array-like of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps)
        Steps that are all NaN are absent, wherever they are.

    Returns
    -------
    sequences : list of ndarray of shape (length_i, n_features) or (length_i,)

    Raises
    ------
    ValueError
        If the array has another number of dimensions.

    Examples
    --------
    >>> from sknt import unpad_sequences
    >>> unpad_sequences([[1.0, 2.0], [3.0, float("nan")]])
    [array([1., 2.]), array([3.])]
    """
    array = _rectangular(array)
    present = ~_all_features(is_missing(array))
    return [steps[mask] for steps, mask in zip(array, present, strict=True)]


def mark_padding(
    array: ArrayLike, value: float, *, side: str = "right"
) -> NDArray[np.float64]:
    """Mark steps at the end that equal a padding value as absent (NaN).

    Parameters
    ----------
    array : array-like of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps)
    value : float
        The value that padded steps hold in every feature, such as 0 or -1. Steps that
        hold it among a sequence's other steps are data and stay.
    side : {"right", "left", "both"}, default="right"
        Where padding was added: after the end of sequences, before their beginning, or
        at both.

    Returns
    -------
    marked : ndarray of the same shape, of floats
        A copy. A sequence that is all padding is left without steps, which `fit` refuses.

    Raises
    ------
    ValueError
        If the array has another number of dimensions, does not hold numbers, or `side` is
        not known.

    Examples
    --------
    >>> from sknt import mark_padding
    >>> mark_padding([[1, 0, 2], [3, 0, 0]], 0)
    array([[ 1.,  0.,  2.],
           [ 3., nan, nan]])
    """
    check_choice("side", side, ("both", "left", "right"))
    array = _rectangular(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"the array is of dtype {array.dtype}; mark numbers, not text")
    if array.dtype.kind == "f":
        value = array.dtype.type(value)  # single precision rounds -99.9
    marked = array.astype(np.float64)
    padding = _all_features(array == value) | _all_features(np.isnan(marked))
    if side != "left":
        trailing = np.logical_and.accumulate(padding[:, ::-1], axis=1)[:, ::-1]
        marked[trailing] = np.nan
    if side != "right":
        marked[np.logical_and.accumulate(padding, axis=1)] = np.nan
    return marked


def _rectangular(array: ArrayLike) -> NDArray[Any]:
    if is_frame(array):
        check_frame(array)
    try:
        return np.asarray(as_numpy(array))
    except ValueError as error:
        raise ValueError(
            "the sequences are of unequal length; make one array of them with "
            "pad_sequences first"
        ) from error


def _all_features(entries: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if entries.ndim not in (2, 3):
        raise ValueError(
            f"the array has {entries.ndim} dimensions; give "
            "(n_samples, n_timesteps, n_features) or (n_samples, n_timesteps)"
        )
    return np.asarray(entries.all(axis=2)) if entries.ndim == 3 else entries
