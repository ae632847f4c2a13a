"""Associative recall (NTM section 4.3)."""

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


def make_associative_recall(
    n_samples: int = 1000,
    *,
    n_bits: int = 6,
    item_length: int = 3,
    min_items: int = 2,
    max_items: int = 6,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the associative-recall task: recall the item that followed the queried one.

    A sample has some items of random bits, each after a step with the item delimiter on;
    then one of them, but not the last, between two steps with the query delimiter on;
    then blank steps, in which the item that came next is to be reproduced [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_bits : int, default=6
        Number of bits per step.
    item_length : int, default=3
        Number of steps per item.
    min_items, max_items : int, default=2 and 6
        Range of the number of items, both ends included; it is drawn uniformly. The
        paper tests generalisation to up to 20 items.
    random_state : int, RandomState instance or None, default=None
        Seed of the numbers of items, the items and the queries.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timesteps, n_bits + 2)
        Bits, the item delimiter and the query delimiter; NaN after a sequence's end.
        There are ``max_items * (item_length + 1) + 2 * item_length + 2`` steps.
    y : ndarray of shape (n_samples, n_timesteps, n_bits)
        Bits to be reproduced, NaN where there are none.

    Raises
    ------
    ValueError
        If a size is not positive, or the range of items is not one from 2 up.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, section 4.3.

    Examples
    --------
    >>> from sknt.datasets import make_associative_recall
    >>> X, y = make_associative_recall(4, n_bits=2, max_items=3, random_state=0)
    >>> X.shape, y.shape
    ((4, 20, 4), (4, 20, 2))
    """
    check_sizes(n_samples=n_samples, n_bits=n_bits, item_length=item_length)
    check_range("items", min_items, max_items, least=2)
    rng = check_random_state(random_state)
    n_items = rng.randint(min_items, max_items + 1, size=n_samples)
    queries = rng.randint(0, n_items - 1)
    items = random_bits(rng, n_samples, max_items, item_length, n_bits)
    n_timesteps = max_items * (item_length + 1) + 2 * item_length + 2
    X = np.zeros((n_samples, n_timesteps, n_bits + 2))
    y = empty_targets(n_samples, n_timesteps, n_bits)
    stride = item_length + 1
    for n, rows in group_by_size(n_items):
        end = n * stride
        stored = X[rows, :end].reshape(len(rows), n, stride, n_bits + 2)
        stored[:, :, 0, n_bits] = 1.0
        stored[:, :, 1:, :n_bits] = items[rows, :n]
        X[rows, :end] = stored.reshape(len(rows), end, -1)
        X[rows, end, n_bits + 1] = 1.0
        X[rows, end + 1 : end + stride, :n_bits] = items[rows, queries[rows]]
        X[rows, end + stride, n_bits + 1] = 1.0
        asked = end + stride + 1
        X[rows, asked + item_length :] = np.nan
        y[rows, asked : asked + item_length] = items[rows, queries[rows] + 1]
    return X, y
