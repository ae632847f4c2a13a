"""Sequences of unequal length that lie within one array, without padding between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 2**17
"""Most values that are looked at or copied at once."""

MOST_PADDING = 4
"""Batches of similar lengths are padded to at most so many times their steps."""


@dataclass(frozen=True)
class Ragged:
    """Sequences, each of them a run of steps in one array.

    The array may be the user's own, in any layout in memory and memory-mapped as well: only
    the steps that are asked for are read, and made floats of double precision.

    Attributes
    ----------
    array : ndarray of shape (n_blocks, n_steps, n_features)
        Numbers. Sequences that come padded have a block each; others follow one another in
        a single block.
    block, first, lengths : ndarray of int64 of shape (n_samples,)
        Sequence i is ``array[block[i], first[i] : first[i] + lengths[i]]``.
    function : callable or None
        Applied to steps, of shape (n, n_features), whenever they are read.
    """

    array: NDArray[Any]
    block: NDArray[np.int64]
    first: NDArray[np.int64]
    lengths: NDArray[np.int64]
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None

    @classmethod
    def in_blocks(cls, array: NDArray[Any], lengths: NDArray[np.int64]) -> "Ragged":
        """Return the sequences of a padded array, each from step 0 on."""
        n_samples = len(array)
        return cls(array, np.arange(n_samples), np.zeros(n_samples, np.int64), lengths)

    @classmethod
    def in_a_row(cls, steps: NDArray[Any], lengths: NDArray[np.int64]) -> "Ragged":
        """Return sequences whose steps, (n_steps, n_features), follow one another."""
        block = np.zeros(len(lengths), np.int64)
        return cls(steps[np.newaxis], block, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_features(self) -> int:
        """Number of features of a step."""
        return self.array.shape[2]

    def take(self, rows: Any) -> "Ragged":
        """Select sequences, by number, mask or slice; nothing is copied."""
        own = self.block[rows], self.first[rows], self.lengths[rows]
        return Ragged(self.array, *own, self.function)

    def cut(self, longest: int) -> "Ragged":
        """Return the first steps of each sequence, at most so many."""
        return replace(self, lengths=np.minimum(self.lengths, longest))

    def mapped(self, function: Callable[..., Any]) -> "Ragged":
        """Return the sequences with a function applied to steps when they are read."""
        return replace(self, function=function)

    def steps(self) -> NDArray[np.float64]:
        """Return all steps, one sequence after the other: (n_steps, n_features).

        This may be a view of the array, not to be written to.
        """
        return self._read(self._run())

    def padded(self, longest: int | None = None, fill: float = 0.0) -> NDArray[np.float64]:
        """Return a new array of the sequences: (n_samples, longest, n_features)."""
        longest = int(self.lengths.max()) if longest is None else longest
        shape = len(self), longest, self.n_features
        if (self.lengths == longest).all():
            return np.array(self.steps().reshape(shape))
        values = np.full(shape, fill)
        values[np.arange(longest) < self.lengths[:, np.newaxis]] = self.steps()
        return values

    def pieces(self, n_values: int = PIECE, most: int | None = None) -> Iterator[slice]:
        """Divide the sequences into slices of about so many values and ``most`` rows."""
        ends = np.cumsum(self.lengths * self.n_features)
        start = 0
        while start < len(self):
            before = int(ends[start - 1]) if start else 0
            end = int(np.searchsorted(ends, before + n_values, side="right"))
            end = max(end, start + 1)
            end = end if most is None else min(end, start + most)
            yield slice(start, end)
            start = end

    def by_length(self, most: int, n_values: int = 32 * PIECE) -> Iterator[NDArray[Any]]:
        """Divide the sequences into batches of similar lengths, which take little padding.

        Parameters
        ----------
        most : int
            Most sequences of a batch.
        n_values : int
            About the most values of a padded batch.

        Yields
        ------
        rows : ndarray of int64
        """
        yield from of_similar_lengths(self.lengths, most, n_values // self.n_features)

    def _run(self) -> NDArray[Any]:
        """Return the steps as they lie in the array, without a copy where they adjoin."""
        array, block, first, lengths = self.array, self.block, self.first, self.lengths
        if not len(block):
            return array[:0].reshape(0, self.n_features)
        if (lengths == array.shape[1]).all():
            if (np.diff(block) == 1).all():
                return array[block[0] : block[-1] + 1].reshape(-1, self.n_features)
            return array[block].reshape(-1, self.n_features)
        ends = first + lengths
        if (block == block[0]).all() and (ends[:-1] == first[1:]).all():
            return array[block[0], first[0] : ends[-1]]
        return array[np.repeat(block, lengths), adjoin(first, lengths)]

    def _read(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # too large a long double becomes infinite
            floats = np.asarray(steps, np.float64)
        return floats if self.function is None else self.function(floats)


def of_similar_lengths(
    lengths: NDArray[np.int64], most: int, n_steps: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Divide sequences into batches, from the shortest sequences to the longest.

    Parameters
    ----------
    lengths : ndarray of shape (n_samples,)
    most : int
        Most sequences of a batch.
    n_steps : int or None, default=None
        About the most steps of a padded batch; None: any number.

    Yields
    ------
    rows : ndarray of int64
        Padded, they have at most MOST_PADDING times as many steps.
    """
    rest = np.argsort(lengths, kind="stable")
    while len(rest):
        rows = rest[:most]
        padded = lengths[rows] * np.arange(1, len(rows) + 1)  # steps up to each of them
        fits = padded <= MOST_PADDING * np.cumsum(lengths[rows])
        if n_steps is not None:
            fits &= padded <= n_steps
        n = len(rows) if fits.all() else max(1, int(fits.argmin()))
        yield rest[:n]
        rest = rest[n:]


def adjoin(first: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from each first one on, so many as each length says, in a row."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - (ends - lengths), lengths)


def is_memory_mapped(array: Any) -> bool:
    """Return whether an array, or what it is a view of, is in a file."""
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False
