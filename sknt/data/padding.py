"""Padding: sequences of unequal length in one array, and back."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknt.data.arrays import as_labels, as_numpy, is_missing


def pad_sequences(sequences: Any) -> NDArray[Any]:
    """Put sequences of unequal length into one array, with NaN after the end of each.

    Parameters
    ----------
    sequences : list of array-like of shape (length_i, n_features) or (length_i,)
        Numbers, or labels of any kind.

    Returns
    -------
    padded : ndarray of shape (n_samples, longest, n_features) or (n_samples, longest)
        Floats; objects if the sequences do not hold numbers.

    Raises
    ------
    ValueError
        If there is no sequence, or they differ in dimensions or number of features.

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
    arrays: list[NDArray[Any]] = []
    step_shape: tuple[int, ...] | None = None
    for i, sequence in enumerate(sequences):
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
        if array.shape != (0,):  # an empty sequence fits any number of features
            step_shape = array.shape[1:] if step_shape is None else step_shape
            if array.shape[1:] != step_shape:
                raise ValueError(
                    f"sample {i} has steps of shape {array.shape[1:]}, but those before "
                    f"it have steps of shape {step_shape}; all samples need the same "
                    "number of features"
                )
        arrays.append(array)
    if not arrays:
        raise ValueError("There is no sequence: the list is empty")
    numeric = all(a.dtype.kind in "biuf" for a in arrays)
    longest = max(map(len, arrays))
    padded = np.full(
        (len(arrays), longest, *(step_shape or ())),
        np.nan,
        dtype=np.float64 if numeric else object,
    )
    for row, array in zip(padded, arrays, strict=True):
        if len(array):
            row[: len(array)] = array
    return padded


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


def mark_padding(array: ArrayLike, value: float) -> NDArray[np.float64]:
    """Mark trailing steps that equal a padding value as absent (NaN).

    Parameters
    ----------
    array : array-like of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps)
    value : float
        The value that padded steps hold in every feature, such as 0 or -1. Steps that
        hold it before a sequence's end are data and stay.

    Returns
    -------
    marked : ndarray of the same shape, of floats
        A copy. A sequence that is all padding is left without steps, which `fit` refuses.

    Raises
    ------
    ValueError
        If the array has another number of dimensions, or does not hold numbers.

    Examples
    --------
    >>> from sknt import mark_padding
    >>> mark_padding([[1, 0, 2], [3, 0, 0]], 0)
    array([[ 1.,  0.,  2.],
           [ 3., nan, nan]])
    """
    array = _rectangular(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"the array is of dtype {array.dtype}; mark numbers, not text")
    if array.dtype.kind == "f":
        value = array.dtype.type(value)  # single precision rounds -99.9
    marked = array.astype(np.float64)
    padding = _all_features(array == value) | _all_features(np.isnan(marked))
    trailing = np.logical_and.accumulate(padding[:, ::-1], axis=1)[:, ::-1]
    marked[trailing] = np.nan
    return marked


def _rectangular(array: ArrayLike) -> NDArray[Any]:
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
