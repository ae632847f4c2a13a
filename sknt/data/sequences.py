"""Sequences as arrays: masks and packing. NumPy alone.

A step that is all NaN is absent, wherever it is in the sequence. The mask is made once,
here; everything downstream sees only sequences packed to the left, and their lengths.
``arrays`` has what is read as an array, ``padding`` the functions for users.
"""

from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.arrays import (
    as_labels,
    as_numpy,
    is_list,
    is_list_of_sequences,
    is_missing,
    is_table,
)
from sknt.data.cells import refuse_dates
from sknt.data.padding import mark_padding, pad_sequences, unpad_sequences
from sknt.data.reading import readable

__all__ = [
    "Sequences",
    "as_labels",
    "as_numpy",
    "check_sequences",
    "is_list",
    "is_list_of_sequences",
    "is_missing",
    "is_table",
    "mark_padding",
    "pad_sequences",
    "padded_steps",
    "step_mask",
    "unpad_sequences",
]

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
        advice = "fill other gaps, for instance with StepwiseTransformer(SimpleImputer())"
        if _ends_early(missing[sample], features):
            advice += (
                "; or, if axis 1 has the features and axis 2 the steps, use "
                "sknt.preprocessing.from_channels_first"
            )
        raise ValueError(
            f"X contains NaN in part of a step: sample {sample}, step {step}, "
            f"feature(s) {features.tolist()}. A step that is all NaN is absent; {advice}"
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


def _ends_early(missing: NDArray[np.bool_], features: NDArray[np.int64]) -> bool:
    """Return whether all steps of a sequence miss the same features, the last ones."""
    return (
        bool((missing == missing[0]).all())
        and features[-1] - features[0] + 1 == len(features) == len(missing[0]) - features[0]
    )


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
    values = _as_floats(readable(X))
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


def _as_floats(X: Any) -> NDArray[np.float64]:
    if is_list_of_sequences(X):
        X = pad_sequences(X)
    array = np.asarray(as_numpy(X))
    refuse_dates(array, "X")
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X has complex numbers")
    if array.dtype.kind not in "biufO":
        raise ValueError(
            f"X is not numeric: it is of dtype {array.dtype}. Encode text as numbers"
        )
    try:
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"X is not numeric: {error}. Encode text as numbers") from error
