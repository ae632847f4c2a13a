"""Priority sort (NTM section 4.5)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sknt.datasets._sizes import check_sizes, empty_targets, random_bits


def make_priority_sort(
    n_samples: int = 1000,
    *,
    n_bits: int = 8,
    n_inputs: int = 20,
    n_targets: int = 16,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the priority-sort task: recall the vectors of highest priority in order.

    A sample has some steps of random bits, each with a priority from U(-1, 1) on a
    channel of its own, one step with only the delimiter on, and blank steps, in which the
    vectors of the highest priorities are to be reproduced, the highest first [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_bits : int, default=8
        Number of bits per vector.
    n_inputs : int, default=20
        Number of vectors.
    n_targets : int, default=16
        How many of them to reproduce. The paper tests generalisation to 20 of 24.
    random_state : int, RandomState instance or None, default=None
        Seed of the priorities and the bits.

    Returns
    -------
    X : ndarray of shape (n_samples, n_inputs + 1 + n_targets, n_bits + 2)
        Bits, the priority and the delimiter.
    y : ndarray of shape (n_samples, n_inputs + 1 + n_targets, n_bits)
        Bits to be reproduced, NaN where there are none.

    Raises
    ------
    ValueError
        If a size is not positive, or n_targets is larger than n_inputs.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, section 4.5.

    Examples
    --------
    >>> from sknt.datasets import make_priority_sort
    >>> X, y = make_priority_sort(4, n_inputs=5, n_targets=3, random_state=0)
    >>> X.shape, y.shape
    ((4, 9, 10), (4, 9, 8))
    """
    check_sizes(n_samples=n_samples, n_bits=n_bits, n_inputs=n_inputs, n_targets=n_targets)
    if n_targets > n_inputs:
        raise ValueError(
            f"n_targets={n_targets} is more than n_inputs={n_inputs} vectors; use at most "
            "as many"
        )
    rng = check_random_state(random_state)
    priorities = rng.uniform(-1, 1, size=(n_samples, n_inputs))
    bits = random_bits(rng, n_samples, n_inputs, n_bits)
    highest = np.argsort(-priorities, axis=1, kind="stable")[:, :n_targets, np.newaxis]
    n_timesteps = n_inputs + 1 + n_targets
    X = np.zeros((n_samples, n_timesteps, n_bits + 2))
    X[:, :n_inputs, :n_bits] = bits
    X[:, :n_inputs, n_bits] = priorities
    X[:, n_inputs, n_bits + 1] = 1.0
    y = empty_targets(n_samples, n_timesteps, n_bits)
    y[:, n_inputs + 1 :] = np.take_along_axis(bits, highest, axis=1)
    return X, y
