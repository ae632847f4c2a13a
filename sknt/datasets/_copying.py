"""Copy and repeat copy (NTM sections 4.1 and 4.2)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sknt.datasets._sizes import (
    check_range,
    check_sizes,
    empty_targets,
    group_by_size,
    random_bits,
)


def make_copy(
    n_samples: int = 1000,
    *,
    n_bits: int = 8,
    min_length: int = 1,
    max_length: int = 20,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the copy task: recall a sequence of random bits after a delimiter.

    A sample of length L has L steps of random bits, one step with only the delimiter
    channel on, and L blank steps, in which the bits are to be reproduced in order [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_bits : int, default=8
        Number of bits per step.
    min_length, max_length : int, default=1 and 20
        Range of L, both ends included; L is drawn uniformly. The paper tests
        generalisation to lengths of up to 120.
    random_state : int, RandomState instance or None, default=None
        Seed of the lengths and the bits.

    Returns
    -------
    X : ndarray of shape (n_samples, 2 * max_length + 1, n_bits + 1)
        Bits, and the delimiter as the last channel; NaN after a sequence's end.
    y : ndarray of shape (n_samples, 2 * max_length + 1, n_bits)
        Bits to be reproduced, NaN where there are none.

    Raises
    ------
    ValueError
        If a size is not positive, or min_length is above max_length.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, section 4.1.

    Examples
    --------
    >>> from sknt.datasets import make_copy
    >>> X, y = make_copy(n_samples=5, n_bits=2, max_length=3, random_state=0)
    >>> X.shape, y.shape
    ((5, 7, 3), (5, 7, 2))
    """
    check_sizes(n_samples=n_samples, n_bits=n_bits)
    check_range("length", min_length, max_length)
    rng = check_random_state(random_state)
    lengths = rng.randint(min_length, max_length + 1, size=n_samples)
    bits = random_bits(rng, n_samples, max_length, n_bits)
    n_timesteps = 2 * max_length + 1
    X = np.zeros((n_samples, n_timesteps, n_bits + 1))
    y = empty_targets(n_samples, n_timesteps, n_bits)
    for length, rows in group_by_size(lengths):
        end = 2 * length + 1
        X[rows, :length, :n_bits] = y[rows, length + 1 : end] = bits[rows, :length]
        X[rows, length, n_bits] = 1.0
        X[rows, end:] = np.nan
    return X, y


def make_repeat_copy(
    n_samples: int = 1000,
    *,
    n_bits: int = 8,
    min_length: int = 1,
    max_length: int = 10,
    min_repeats: int = 1,
    max_repeats: int = 10,
    scale_repeats: tuple[int, int] = (1, 10),
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the repeat-copy task: recall random bits n times, then mark the end.

    A sample of length L and n repeats has L steps of random bits, one step with the
    delimiter on and the number of repeats on a channel of its own, and n · L + 1 blank
    steps, for the bits in order, n times, and then the end marker [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_bits : int, default=8
        Number of bits per step.
    min_length, max_length : int, default=1 and 10
        Range of L, both ends included; L is drawn uniformly. The paper tests
        generalisation to L = 20.
    min_repeats, max_repeats : int, default=1 and 10
        Range of n, both ends included; n is drawn uniformly. The paper tests
        generalisation to n = 20.
    scale_repeats : tuple of int, default=(1, 10)
        The number of repeats is given as ``(n - mean) / std`` of the uniform
        distribution over this range, whatever the range of n: a network needs the same
        scale when it is tested beyond the range it was trained on.
    random_state : int, RandomState instance or None, default=None
        Seed of the lengths, the repeats and the bits.

    Returns
    -------
    X : ndarray of shape (n_samples, max_length * (max_repeats + 1) + 2, n_bits + 2)
        Bits, the delimiter and the number of repeats; NaN after a sequence's end.
    y : ndarray of shape (n_samples, max_length * (max_repeats + 1) + 2, n_bits + 1)
        Bits to be reproduced, and the end marker as the last channel, at whose step all
        bits are 0; NaN where there are none.

    Raises
    ------
    ValueError
        If a size is not positive, or a range is invalid.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, section 4.2.

    Examples
    --------
    >>> from sknt.datasets import make_repeat_copy
    >>> X, y = make_repeat_copy(4, n_bits=2, max_length=3, max_repeats=2, random_state=0)
    >>> X.shape, y.shape
    ((4, 11, 4), (4, 11, 3))
    """
    check_sizes(n_samples=n_samples, n_bits=n_bits)
    check_range("length", min_length, max_length)
    check_range("repeats", min_repeats, max_repeats)
    low, high = scale_repeats
    if not low < high:
        raise ValueError(
            f"scale_repeats={scale_repeats!r} is not a range; use the smallest and the "
            "largest number of repeats in training, such as (1, 10)"
        )
    mean, std = (low + high) / 2, np.sqrt(((high - low + 1) ** 2 - 1) / 12)
    rng = check_random_state(random_state)
    lengths = rng.randint(min_length, max_length + 1, size=n_samples)
    repeats = rng.randint(min_repeats, max_repeats + 1, size=n_samples)
    bits = random_bits(rng, n_samples, max_length, n_bits)
    n_timesteps = max_length * (max_repeats + 1) + 2
    X = np.zeros((n_samples, n_timesteps, n_bits + 2))
    y = empty_targets(n_samples, n_timesteps, n_bits + 1)
    for length, of_length in group_by_size(lengths):
        stored = bits[:, :length]
        for n, members in group_by_size(repeats[of_length]):
            rows = of_length[members]
            end = length * (n + 1) + 1
            X[rows, :length, :n_bits] = stored[rows]
            X[rows, length, n_bits] = 1.0
            X[rows, length, n_bits + 1] = (n - mean) / std
            X[rows, end + 1 :] = np.nan
            y[rows, length + 1 : end, :n_bits] = np.tile(stored[rows], (1, n, 1))
            y[rows, length + 1 : end, n_bits] = 0.0
            y[rows, end, :n_bits] = 0.0
            y[rows, end, n_bits] = 1.0
    return X, y
