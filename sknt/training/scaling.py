"""Standardising the features of steps, before values are cast to single precision.

Mean and scale are rounded to few binary digits: what is standardised is then the same
whether equal sequences are repeated or weighted, although sums are rounded differently.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.ragged import Ragged

LARGE, SMALL, FAR = 10.0, 0.1, 10.0
"""Features are standardised automatically if values go beyond LARGE, or all stay below
SMALL, or their mean is FAR times as far from 0 as they spread."""


class Scaling(NamedTuple):
    """An offset and a scale for each feature."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale steps, of shape (n_steps, n_features)."""
        return (steps - self.mean) / self.scale

    def of(self, inputs: Ragged) -> Ragged:
        """Return sequences that are scaled as they are read."""
        changes = self.mean.any() or (self.scale != 1).any()
        return inputs.mapped(self.apply) if changes else inputs


def find_scaling(
    inputs: Ragged, weights: NDArray[np.float64], standardize: bool | str
) -> Scaling:
    """Return how to scale the features of sequences.

    Parameters
    ----------
    inputs : Ragged
    weights : ndarray of shape (n_samples,)
        How often each sequence counts; those of weight 0 have no influence.
    standardize : bool or "auto"
    """
    n_features = inputs.n_features
    if standardize is False:
        return Scaling(np.zeros(n_features), np.ones(n_features))
    used = np.flatnonzero(weights > 0)
    inputs, weights = inputs.take(used), weights[used]
    shares = weights / (weights @ inputs.lengths)
    lowest, highest = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    for steps, _ in _pieces(inputs, shares):
        np.minimum(lowest, steps.min(axis=0), out=lowest)
        np.maximum(highest, steps.max(axis=0), out=highest)
    extent = highest - lowest
    varies = extent > 0
    unit = np.where(varies, extent, 1.0)  # so that squares neither overflow nor vanish
    centre = np.zeros(n_features)
    for steps, of_steps in _pieces(inputs, shares):
        centre += of_steps @ ((steps - lowest) / unit)
    variance = np.zeros(n_features)
    for steps, of_steps in _pieces(inputs, shares):
        variance += of_steps @ ((steps - lowest) / unit - centre) ** 2
    spread = np.sqrt(variance) * extent
    centre = lowest + centre * extent
    largest = np.maximum(np.abs(lowest), np.abs(highest))
    is_fine = (largest >= SMALL) & (largest <= LARGE) & (np.abs(centre) <= FAR * spread)
    scaled = varies & ~is_fine if standardize == "auto" else varies
    power = np.round(np.log2(np.maximum(spread, np.finfo(float).tiny)))
    scale = np.where(scaled, 2.0**power, 1.0)
    rounded = np.round(np.where(scaled, centre, 0) / scale * 64) / 64 * scale
    return Scaling(np.where(varies, rounded, lowest), scale)


def _pieces(
    inputs: Ragged, shares: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return steps a piece at a time, and what each of them counts."""
    for rows in inputs.pieces():
        piece = inputs.take(rows)
        yield piece.steps(), np.repeat(shares[rows], piece.lengths)
