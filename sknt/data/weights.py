"""Weights of sequences: finite, at least 0, and in a unit in which they can be added up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt._private import check_sample_weight
from sknt.data.arrays import as_numpy

LARGEST_EXPONENT = 500
"""Beyond 2 to the power of this, or its inverse, weights are divided by their largest."""


def check_weights(sample_weight: Any, X: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weight of each sequence.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
    X : ndarray of shape (n_samples, ...)

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        Only their proportions count; of huge and of tiny weights, only these are kept.

    Raises
    ------
    ValueError
        If the weights are of another shape, negative or not finite.
    """
    sample_weight = as_numpy(sample_weight)
    shape = () if sample_weight is None else np.asarray(sample_weight).shape
    if len(shape) > 1:
        raise ValueError(
            f"sample_weight has shape {shape}, but weights are those of sequences: give "
            "one for each sequence. To leave steps out, mark their targets with "
            "missing_target"
        )
    weights = check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if not np.isfinite(weights).all():
        raise ValueError(
            "sample_weight contains NaN or infinity; give finite weights, and 0 for "
            "sequences to leave out"
        )
    exponent = int(np.frexp(weights.max(initial=0))[1])
    return np.ldexp(weights, -exponent) if abs(exponent) > LARGEST_EXPONENT else weights
