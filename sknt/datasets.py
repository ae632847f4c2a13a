"""Task generators: the algorithms that memory networks are asked to learn."""

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state


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
    channel on, and L blank steps, in which the bits are to be given back in order [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_bits : int, default=8
        Number of bits of a step.
    min_length, max_length : int, default=1 and 20
        Range of L, both ends included; L is drawn uniformly.
    random_state : int, RandomState instance or None, default=None
        Seed of the lengths and the bits.

    Returns
    -------
    X : ndarray of shape (n_samples, 2 * max_length + 1, n_bits + 1)
        Bits, and the delimiter as the last channel; NaN after a sequence's end.
    y : ndarray of shape (n_samples, 2 * max_length + 1, n_bits)
        Bits to be given back, NaN where nothing is.

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
    for name, size in [("n_samples", n_samples), ("n_bits", n_bits)]:
        if size < 1:
            raise ValueError(f"{name}={size!r} is not positive; use at least 1")
    if not 1 <= min_length <= max_length:
        raise ValueError(
            f"min_length={min_length!r} and max_length={max_length!r} are no range; "
            "use 1 <= min_length <= max_length"
        )
    rng = check_random_state(random_state)
    n_timesteps = 2 * max_length + 1
    lengths = rng.randint(min_length, max_length + 1, size=n_samples)[:, np.newaxis]
    bits = rng.randint(0, 2, size=(n_samples, max_length, n_bits))

    steps = np.arange(n_timesteps)
    to_store = steps < lengths
    to_recall = (steps > lengths) & (steps <= 2 * lengths)
    stored = np.arange(max_length) < lengths
    X = np.where((steps <= 2 * lengths)[..., np.newaxis], 0.0, np.nan)
    X = np.repeat(X, n_bits + 1, axis=2)
    X[to_store, :n_bits] = bits[stored]
    X[np.arange(n_samples), lengths[:, 0], n_bits] = 1.0
    y = np.full((n_samples, n_timesteps, n_bits), np.nan)
    y[to_recall] = bits[stored]
    return X, y
