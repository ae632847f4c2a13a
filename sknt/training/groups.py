"""Holding out whole groups of sequences.

Sequences belong together if they are in the same group or have the same content, or by a
chain of such relations. What is held out depends neither on the names of the groups nor on
the order of the sequences.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sknt.training.data import TrainingData

MIN_HELD_OUT = 2
"""Different sequences that are held out at least, because R² needs two."""


def join_groups(equal: NDArray[np.int64], given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join groups that have equal sequences.

    Parameters
    ----------
    equal : ndarray of shape (n_samples,)
        Equal numbers, from 0 on, for equal sequences.
    given : ndarray of shape (n_samples,)
        Equal numbers, from 0 on, for sequences of the same group.

    Returns
    -------
    joined : ndarray of shape (n_samples,)
        Equal numbers for sequences that belong together, in the order of the smallest
        number in ``equal``.
    """
    n_equal = int(equal.max()) + 1
    n_nodes = n_equal + int(given.max()) + 1
    edges = np.ones(len(equal)), (equal, n_equal + given)
    graph = coo_array(edges, shape=(n_nodes, n_nodes))
    n_components, component = connected_components(graph, directed=False)
    own = component[equal]
    smallest = np.full(n_components, n_equal)
    np.minimum.at(smallest, own, equal)
    return np.unique(smallest[own], return_inverse=True)[1]


def choose_held_out_groups(
    data: TrainingData,
    equal: NDArray[np.int64],
    joined: NDArray[np.int64],
    fraction: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Choose whole groups to hold out, about a fraction of the different sequences.

    Of each class, about that fraction is held out, as far as whole groups allow, and a
    class does not lose all of its sequences if that can be avoided.

    Parameters
    ----------
    data : TrainingData
    equal, joined : ndarray of shape (n_samples,)
        Equal numbers, from 0 on, for equal sequences, and for those that belong together.
    fraction : float
    seed : int

    Returns
    -------
    is_held_out : ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If there is a single group, or no group can be held out so that others remain and
        there are at least two sequences in it.
    """
    rows = np.unique(equal, return_index=True)[1]  # one of each
    classes = data.targets[rows] if data.has_class else np.zeros(len(rows), np.int64)
    classes = np.unique(classes, return_inverse=True)[1]
    counts = np.zeros((int(joined.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (joined[rows], classes), 1)
    if len(counts) < 2:
        raise ValueError(
            "all sequences belong together, by groups and because equal sequences do, so "
            "none can be held out; give at least two groups, or set early_stopping=False "
            "and n_convolutions=0"
        )
    wanted = max(MIN_HELD_OUT, int(np.ceil(fraction * len(rows)))) / len(rows)
    order = np.random.RandomState(seed).permutation(len(counts))
    is_taken = _choose(counts, wanted, order)
    if counts[is_taken].sum() < MIN_HELD_OUT:
        large = [group for group in order if counts[group].sum() >= MIN_HELD_OUT]
        if not large:
            raise ValueError(
                f"{len(rows)} different samples in {len(counts)} groups are too few to "
                "hold out two of them in one group; give more, or set "
                "early_stopping=False and n_convolutions=0"
            )
        is_taken[:] = False
        is_taken[min(large, key=lambda group: counts[group].sum())] = True
    return is_taken[joined]


def _choose(
    counts: NDArray[np.float64], wanted: float, order: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which groups to take, in this order while they bring the goal closer.

    The goal is the part wanted of each class; then, with what is left, of all sequences;
    at last, if there are too few, the latter even if a class loses all of its sequences.
    """
    is_taken = np.zeros(len(counts), dtype=bool)
    held, totals = np.zeros(counts.shape[1]), counts.sum(axis=0)
    n_left = len(counts)
    for by_class, spares_classes in ((True, True), (False, True), (False, False)):
        if not spares_classes and held.sum() >= MIN_HELD_OUT:
            break
        for group in order[~is_taken[order]]:
            after = held + counts[group]
            if n_left == 1 or (spares_classes and (after == totals).any()):
                continue
            if _distance(after - wanted * totals, by_class) < _distance(
                held - wanted * totals, by_class
            ):
                is_taken[group], held, n_left = True, after, n_left - 1
    return is_taken


def _distance(difference: NDArray[np.float64], by_class: bool) -> float:
    return float((difference**2).sum() if by_class else difference.sum() ** 2)
