"""Weights of sequences and of steps: finite, at least 0, in a unit that can be added up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt._private import check_sample_weight
from sknt.data.arrays import as_numpy, fill_masked, is_list_of_sequences
from sknt.data.targets import align_targets

LARGEST_EXPONENT = 500
"""Beyond 2 to the power of this, or its inverse, weights are divided by their largest."""


def are_of_steps(sample_weight: Any) -> bool:
    """Return whether weights are given for each step rather than for each sequence."""
    if is_list_of_sequences(sample_weight):
        return True
    return sample_weight is not None and np.asarray(as_numpy(sample_weight)).ndim > 1


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
    if are_of_steps(sample_weight):
        shape = getattr(sample_weight, "shape", None)
        found = "is a list of sequences" if shape is None else f"has shape {tuple(shape)}"
        raise ValueError(
            f"sample_weight {found}, but there is a target for each sequence; give a "
            "weight for each. Weights of steps, of shape (n_samples, n_timesteps), need "
            "targets of steps: return_sequences=True"
        )
    weights = check_sample_weight(as_numpy(sample_weight), X, ensure_non_negative=True)
    if not np.isfinite(weights).all():
        raise ValueError(
            "sample_weight contains NaN or infinity; give finite weights, and 0 for "
            "sequences to leave out"
        )
    return _in_unit(weights)


def check_step_weights(
    sample_weight: Any, present: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the weight of each step, laid out like X.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples, n_timesteps), or list of array-like of \
            shape (length_i,)
        In a list, each sample has a weight for each step of the sample in X, or for each
        present step.
    present : ndarray of bool of shape (n_samples, n_timesteps)
        Which steps of X are present.
    valid : ndarray of bool of shape (n_samples, n_timesteps, [n_outputs])
        Which entries of y hold a target.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_timesteps)
        0 at steps without a target, whatever was given there.

    Raises
    ------
    ValueError
        If the weights are of another shape, are not numbers, or a step with a target has
        one that is negative or not finite, or all are 0.
    """
    weights = align_targets(fill_masked(sample_weight, np.nan), present, "sample_weight")
    if weights.ndim != 2:
        raise ValueError(
            f"sample_weight has shape {weights.shape}; give (n_samples, n_timesteps), a "
            "weight for each step, which goes to all of its outputs"
        )
    try:
        weights = weights.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight is not numeric: {error}") from error
    has_target = valid.any(axis=2) if valid.ndim == 3 else valid
    wrong = has_target & ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        sample, step = np.argwhere(wrong)[0]
        raise ValueError(
            f"sample_weight is {weights[sample, step]} at sample {sample}, step {step}, "
            "which has a target; give finite weights of at least 0, and 0 to leave a "
            "target out"
        )
    weights = np.where(has_target, weights, 0.0)
    if not weights.any():
        raise ValueError(
            "sample_weight is 0 for every step that has a target; give at least one a "
            "positive weight"
        )
    return _in_unit(weights)


def weigh_targets(
    sample_weight: Any, present: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> tuple[Any, NDArray[np.bool_]]:
    """Check weights of steps, if that is what they are, and leave others as they are.

    A target whose step has weight 0 is none.

    Parameters
    ----------
    sample_weight : object
        As a user gives it.
    present, valid : ndarray of bool
        As in :func:`check_step_weights`.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples, n_timesteps), or the object given
    valid : ndarray of bool
        Which entries of y hold a target of positive weight.
    """
    if valid.shape[:2] != present.shape or not are_of_steps(sample_weight):
        return sample_weight, valid
    weights = check_step_weights(sample_weight, present, valid)
    counts = (weights > 0).reshape(*weights.shape, *[1] * (valid.ndim - 2))
    return weights, valid & counts


def split_step_weights(
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return weights of sequences, and those of steps if they say more.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_timesteps)
        0 at steps without a target.

    Returns
    -------
    of_sequences : ndarray of shape (n_samples,)
        The mean over a sequence's steps with a target.
    of_steps : ndarray of shape (n_samples, n_timesteps) or None
        None if all steps of each sequence have the same weight.
    """
    counted = weights > 0
    highest = weights.max(axis=1)
    lowest = np.where(counted, weights, np.inf).min(axis=1)
    if ((lowest == highest) | (highest == 0)).all():
        return highest, None
    return weights.sum(axis=1) / np.maximum(counted.sum(axis=1), 1), weights


def _in_unit(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    exponent = int(np.frexp(weights.max(initial=0))[1])
    return np.ldexp(weights, -exponent) if abs(exponent) > LARGEST_EXPONENT else weights
