"""The data set that a net trains on, and its batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from sknt.data.ragged import Ragged, is_memory_mapped, of_similar_lengths

MOSTLY = 8
"""A batch that is so many times as large as its content is mostly padding."""


class SequenceDataset(Dataset):
    """Sequences, their targets and the targets' weights.

    Steps are kept in single precision without padding; of an array in a file, those of a
    batch are read when it is made.

    Parameters
    ----------
    inputs : Ragged
    targets : ndarray of shape (n_samples, [n_outputs]), or with `per_step` of shape \
            (n_steps, [n_outputs])
        Class numbers (integers) or values (floats); anything finite where the weight
        is 0.
    weights : ndarray of the targets' shape
        Weight of each target in the loss, 0 for a missing one.
    per_step : bool, default=False
        Whether there is a target for each step, one sequence after the other.
    """

    def __init__(
        self,
        inputs: Ragged,
        targets: NDArray[Any],
        weights: NDArray[np.float32],
        per_step: bool = False,
    ):
        lengths = inputs.lengths
        self.lengths = torch.from_numpy(lengths)
        self.targets = torch.from_numpy(targets)
        self.weights = torch.from_numpy(weights)
        self.per_step = per_step
        self._longest = int(lengths.max())
        is_even = bool((lengths == self._longest).all())
        self._first = None if is_even else torch.cumsum(self.lengths, 0) - self.lengths
        self._steps: Tensor | None = None
        self._in_file = inputs if is_memory_mapped(inputs.array) else None
        if self._in_file is None:
            self._steps = self._prepared(_in_single_precision(inputs))
        if per_step:
            self._of_steps = self._prepared(targets), self._prepared(weights)

    def _prepared(self, steps: NDArray[Any]) -> Tensor:
        """Return what steps have as one block if possible, or with zeros at the end."""
        values = torch.from_numpy(steps)
        if self._first is None:
            return values.view(len(self), self._longest, *values.shape[1:])
        return torch.cat([values, torch.zeros_like(values[:1])])

    def contents(self) -> Iterator[Tensor]:
        """Yield all that the data consist of."""
        yield from (self.lengths, self.targets, self.weights)
        if self._steps is not None:
            yield self._steps
        if self._in_file is not None:
            pieces = (self._in_file.take(rows) for rows in self._in_file.pieces())
            yield from (torch.from_numpy(piece.steps()) for piece in pieces)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Return a sample, or for a list of indices a batch cut to its longest sequence."""
        rows = torch.as_tensor(index)
        lengths = self.lengths[rows]
        if not rows.ndim:
            batch, targets = self._batch(rows[None], lengths[None], self._longest)
            return {name: part[0] for name, part in batch.items()}, targets[0]
        return self._batch(rows, lengths, int(lengths.max()))

    def _batch(
        self, rows: Tensor, lengths: Tensor, longest: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        places = None
        if self._first is not None:
            steps = torch.arange(longest)
            places = self._first[rows, None] + steps
            places.masked_fill_(steps >= lengths[:, None], -1)
        if self._in_file is None:
            values = _gather(self._steps, rows, places)
        else:
            padded = self._in_file.take(rows.numpy()).padded(longest)
            values = torch.from_numpy(padded.astype(np.float32))
        if self.per_step:
            targets, weights = (_gather(part, rows, places) for part in self._of_steps)
        else:
            targets, weights = (
                p.index_select(0, rows) for p in (self.targets, self.weights)
            )
        return {"x": values, "lengths": lengths, "weight": weights}, targets


def _gather(steps: Any, rows: Tensor, places: Tensor | None) -> Tensor:
    """Return what the steps of some rows have, of shape (batch, longest, ...)."""
    if places is None:
        return steps.index_select(0, rows)
    return steps[places]


def _in_single_precision(inputs: Ragged) -> NDArray[np.float32]:
    """Return all steps, one sequence after the other."""
    steps = np.empty((int(inputs.lengths.sum()), inputs.n_features), np.float32)
    end = 0
    for rows in inputs.pieces():
        piece = inputs.take(rows).steps()
        start, end = end, end + len(piece)
        steps[start:end] = piece
    return steps


def split_by_length(lengths: Tensor) -> list[Tensor]:
    """Return the rows of a batch in groups of similar lengths if it is mostly padding."""
    longest, n_sequences = int(lengths.max()), len(lengths)
    if longest * n_sequences <= MOSTLY * int(lengths.sum()):
        return [torch.arange(n_sequences)]
    groups = of_similar_lengths(lengths.numpy(), n_sequences)
    return [torch.from_numpy(rows) for rows in groups]


def cut_to(
    inputs: Mapping[str, Tensor], targets: Tensor, rows: Tensor, *, per_step: bool
) -> tuple[dict[str, Tensor], Tensor]:
    """Return some sequences of a batch, cut to the longest of them."""
    lengths = inputs["lengths"][rows]
    longest = int(lengths.max())
    targets, weight = targets[rows], inputs["weight"][rows]
    if per_step:
        targets, weight = targets[:, :longest], weight[:, :longest]
    x = inputs["x"][rows, :longest]
    return {"x": x, "lengths": lengths, "weight": weight}, targets


def joined(parts: Sequence[Tensor], groups: Sequence[Tensor]) -> Tensor:
    """Return the outputs of a batch from those of groups of its rows."""
    shape = [sum(map(len, groups)), *parts[-1].shape[1:]]  # the last group is the longest
    outputs = parts[-1].new_zeros(shape)
    for part, rows in zip(parts, groups, strict=True):
        own = (rows, slice(part.shape[1])) if part.ndim == 3 else rows
        outputs[own] = part.detach()
    return outputs


def holds_sequences(dataset: Any) -> bool:
    """Return whether a data set holds packed sequences, or is a subset of one that does."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return isinstance(dataset, SequenceDataset)


class BatchSampler(Sampler):
    """Batches of sample indices, in order or shuffled by a generator of its own."""

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        random_state: np.random.RandomState | None = None,
    ):
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.random_state = random_state

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        order = np.arange(self.n_samples)
        if self.random_state is not None:
            self.random_state.shuffle(order)
        for start in range(0, self.n_samples, self.batch_size):
            yield torch.from_numpy(order[start : start + self.batch_size])


class SequenceBatches:
    """The batches of packed sequences, without what a DataLoader does around each one."""

    def __init__(self, dataset: Dataset, sampler: BatchSampler):
        self.dataset = dataset
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return map(self.dataset.__getitem__, self.sampler)


def sequence_loader(
    dataset: Dataset,
    batch_size: int,
    random_state: np.random.RandomState | None = None,
    **kwargs: Any,
) -> DataLoader | SequenceBatches:
    """Load whole batches at once, without touching torch's global generator.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
    random_state : RandomState or None, default=None
        Shuffles the samples of each epoch; None keeps their order.
    **kwargs
        Arguments of a DataLoader, such as ``num_workers``.
    """
    sampler = BatchSampler(len(dataset), batch_size, random_state)  # type: ignore[arg-type]
    if not kwargs and holds_sequences(dataset):
        return SequenceBatches(dataset, sampler)
    return DataLoader(
        dataset, batch_size=None, sampler=sampler, generator=torch.Generator(), **kwargs
    )
