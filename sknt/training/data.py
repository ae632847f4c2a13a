"""Training data: packed sequences and targets in a canonical order, and their split."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from sknt.training.batches import SequenceDataset

MAX_REPETITIONS = 10
"""Whole-number sample weights become repetitions if their mean is at most this."""


class TrainingData(NamedTuple):
    """Packed sequences and their targets, one row per sequence."""

    values: NDArray[np.float64]  # (n_samples, longest, n_features)
    lengths: NDArray[np.int64]  # (n_samples,)
    targets: NDArray[Any]  # (n_samples, [longest,] [n_outputs])
    weights: NDArray[np.float64]  # of the targets' shape; 0 where there is none

    def take(self, rows: NDArray[Any]) -> "TrainingData":
        """Select rows, by number or by a mask."""
        return TrainingData(
            self.values[rows], self.lengths[rows], self.targets[rows], self.weights[rows]
        )

    def dataset(self, per_step: bool) -> SequenceDataset:
        """Return the data in single precision, as the net trains on it."""
        targets = self.targets
        if targets.dtype.kind == "f":
            targets = targets.astype(np.float32)
        return SequenceDataset(
            self.values.astype(np.float32),
            self.lengths,
            targets,
            self.weights.astype(np.float32),
            per_step=per_step,
        )


def canonical_data(
    data: TrainingData,
    sample_weight: NDArray[np.float64],
    *,
    per_step: bool,
    tie_breaker: NDArray[np.int64] | None = None,
) -> tuple[TrainingData, NDArray[np.int64], NDArray[np.int64]]:
    """Bring data into a canonical order, in which weights equal repetitions.

    Rows of weight 0 or without a target are left out. If all weights are whole numbers,
    rows are repeated that many times (unless that would make the data more than
    MAX_REPETITIONS times as large); other weights go into the loss, scaled to a mean of
    1. The order depends on the rows' content alone: neither the order in which they were
    given nor the way repetitions were written changes a fit.

    Parameters
    ----------
    data : TrainingData
        With weights of 0 and 1: whether there is a target.
    sample_weight : ndarray of shape (n_samples,)
    per_step : bool
        Whether there are targets for each step.
    tie_breaker : ndarray of shape (n_samples,) or None, default=None
        Orders equal rows of the same weight.

    Returns
    -------
    data : TrainingData
        With the sample weights in its weights.
    groups : ndarray of shape (n_samples,)
        Equal numbers for equal rows.
    rows : ndarray of shape (n_samples,)
        Which of the rows given each one is.

    Raises
    ------
    ValueError
        If every row has weight 0.
    """
    has_target = data.weights.reshape(len(sample_weight), -1).any(axis=1)
    sample_weight = sample_weight * has_target
    used = np.flatnonzero(sample_weight)
    if not len(used):
        raise ValueError(
            "sample_weight is 0 for every sample that has a target; give at least one "
            "a positive weight"
        )
    data, sample_weight = data.take(used), sample_weight[used]
    longest = data.lengths.max()  # those left out may have been longer
    data = data._replace(values=data.values[:, :longest])
    if per_step:
        targets, weights = data.targets[:, :longest], data.weights[:, :longest]
        data = data._replace(targets=targets, weights=weights)
    # Values that are equal in single precision are equal to the net as well.
    values = data.values.astype(np.float32) + 0  # adding 0 turns -0 into 0
    parts = (values, data.lengths, data.targets + 0, data.weights)
    keys = [_digest(*row) for row in zip(*parts, strict=True)]
    groups = np.unique(keys, return_inverse=True)[1]
    ties = () if tie_breaker is None else (tie_breaker[used],)
    order = np.lexsort((*ties, sample_weight, groups))
    whole = (sample_weight == np.floor(sample_weight)).all()
    if whole and sample_weight.mean() <= MAX_REPETITIONS:
        order = np.repeat(order, sample_weight[order].astype(int))
        return data.take(order), groups[order], used[order]
    data, sample_weight, groups = data.take(order), sample_weight[order], groups[order]
    scale = (sample_weight / sample_weight.mean()).reshape(
        -1, *[1] * (data.weights.ndim - 1)
    )
    return data._replace(weights=data.weights * scale), groups, used[order]


def order_of_steps(step_weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers by which rows of packed step weights can be put in order."""
    return np.unique(step_weights, axis=0, return_inverse=True)[1].ravel()


def weigh_steps(
    data: TrainingData,
    step_weights: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
) -> TrainingData:
    """Multiply the targets' weights by those of their steps, scaled to a mean of 1.

    Parameters
    ----------
    data : TrainingData
    step_weights : ndarray of shape (n_samples, longest or more)
        Packed like the data.
    sample_weight : ndarray of shape (n_samples,)
        The mean of each sequence's step weights.
    """
    scaled = step_weights[:, : data.weights.shape[1]] / sample_weight.mean()
    scaled = scaled.reshape(*scaled.shape, *[1] * (data.weights.ndim - 2))
    return data._replace(weights=data.weights * scaled)


def rows_apart(one: TrainingData, other: TrainingData) -> NDArray[np.bool_]:
    """Return which sequences of one data set are not among those of another."""
    known = set(_contents(other))
    return np.array([content not in known for content in _contents(one)], dtype=bool)


def _contents(data: TrainingData) -> list[str]:
    """Return equal texts for equal sequences, whatever they are padded to."""
    values = data.values.astype(np.float32) + 0
    return [_digest(row[:n]) for row, n in zip(values, data.lengths, strict=True)]


def _digest(*parts: Any) -> str:
    content = b"".join(part.tobytes() for part in parts)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def choose_held_out(
    data: TrainingData, groups: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Choose a fraction of the sequences to hold out, stratified by class where possible.

    At least two are held out, because R² needs two, and equal rows stay together.

    Returns
    -------
    is_held_out : ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If there are too few sequences.
    """
    rows = np.unique(groups, return_index=True)[1]  # one of each group
    n_samples = len(rows)
    n_held_out = max(2, int(np.ceil(fraction * n_samples)))
    if n_held_out >= n_samples:
        raise ValueError(
            f"{n_held_out} of {n_samples} different samples would be held out, and none be "
            "left to train on; give more samples, or set early_stopping=False and "
            "n_convolutions=0"
        )
    is_class = data.targets.ndim == 1 and data.targets.dtype.kind == "i"
    options = {"test_size": n_held_out, "random_state": seed}
    try:
        stratify = data.targets[rows] if is_class else None
        _, held_out = train_test_split(rows, stratify=stratify, **options)
    except ValueError:  # a class with a single member, or more classes than places
        _, held_out = train_test_split(rows, **options)
    return np.isin(groups, groups[held_out])
