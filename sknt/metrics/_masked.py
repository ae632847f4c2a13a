"""Scores on the steps and entries that have a target."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score

from sknt.data.sequences import Layout
from sknt.data.weights import are_of_steps, check_weights, weigh_targets


def masked_accuracy(
    y_true: NDArray[Any],
    y_pred: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the fraction of targets predicted right, of those that are not missing.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples, [n_timesteps,] [n_outputs])
    valid : ndarray of bool of the same shape
        Which entries have a target.
    multilabel : bool, default=False
        Whether the last axis holds several labels, which must all be right.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_timesteps), or \
            None, default=None
        Weight of each sequence, which goes to each of its targets, or of each step. A
        target whose step has weight 0 does not count.
    """
    sample_weight, valid = _weigh(sample_weight, valid, multilabel)
    right, counted = (y_true == y_pred) | ~valid, valid
    if multilabel:
        right, counted = right.all(axis=-1), np.asarray(valid.any(axis=-1))
    weights = entry_weights(counted, sample_weight)
    return float(np.average(right[counted], weights=weights))


def masked_r2(
    y_true: NDArray[np.float64],
    y_pred: NDArray[np.float64],
    valid: NDArray[np.bool_],
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return R² of the targets that are not missing, averaged over the outputs.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples, [n_timesteps,] n_outputs)
    valid : ndarray of bool of the same shape
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_timesteps), or \
            None, default=None
        As in :func:`masked_accuracy`.
    """
    sample_weight, valid = _weigh(sample_weight, valid, True)
    n_targets = valid.reshape(-1, valid.shape[-1]).sum(axis=0)
    # R² needs two targets. An output with fewer counts only if no other has more.
    outputs = np.flatnonzero(n_targets >= min(2, n_targets.max()))
    scores = []
    for output in outputs:
        counted = valid[..., output]
        true, predicted = y_true[..., output][counted], y_pred[..., output][counted]
        unit = np.abs(true).max() or 1.0  # squares stay finite in any unit
        weights = entry_weights(counted, sample_weight)
        scores.append(r2_score(true / unit, predicted / unit, sample_weight=weights))
    return float(np.mean(scores))


def entry_weights(
    counted: NDArray[np.bool_], sample_weight: ArrayLike | None
) -> NDArray[np.float64] | None:
    """Give each counted entry the weight of its sample, or of its step.

    Parameters
    ----------
    counted : ndarray of bool of shape (n_samples, [n_timesteps,] [n_outputs])
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_timesteps), or None
    """
    if sample_weight is None:
        return None
    if are_of_steps(sample_weight) and counted.ndim > 1:
        weights, _ = _weigh_steps(sample_weight, counted)
    else:
        weights = check_weights(sample_weight, counted)
    weights = weights.reshape(*weights.shape, *[1] * (counted.ndim - weights.ndim))
    return np.broadcast_to(weights, counted.shape)[counted]


def _weigh(
    sample_weight: ArrayLike | None, valid: NDArray[np.bool_], has_outputs: bool
) -> tuple[Any, NDArray[np.bool_]]:
    """Leave out the targets whose step has weight 0."""
    if not are_of_steps(sample_weight) or valid.ndim < 2 + has_outputs:
        return sample_weight, valid
    return _weigh_steps(sample_weight, valid)


def _weigh_steps(
    sample_weight: Any, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weights of steps, and which targets have one of more than 0."""
    present = _any_output(valid, 2)
    of_present, counts = weigh_targets(sample_weight, Layout.of(present), valid[present])
    weights, counted = np.zeros(present.shape), np.zeros_like(valid)
    weights[present], counted[present] = of_present, counts
    return weights, counted


def _any_output(entries: NDArray[np.bool_], ndim: int) -> NDArray[np.bool_]:
    return np.asarray(entries.any(axis=-1)) if entries.ndim > ndim else entries
