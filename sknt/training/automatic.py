"""What "auto" means for parameters that depend on the data."""

import numpy as np
from numpy.typing import NDArray

N_EPOCHS, MIN_UPDATES = 50, 600
"""Epochs of a fit, and the updates that they should make at least: with few sequences, the
number of updates decides whether the training part is fitted at all."""

MAX_UPDATES, MIN_EPOCHS = 2500, 10
"""Updates of a fit to targets of whole sequences at most, but at least so many epochs."""

N_PATCHES = 28
"""Patches in the longest sequence."""

N_CONVOLUTIONS, MIN_LENGTH, MIN_SAMPLES = 10_000, 16, 10
"""Random convolutions, and the longest sequence's steps and the different sequences that
they need at least."""

LONG, FEWEST = 10_000, 3_024
"""Steps of the longest sequence beyond which there are fewer convolutions, in proportion,
and how many there are at least."""

FAR_LONGER = 3
"""Sequences that are more than so many times as long as the median count as so long."""


def n_epochs_for(n_sequences: int, batch_size: int, *, per_step: bool) -> int:
    """Return the number of epochs for a number of sequences."""
    n_updates = -(-n_sequences // batch_size)  # of an epoch
    n_epochs = max(N_EPOCHS, -(-MIN_UPDATES // n_updates))
    if not per_step:
        n_epochs = min(n_epochs, max(MIN_EPOCHS, MAX_UPDATES // n_updates))
    return n_epochs


def patch_size_for(lengths: NDArray[np.int64], *, per_step: bool) -> int:
    """Return the number of steps in a patch for sequences of some lengths."""
    return 1 if per_step else -(-_longest(lengths) // N_PATCHES)


def n_convolutions_for(lengths: NDArray[np.int64], n_different: int) -> int:
    """Return the number of random convolutions for so many different sequences."""
    longest = _longest(lengths)
    if longest < MIN_LENGTH or n_different < MIN_SAMPLES:
        return 0
    return max(FEWEST, N_CONVOLUTIONS * LONG // max(longest, LONG))


def _longest(lengths: NDArray[np.int64]) -> int:
    """Return the length of the longest sequence that is not far longer than the others."""
    return int(min(lengths.max(), FAR_LONGER * np.median(lengths)))
