"""Sequences of unequal length as arrays: padding, masks, packing. NumPy alone.

A step that is all NaN is absent, wherever it is in the sequence. The mask is made once,
here; everything downstream sees only sequences packed to the left, and their lengths.
"""

from collections.abc import Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT32_MAX = float(np.finfo(np.float32).max)


class Sequences(NamedTuple):
    """Checked sequences, packed to the left.

    Attributes
    ----------
    values : ndarray of shape (n_samples, longest, n_features)
        Present steps from step 0 on, zeros after them.
    lengths : ndarray of shape (n_samples,)
        Number of present steps, at least 1.
    present : ndarray of bool of shape (n_samples, n_timesteps)
        Which steps of the original array are present.
    """

    values: NDArray[np.float64]
    lengths: NDArray[np.int64]
    present: NDArray[np.bool_]

    def pack(self, steps: NDArray[Any]) -> NDArray[Any]:
        """Pack per-step values of the original layout to the left, followed by zeros.

        Parameters
        ----------
        steps : ndarray of shape (n_samples, n_timesteps, ...)

        Returns
        -------
        packed : ndarray of shape (n_samples, longest, ...)
        """
        packed = np.zeros((*self.values.shape[:2], *steps.shape[2:]), steps.dtype)
        packed[step_mask(self.lengths)] = steps[self.present]
        return packed

    def unpack(self, packed: NDArray[Any], fill: Any = np.nan) -> NDArray[Any]:
        """Lay packed steps out like the original array.

        Parameters
        ----------
        packed : ndarray of shape (n_samples, longest, ...)
        fill : object, default=nan
            Value of absent steps; if there are any, the dtype is widened to hold it.

        Returns
        -------
        steps : ndarray of shape (n_samples, n_timesteps, ...)
        """
        shape, dtype = (*self.present.shape, *packed.shape[2:]), packed.dtype
        if self.present.all():
            steps = np.empty(shape, dtype)
        elif np.issubdtype(dtype, np.number) and isinstance(fill, Number):
            steps = np.full(shape, fill, np.result_type(dtype, type(fill)))
        else:
            steps = np.full(shape, fill, object)
        steps[self.present] = packed[step_mask(self.lengths)]
        return steps


