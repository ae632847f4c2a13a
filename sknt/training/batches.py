"""The data set that a net trains on, and its batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset


class SequenceDataset(Dataset):
    """Packed sequences, their targets and the targets' weights.

    Parameters
    ----------
    values : ndarray of shape (n_samples, longest, n_features)
    lengths : ndarray of shape (n_samples,)
    targets : ndarray of shape (n_samples, [longest,] [n_outputs])
        Class numbers (integers) or values (floats); anything finite where the weight
        is 0.
    weights : ndarray of the targets' shape
        Weight of each target in the loss, 0 for a missing one.
    per_step : bool, default=False
        Whether axis 1 of the targets runs over the steps.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        lengths: NDArray[np.int64],
        targets: NDArray[Any],
        weights: NDArray[np.float32],
        per_step: bool = False,
    ):
        self.values = torch.from_numpy(values)
        self.lengths = torch.from_numpy(lengths)
        self.targets = torch.from_numpy(targets)
        self.weights = torch.from_numpy(weights)
        self.per_step = per_step

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Return a sample, or for a list of indices a batch cut to its longest sequence."""
        parts = self.values, self.lengths, self.targets, self.weights
        if isinstance(index, Tensor) and index.ndim == 1:  # faster than torch's indexing
            values, lengths, targets, weights = (p.index_select(0, index) for p in parts)
        else:
            values, lengths, targets, weights = (p[index] for p in parts)
        if lengths.ndim:
            longest = int(lengths.max())
            if longest < values.shape[1]:
                values = values[:, :longest]
                if self.per_step:
                    targets, weights = targets[:, :longest], weights[:, :longest]
        return {"x": values, "lengths": lengths, "weight": weights}, targets


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
