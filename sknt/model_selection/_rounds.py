"""The rounds of successive halving, and the table of their results."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from sknt.model_selection._legs import Leg


class Round(NamedTuple):
    """A round: its candidates, by number, and a leg for each of them and each fold."""

    n_epochs: int
    candidates: list[int]
    legs: list[list[Leg]]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores of shape (n_candidates, n_splits)."""
        return np.array([[leg.score for leg in row] for row in self.legs])

    def best(self, factor: int) -> list[int]:
        """Return the places of the best candidates, a part of all, in their order."""
        n_left = -(-len(self.candidates) // factor)
        means = np.nan_to_num(self.scores.mean(axis=1), nan=-np.inf)
        return sorted(np.argsort(-means, kind="stable")[:n_left].tolist())


def epochs_of_rounds(min_epochs: int, max_epochs: int, factor: int) -> list[int]:
    """Return the epochs up to the end of each round.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    given = {"min_epochs": min_epochs, "max_epochs": max_epochs, "factor": factor}
    for name, least in (("min_epochs", 1), ("max_epochs", min_epochs), ("factor", 2)):
        value = given[name]
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r}; give an integer of at least {least}")
    rounds = [int(min_epochs)]
    while rounds[-1] < max_epochs:
        rounds.append(min(rounds[-1] * factor, int(max_epochs)))
    return rounds


def table(
    rounds: Sequence[Round], candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return ``cv_results_``: a row for each candidate of each round."""
    scores = np.concatenate([r.scores for r in rounds])
    legs = [row for r in rounds for row in r.legs]
    numbers = [number for r in rounds for number in r.candidates]
    iteration = np.repeat(range(len(rounds)), [len(r.candidates) for r in rounds])
    means = scores.mean(axis=1)
    order = np.column_stack([iteration, np.nan_to_num(means, nan=-np.inf)])
    grade = np.unique(order, axis=0, return_inverse=True)[1].ravel()
    results: dict[str, Any] = {
        "iter": iteration,
        "n_epochs": np.repeat(
            [r.n_epochs for r in rounds], [len(r.candidates) for r in rounds]
        ),
        "params": [dict(candidates[number]) for number in numbers],
    }
    for name in sorted({name for params in candidates for name in params}):
        column = np.ma.MaskedArray(np.empty(len(numbers), dtype=object), mask=True)
        for row, number in enumerate(numbers):
            if name in candidates[number]:
                column[row] = candidates[number][name]
        results[f"param_{name}"] = column
    for split, column in enumerate(scores.T):
        results[f"split{split}_test_score"] = column
    results["mean_test_score"], results["std_test_score"] = means, scores.std(axis=1)
    results["rank_test_score"] = rankdata(-grade, method="min").astype(np.int32)
    for what in ("fit_time", "score_time"):
        seconds = [[getattr(leg, what) for leg in row] for row in legs]
        results[f"mean_{what}"] = np.mean(seconds, axis=1)
    return results
