"""Training a candidate on a fold, one part of its epochs after another."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from sknt._base import SequenceEstimator
from sknt._private import safe_indexing

OURS = ("max_epochs", "warm_start")
"""Parameters of the estimator that the search sets."""


class Leg(NamedTuple):
    """Where a candidate is on a fold, after its epochs so far."""

    estimator: Any
    n_epochs: int  # 0 for one that is still to be fitted
    score: float = np.nan
    fit_time: float = 0.0  # in seconds, of the last part alone
    score_time: float = 0.0


class Data(NamedTuple):
    """What the search was given."""

    X: Any
    y: Any
    sample_weight: NDArray[Any] | None

    def take(self, rows: NDArray[Any]) -> "Data":
        """Select samples."""
        return Data(*(safe_indexing(p, rows) if p is not None else None for p in self))


def final_step(estimator: Any) -> SequenceEstimator:
    """Return the estimator that trains in epochs.

    Raises
    ------
    TypeError
        If it is not one of sknt's.
    """
    final = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(final, SequenceEstimator):
        raise TypeError(
            f"EpochHalvingSearchCV continues to train estimators of sknt, alone or at the "
            f"end of a pipeline, and this is a {type(final).__name__}; for others use "
            "sklearn.model_selection.HalvingGridSearchCV"
        )
    return final


def check_candidate(estimator: Any, params: Mapping[str, Any]) -> None:
    """Refuse a candidate that decides itself how long it trains."""
    final = final_step(estimator)
    for name in params:
        if name.rpartition("__")[2] in OURS:
            raise ValueError(
                f"the candidates have {name!r}, which the search sets; give "
                "min_epochs and max_epochs to the search"
            )
    if final.early_stopping:
        raise ValueError(
            "the search decides which candidates stop early; set early_stopping=False"
        )


def fit(estimator: Any, data: Data, *, continues: bool = False) -> None:
    """Fit an estimator, or continue to train the last step of a fitted pipeline."""
    final, X = final_step(estimator), data.X
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        first = estimator[:-1]
        X = first.transform(X) if continues else first.fit_transform(X, data.y)
        estimator.steps[:-1] = first.steps  # a pipeline with a cache fits copies
    final.fit(X, data.y, sample_weight=data.sample_weight)


def train(
    leg: Leg,
    data: Data,
    fold: tuple[NDArray[Any], NDArray[Any]],
    n_epochs: int,
    n_planned: int,
    scorer: Any,
) -> Leg:
    """Train up to a number of epochs, of those that are planned, and score.

    Training that has ended by itself is not continued.
    """
    estimator, begin = leg.estimator, time.perf_counter()
    final = final_step(estimator)
    if leg.n_epochs and final.n_iter_ < leg.n_epochs:
        return leg._replace(fit_time=0.0, score_time=0.0)
    final.set_params(max_epochs=n_epochs - leg.n_epochs, warm_start=True)
    final._n_epochs_planned = n_planned
    training, test = (data.take(rows) for rows in fold)
    fit(estimator, training, continues=leg.n_epochs > 0)
    fitted = time.perf_counter()
    score = float(scorer(estimator, test.X, test.y))
    return Leg(estimator, n_epochs, score, fitted - begin, time.perf_counter() - fitted)
