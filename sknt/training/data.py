"""Training data: sequences and targets in a canonical order, and their split."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from sknt.data.ragged import Ragged, adjoin
from sknt.training.batches import SequenceDataset

MAX_REPETITIONS = 10
"""Whole-number sample weights become repetitions if their mean is at most this."""

MOST_PADDING = 16
"""Rows are put in the order of their padded content unless that is so many times as large
as their steps."""


DIGEST_SIZE = 16
"""Bytes of a digest."""


class TrainingData(NamedTuple):
    """Sequences and their targets.

    Attributes
    ----------
    inputs : Ragged
    targets : ndarray of shape (n_samples, [n_outputs])
        With a target for each step, of shape (n_steps, [n_outputs]): one sequence after
        the other.
    weights : ndarray of the targets' shape
        0 where there is no target.
    per_step : bool
    """

    inputs: Ragged
    targets: NDArray[Any]
    weights: NDArray[np.float64]
    per_step: bool = False

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of steps of each sequence."""
        return self.inputs.lengths

    @property
    def has_class(self) -> bool:
        """Whether the target of a sequence is a class."""
        targets = self.targets
        return not self.per_step and targets.ndim == 1 and targets.dtype.kind == "i"

    def take(self, rows: NDArray[Any]) -> "TrainingData":
        """Select rows, by number or by a mask."""
        inputs, own = self.inputs.take(rows), rows
        if self.per_step:
            first = np.cumsum(self.lengths) - self.lengths
            own = adjoin(first[rows], inputs.lengths)
        return TrainingData(inputs, self.targets[own], self.weights[own], self.per_step)

    def of_steps(self, of_rows: NDArray[Any]) -> NDArray[Any]:
        """Give each target what belongs to its row; shape (n_targets, [1])."""
        if self.per_step:
            of_rows = np.repeat(of_rows, self.lengths)
        return of_rows.reshape(-1, *[1] * (self.weights.ndim - 1))

    def has_target(self) -> NDArray[np.bool_]:
        """Return which rows have a target, of shape (n_samples,)."""
        weighted = self.weights.reshape(len(self.weights), -1).any(axis=1)
        if not self.per_step:
            return np.asarray(weighted)
        return np.logical_or.reduceat(weighted, np.cumsum(self.lengths) - self.lengths)

    def dataset(self) -> SequenceDataset:
        """Return the data in single precision, as the net trains on it."""
        targets = self.targets
        if targets.dtype.kind == "f":
            targets = targets.astype(np.float32)
        weights = self.weights.astype(np.float32)
        return SequenceDataset(self.inputs, targets, weights, per_step=self.per_step)


def canonical_data(
    data: TrainingData,
    sample_weight: NDArray[np.float64],
    *,
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
    sample_weight = sample_weight * data.has_target()
    used = np.flatnonzero(sample_weight)
    if not len(used):
        raise ValueError(
            "sample_weight is 0 for every sample that has a target; give at least one "
            "a positive weight"
        )
    data, sample_weight = data.take(used), sample_weight[used]
    groups = _numbered(_digests(data))
    ties = () if tie_breaker is None else (tie_breaker[used],)
    order = np.lexsort((*ties, sample_weight, groups))
    whole = (sample_weight == np.floor(sample_weight)).all()
    if whole and sample_weight.mean() <= MAX_REPETITIONS:
        order = np.repeat(order, sample_weight[order].astype(int))
        return data.take(order), groups[order], used[order]
    data, sample_weight, groups = data.take(order), sample_weight[order], groups[order]
    scale = data.of_steps(sample_weight / sample_weight.mean())
    return data._replace(weights=data.weights * scale), groups, used[order]


def order_of_steps(step_weights: Ragged) -> NDArray[np.int64]:
    """Return numbers by which rows of step weights can be put in order."""
    return _numbered(_content(row) for row in _rows_of(step_weights))


def weigh_steps(
    data: TrainingData, step_weights: Ragged, sample_weight: NDArray[np.float64]
) -> TrainingData:
    """Multiply the targets' weights by those of their steps, scaled to a mean of 1.

    Parameters
    ----------
    data : TrainingData
    step_weights : Ragged
        Of the same rows.
    sample_weight : ndarray of shape (n_samples,)
        The mean of each sequence's step weights.
    """
    scaled = step_weights.steps()[:, 0] / sample_weight.mean()
    scaled = scaled.reshape(-1, *[1] * (data.weights.ndim - 1))
    return data._replace(weights=data.weights * scaled)


def rows_apart(one: TrainingData, other: TrainingData) -> NDArray[np.bool_]:
    """Return which sequences of one data set are not among those of another."""
    known, found = (
        [_content(row.astype(np.float32) + 0) for row in _rows_of(data.inputs)]
        for data in (other, one)
    )
    return ~np.isin(found, known)


def _rows_of(inputs: Ragged) -> Iterator[NDArray[np.float64]]:
    """Yield the steps of one sequence after the other."""
    for rows in inputs.pieces():
        piece = inputs.take(rows)
        yield from np.split(piece.steps(), np.cumsum(piece.lengths)[:-1])


def _content(steps: NDArray[Any]) -> bytes:
    return hashlib.blake2b(steps.tobytes(), digest_size=DIGEST_SIZE).digest()


def _numbered(digests: Iterable[bytes]) -> NDArray[np.int64]:
    """Return equal numbers, from 0 on, for equal digests."""
    keys = np.frombuffer(b"".join(digests), dtype=f"S{DIGEST_SIZE}")
    return np.unique(keys, return_inverse=True)[1]


def _digests(data: TrainingData) -> Iterator[bytes]:
    """Return a digest of each row's content.

    Values that are equal in single precision are equal to the net as well.
    """
    longest = int(data.lengths.max())
    if len(data.lengths) * longest > MOST_PADDING * int(data.lengths.sum()):
        longest = 0
    targets = data.targets + 0  # adding 0 turns -0 into 0
    end = 0
    for rows in data.inputs.pieces():
        piece = data.inputs.take(rows)
        steps = piece.steps().astype(np.float32) + 0
        ends = np.cumsum(piece.lengths)
        for i, length in enumerate(piece.lengths):
            row = rows.start + i
            own = slice(row, row + 1)
            if data.per_step:
                own = slice(end, end + int(length))
                end = own.stop
            parts = [steps[ends[i] - length : ends[i]], length, targets[own]]
            yield _digest([*parts, data.weights[own]], longest - int(length), data.per_step)


def _digest(parts: list[Any], n_padded: int, per_step: bool) -> bytes:
    """Return the digest of a row's steps, length, targets and weights."""
    content = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for k, part in enumerate(parts):
        content.update(part.tobytes())
        if n_padded > 0 and (k == 0 or (per_step and k > 1)):
            content.update(bytes(n_padded * (part.nbytes // len(part))))
    return content.digest()


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
    options = {"test_size": n_held_out, "random_state": seed}
    try:
        stratify = data.targets[rows] if data.has_class else None
        _, held_out = train_test_split(rows, stratify=stratify, **options)
    except ValueError:  # a class with a single member, or more classes than places
        _, held_out = train_test_split(rows, **options)
    return np.isin(groups, groups[held_out])
