"""Weights of sequences and of steps: finite, at least 0, in a unit that can be added up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknt._private import check_sample_weight
from sknt.data.arrays import as_numpy, fill_masked, is_list_of_sequences
from sknt.data.ragged import Ragged
from sknt.data.sequences import Layout
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
    with np.errstate(over="ignore"):  # too large a long double becomes infinite
        weights = check_sample_weight(as_numpy(sample_weight), X, ensure_non_negative=True)
    if not np.isfinite(weights).all():
        raise ValueError(
            "sample_weight contains NaN or infinity; give finite weights, and 0 for "
            "sequences to leave out"
        )
    return _in_unit(weights)


def check_step_weights(
    sample_weight: Any, layout: Layout, valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the weight of each present step, one sequence after the other.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples, n_timesteps), or list of array-like of \
            shape (length_i,)
        In a list, each sample has a weight for each step of the sample in X, or for each
        present step.
    layout : Layout
        Which steps of X are present.
    valid : ndarray of bool of shape (n_present, [n_outputs])
        Which entries of y hold a target.

    Returns
    -------
    weights : ndarray of shape (n_present,)
        0 at steps without a target, whatever was given there.

    Raises
    ------
    ValueError
        If the weights are of another shape, are not numbers, or a step with a target has
        one that is negative or not finite, or all are 0.
    """
    weights = align_targets(fill_masked(sample_weight, np.nan), layout, "sample_weight")
    if weights.ndim != 1:
        shape = getattr(sample_weight, "shape", None)
        found = "an axis of outputs" if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            f"sample_weight has {found}; give (n_samples, n_timesteps), a weight for each "
            "step, which goes to all of its outputs"
        )
    try:
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight is not numeric: {error}") from error
    has_target = valid.any(axis=1) if valid.ndim == 2 else valid
    wrong = has_target & ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        i = int(wrong.argmax())
        sample, step = layout.place(i)
        raise ValueError(
            f"sample_weight is {weights[i]} at sample {sample}, step {step}, "
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
    sample_weight: Any, layout: Layout, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Check weights of steps, and leave out the targets whose step has weight 0.

    Parameters
    ----------
    sample_weight, layout, valid
        As in :func:`check_step_weights`.

    Returns
    -------
    weights : ndarray of shape (n_present,)
    valid : ndarray of bool of shape (n_present, [n_outputs])
        Which entries of y hold a target of positive weight.
    """
    weights = check_step_weights(sample_weight, layout, valid)
    return weights, valid & (weights > 0).reshape(-1, *[1] * (valid.ndim - 1))


def split_step_weights(
    weights: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], Ragged | None]:
    """Return weights of sequences, and those of steps if they say more.

    Parameters
    ----------
    weights : ndarray of shape (n_present,)
        0 at steps without a target.
    lengths : ndarray of shape (n_samples,)
        Number of present steps of each sequence.

    Returns
    -------
    of_sequences : ndarray of shape (n_samples,)
        The mean over a sequence's steps with a target.
    of_steps : Ragged or None
        With one feature, the weight; None if all steps of each sequence have the same.
    """
    first = np.cumsum(lengths) - lengths
    counted = weights > 0
    highest = np.maximum.reduceat(weights, first)
    lowest = np.minimum.reduceat(np.where(counted, weights, np.inf), first)
    if ((lowest == highest) | (highest == 0)).all():
        return highest, None
    n_counted = np.add.reduceat(counted.astype(np.int64), first)
    mean = np.add.reduceat(weights, first) / np.maximum(n_counted, 1)
    return mean, Ragged.in_a_row(weights[:, np.newaxis], lengths)


def _in_unit(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    exponent = int(np.frexp(weights.max(initial=0))[1])
    return np.ldexp(weights, -exponent) if abs(exponent) > LARGEST_EXPONENT else weights
