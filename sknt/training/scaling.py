"""Standardising the features of steps, before values are cast to single precision.

Mean and scale are rounded to few binary digits: what is standardised is then the same
whether equal sequences are repeated or weighted, although sums are rounded differently.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknt.data.sequences import step_mask

LARGE, SMALL, FAR = 10.0, 0.1, 10.0
"""Features are standardised automatically if values go beyond LARGE, or all stay below
SMALL, or their mean is FAR times as far from 0 as they spread."""


class Scaling(NamedTuple):
    """An offset and a scale for each feature."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(
        self, values: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Scale packed sequences; what follows a sequence's end stays 0."""
        if not self.mean.any() and (self.scale == 1).all():
            return values
        scaled = (values - self.mean) / self.scale
        scaled[~step_mask(lengths)] = 0
        return scaled


def find_scaling(
    values: NDArray[np.float64],
    lengths: NDArray[np.int64],
    weights: NDArray[np.float64],
    standardize: bool | str,
) -> Scaling:
    """Return how to scale the features of packed sequences.

    Parameters
    ----------
    values : ndarray of shape (n_samples, longest, n_features)
    lengths : ndarray of shape (n_samples,)
    weights : ndarray of shape (n_samples,)
        How often each sequence counts; those of weight 0 have no influence.
    standardize : bool or "auto"
    """
    n_features = values.shape[2]
    mean, scale = np.zeros(n_features), np.ones(n_features)
    if standardize is False:
        return Scaling(mean, scale)
    used = weights > 0
    present = values[step_mask(lengths) & used[:, np.newaxis]]
    shares = np.repeat(weights[used], lengths[used])
    shares = shares / shares.sum()
    for feature, steps in enumerate(present.T):
        lowest = float(steps.min())
        extent = float(steps.max()) - lowest
        if extent == 0:
            mean[feature] = lowest
            continue
        above = (steps - lowest) / extent  # so that squares neither overflow nor vanish
        centre = float(shares @ above)
        spread = float(np.sqrt(shares @ (above - centre) ** 2)) * extent
        centre = lowest + centre * extent
        largest = float(np.abs(steps).max())
        is_fine = SMALL <= largest <= LARGE and abs(centre) <= FAR * spread
        if standardize == "auto" and is_fine:
            continue
        unit = 2.0 ** np.round(np.log2(max(spread, np.finfo(float).tiny)))
        mean[feature] = np.round(centre / unit * 64) / 64 * unit
        scale[feature] = unit
    return Scaling(mean, scale)
