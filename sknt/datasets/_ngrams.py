"""Dynamic N-grams (NTM section 4.4)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sknt.datasets._sizes import check_range, check_sizes


def make_dynamic_ngrams(
    n_samples: int = 1000,
    *,
    order: int = 6,
    length: int = 200,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the dynamic N-gram task: predict bits drawn from a table not seen before.

    Each sample has a random table of the probability of a 1 after each of the
    ``2 ** (order - 1)`` contexts of ``order - 1`` bits, drawn from Beta(½, ½). The first
    bits, which have no complete context, are fair [1]_.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    order : int, default=6
        A bit depends on the ``order - 1`` before it.
    length : int, default=200
        Number of bits per sequence.
    random_state : int, RandomState instance or None, default=None
        Seed of the tables and the bits.

    Returns
    -------
    X : ndarray of shape (n_samples, length - 1, 1)
        All bits but the last.
    y : ndarray of shape (n_samples, length - 1, 1)
        The bit that comes next.

    Raises
    ------
    ValueError
        If a size is not positive, or a sequence has fewer than two bits.

    See Also
    --------
    sknt.metrics.optimal_ngram_proba : The optimal prediction.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, section 4.4.

    Examples
    --------
    >>> from sknt.datasets import make_dynamic_ngrams
    >>> X, y = make_dynamic_ngrams(4, length=50, random_state=0)
    >>> X.shape, y.shape
    ((4, 49, 1), (4, 49, 1))
    """
    check_sizes(n_samples=n_samples, order=order)
    check_range("length", 2, length, least=2)
    rng = check_random_state(random_state)
    n_contexts = 2 ** (order - 1)
    tables = rng.beta(0.5, 0.5, size=(n_samples, n_contexts))
    drawn = rng.random_sample((length, n_samples))
    bits = np.empty((length, n_samples), np.int64)
    samples, context = np.arange(n_samples), np.zeros(n_samples, np.int64)
    for t in range(length):
        p = tables[samples, context] if t >= order - 1 else 0.5
        bits[t] = drawn[t] < p
        context = (2 * context + bits[t]) % n_contexts
    sequences = bits.T[..., np.newaxis].astype(np.float64)
    return sequences[:, :-1].copy(), sequences[:, 1:].copy()