def step_mask(lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which steps of packed sequences are present, shape (n_samples, longest)."""
    return np.arange(lengths.max()) < lengths[:, np.newaxis]


def is_missing(values: NDArray[Any], marker: Any = np.nan) -> NDArray[np.bool_]:
    """Return which entries equal a marker; NaN equals NaN and, among objects, None."""
    if marker != marker:
        missing = np.asarray(values != values, dtype=bool)
        if values.dtype == object:
            missing |= np.asarray(values == None, dtype=bool)  # noqa: E711
        return missing
    return np.asarray(values == marker, dtype=bool)


def as_numpy(values: Any) -> Any:
    """Return a torch tensor as a detached array, and anything else unchanged.

    Raises
    ------
    TypeError
        If the tensor is sparse, nested, quantized or on the device "meta".
    """
    if not hasattr(values, "detach"):
        return values
    for kind in ("is_sparse", "is_sparse_csr", "is_nested", "is_quantized", "is_meta"):
        if getattr(values, kind, False):
            raise TypeError(
                f"a tensor of this kind ({kind}) cannot be read; give a dense one that "
                "holds data, such as X.to_dense(), or a list of one tensor per sequence"
            )
    tensor = values.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # NumPy has no bfloat16
        return tensor.float().numpy()


def is_list(X: Any) -> bool:
    """Return whether X is a list, tuple, deque or other Python sequence, but not text."""
    return isinstance(X, Sequence) and not isinstance(X, str | bytes)


def is_list_of_sequences(X: Any) -> bool:
    """Return whether X is a list (or an object array or series) of sequences."""
    if is_list(X):
        return any(_has_length(item) for item in X)
    is_objects = getattr(X, "ndim", None) == 1 and getattr(X, "dtype", None) == np.dtype(
        object
    )
    return is_objects and any(_has_length(item) for item in X)


def is_table(X: Any) -> bool:
    """Return whether X is a table: below three dimensions, and not a list of sequences.

    Plain lists of equal length are a table too, as everywhere in scikit-learn; a list of
    arrays is a list of sequences.
    """
    if not is_list_of_sequences(X):
        return getattr(X, "ndim", 2) < 3
    return (
        all(is_list(row) for row in X)
        and len({len(row) for row in X}) == 1
        and not any(_has_length(value) for row in X for value in row)
    )


def _has_length(item: Any) -> bool:
    if hasattr(item, "ndim"):  # len() of a zero-dimensional array raises
        return item.ndim > 0
    return hasattr(item, "__len__") and not isinstance(item, str | bytes)


def as_labels(values: Any) -> NDArray[Any]:
    """Return an array in which NaN among text stays NaN rather than the text "nan".

    Missing values of pandas become NaN as well.
    """
    values = as_numpy(values)
    if is_list(values):
        values = [as_numpy(value) for value in values]
    if hasattr(values, "isna"):
        missing, values = np.asarray(values.isna()), values.to_numpy()
        if values.dtype == object and missing.any():
            values = np.where(missing, np.nan, values)
    array = np.asarray(values)
    if array.dtype.kind in "SU" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)
    return array


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


def check_sequences(X: Any) -> Sequences:
    """Check sequences and pack them to the left.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, n_features) or \
            (n_samples, n_timesteps), or list of array-like of shape \
            (length_i, n_features) or (length_i,)
        Two dimensions are univariate sequences. A step that is all NaN is absent.

    Returns
    -------
    sequences : Sequences

    Raises
    ------
    ValueError
        If X is not numeric, has no sample or no feature, has an infinite value, a step
        that is partly NaN, or a sequence without any step.
    """
    values, present = padded_steps(X)
    n_samples, _, n_features = values.shape
    too_large = np.abs(values) > FLOAT32_MAX
    if too_large.any():
        sample, step, feature = np.argwhere(too_large)[0]
        raise ValueError(
            f"X contains infinity or a value too large for float32: sample {sample}, "
            f"step {step}, feature {feature}. Clip or scale the data"
        )
    missing = np.isnan(values)
    partly = present & missing.any(axis=2)
    if partly.any():
        sample, step = np.argwhere(partly)[0]
        features = np.flatnonzero(missing[sample, step])
        raise ValueError(
            f"X contains NaN in part of a step: sample {sample}, step {step}, "
            f"feature(s) {features.tolist()}. A step that is all NaN is absent; fill "
            "other gaps, for instance with StepwiseTransformer(SimpleImputer())"
        )
    lengths = present.sum(axis=1)
    if not lengths.all():
        raise ValueError(
            f"sample {np.flatnonzero(lengths == 0)[0]} of X has no step: every one of "
            "its steps is NaN. Leave the sample out"
        )
    packed = np.zeros((n_samples, lengths.max(), n_features))
    packed[step_mask(lengths)] = values[present]
    return Sequences(packed, lengths, present)


def padded_steps(X: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return sequences as one array, and which of their steps are present.

    Parameters
    ----------
    X : array-like or list
        As in :func:`check_sequences`, but steps may be partly NaN, and values infinite.

    Returns
    -------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
    present : ndarray of bool of shape (n_samples, n_timesteps)

    Raises
    ------
    ValueError
        If X is not numeric, is of another shape, or has no sample or no feature.
    """
    values = _as_floats(X)
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
    if values.ndim != 3:
        raise ValueError(
            f"X has {values.ndim} dimensions; give (n_samples, n_timesteps, n_features), "
            "(n_samples, n_timesteps) or a list of arrays. Reshape your data either "
            "using X.reshape(-1, 1) if it has a single step or X.reshape(1, -1) if it "
            "is a single sample"
        )
    n_samples, _, n_features = values.shape
    if n_samples == 0 or n_features == 0:
        raise ValueError(
            f"Found array with {n_samples} sample(s) and {n_features} feature(s) "
            f"(shape={values.shape}) while a minimum of 1 is required."
        )
    return values, np.asarray(~np.isnan(values).all(axis=2))


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


def _as_floats(X: Any) -> NDArray[np.float64]:
    if is_list_of_sequences(X):
        X = pad_sequences(X)
    array = np.asarray(as_numpy(X))
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X has complex numbers")
    if array.dtype.kind not in "biufO":
        raise ValueError(
            f"X is not numeric: it is of dtype {array.dtype}. Encode text and dates as "
            "numbers"
        )
    try:
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"X is not numeric: {error}. Encode text and dates as numbers"
        ) from error
