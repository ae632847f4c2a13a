"""Successive halving over epochs: candidates that are left go on training."""

import time
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sknt.model_selection._legs import Data, Leg, check_candidate, final_step, fit, train
from sknt.model_selection._rounds import Round, epochs_of_rounds, table


def _has(name: str) -> Any:
    """Return whether the best estimator, or before ``fit`` the given one, has a method."""

    def check(search: "EpochHalvingSearchCV") -> bool:
        getattr(getattr(search, "best_estimator_", search.estimator), name)
        return True

    return check


class EpochHalvingSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Search parameters with successive halving, where training continues.

    All candidates train for `min_epochs` on each fold of a cross-validation. The best
    1 / `factor` of them go on to `factor` times as many epochs, and so on up to
    `max_epochs`. No epoch is trained twice. The best candidate of the last round is then
    fitted to all data.

    Parameters
    ----------
    estimator : NTMSequenceClassifier, NTMSequenceRegressor, or Pipeline ending in one
        Its own ``max_epochs`` and ``warm_start`` are not used; ``early_stopping`` must be
        False.
    param_distributions : dict or list of dict
        Names of parameters and the values to try, as in ``GridSearchCV``; with
        `n_candidates` also distributions, as in ``RandomizedSearchCV``.
    n_candidates : int or None, default=None
        Number of candidates to draw; None tries all combinations.
    min_epochs : int, default=1
        Epochs of the first round.
    max_epochs : int, default=27
        Epochs of the last round, and of the final fit.
    factor : int, default=3
        A round has a `factor`-th of the last one's candidates, rounded up, and `factor`
        times its epochs.
    scoring : str, callable or None, default=None
        A single metric; None is the estimator's own score.
    cv : int, splitter or iterable, default=None
        As in ``GridSearchCV``. All rounds have the same folds.
    refit : bool, default=True
        Whether to fit the best candidate to all data.
    random_state : int, RandomState or None, default=None
        For drawing candidates.
    n_jobs : int or None, default=None
        Fits at the same time. They run where joblib's backend says.

    Attributes
    ----------
    best_params_ : dict
    best_score_ : float
        Mean score of the best candidate over the folds after `max_epochs`.
    best_index_ : int
        Its place in `cv_results_`.
    best_estimator_ : estimator
        Fitted to all data, with ``max_epochs`` set; only with `refit`.
    refit_time_ : float
        Seconds of that fit; only with `refit`.
    cv_results_ : dict of arrays
        A row for each candidate of each round: ``iter``, ``n_epochs``, ``params``, a
        ``param_<name>`` for each parameter, ``split<i>_test_score``,
        ``mean_test_score``, ``std_test_score``, ``rank_test_score`` (a later round ranks
        before an earlier one), ``mean_fit_time`` and ``mean_score_time``, in seconds of
        the round alone.
    n_epochs_, n_candidates_ : list of int
        Epochs up to the end of each round, and the candidates in it.
    n_splits_ : int
    scorer_ : callable
    classes_ : ndarray
        The best estimator's, if it is a classifier.
    n_features_in_ : int
        The best estimator's.

    Notes
    -----
    Learning-rate schedules, and all else that depends on how long training lasts, are
    those of `max_epochs` in every round. A candidate's state after some epochs is that of
    a fit of `max_epochs` that is stopped there, and continuing gives, to the bit, what an
    uninterrupted fit with ``warm_start=True`` would have given. A fit that ends by itself,
    because its task is learned or because it failed, is not continued, and keeps its
    score. Callbacks in ``net_params`` begin anew in each round.

    A pipeline's transformers are fitted in the first round, and transform in later ones.

    Examples
    --------
    >>> from sknt import NTMSequenceClassifier
    >>> from sknt.datasets import make_copy
    >>> from sknt.metrics import make_sequence_scorer
    >>> from sknt.model_selection import EpochHalvingSearchCV
    >>> from sklearn.model_selection import KFold
    >>> X, y = make_copy(20, n_bits=2, max_length=3, random_state=0)
    >>> model = NTMSequenceClassifier(
    ...     memory_size=8, hidden_size=8, return_sequences=True, random_state=0)
    >>> search = EpochHalvingSearchCV(
    ...     model, {"learning_rate": [0.003, 0.01, 0.03]}, max_epochs=3, cv=KFold(2),
    ...     scoring=make_sequence_scorer("accuracy"))
    >>> search.fit(X, y).n_candidates_
    [3, 1]
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: int | None = None,
        min_epochs: int = 1,
        max_epochs: int = 27,
        factor: int = 3,
        scoring: Any = None,
        cv: Any = None,
        refit: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_candidates = n_candidates
        self.min_epochs = min_epochs
        self.max_epochs = max_epochs
        self.factor = factor
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type, tags.input_tags = inner.estimator_type, inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cv_results_")

    # Fit

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None
    ) -> "EpochHalvingSearchCV":
        """Search, and fit the best candidate to all data.

        Parameters
        ----------
        X, y
            As in the estimator's ``fit``; no streams.
        groups : array-like of shape (n_samples,) or None, default=None
            For the splitter.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            For fitting; the scores do not use it.

        Returns
        -------
        self : EpochHalvingSearchCV

        Raises
        ------
        ValueError
            If a parameter is out of its range, the estimator is not one of sknt's or stops
            early, or the candidates set what the search sets.
        """
        n_epochs = epochs_of_rounds(self.min_epochs, self.max_epochs, self.factor)
        candidates = self._candidates()
        for params in candidates:
            check_candidate(self._clone(params), params)
        if isinstance(self.scoring, list | tuple | set | dict):
            raise ValueError(f"scoring={self.scoring!r}; give a single metric")
        self.scorer_ = check_scoring(self.estimator, self.scoring)
        X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)
        data = Data(X, y, sample_weight)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        folds = list(cv.split(X, y, groups))
        rounds = self._run_rounds(n_epochs, candidates, data, folds)
        self.n_splits_ = len(folds)
        self.n_epochs_ = n_epochs
        self.n_candidates_ = [len(one.candidates) for one in rounds]
        self.cv_results_ = table(rounds, candidates)
        self.best_index_ = int(self.cv_results_["rank_test_score"].argmin())
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        if self.refit:
            self._refit(data)
        return self

    def _candidates(self) -> list[dict[str, Any]]:
        given, n = self.param_distributions, self.n_candidates
        if n is None:
            return list(ParameterGrid(given))
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(
                f"n_candidates={n!r}; give a positive integer, or None for all combinations"
            )
        return list(ParameterSampler(given, n, random_state=self.random_state))

    def _clone(self, params: dict[str, Any]) -> Any:
        """Return a new estimator with a candidate's parameters."""
        return clone(self.estimator).set_params(**clone(params, safe=False))

    def _run_rounds(
        self,
        n_epochs: list[int],
        candidates: list[dict[str, Any]],
        data: Data,
        folds: list[tuple[NDArray[Any], NDArray[Any]]],
    ) -> list[Round]:
        rounds: list[Round] = []
        numbers = list(range(len(candidates)))
        legs = [[Leg(self._clone(params), 0) for _ in folds] for params in candidates]
        for n in n_epochs:
            done = Parallel(n_jobs=self.n_jobs)(
                delayed(train)(leg, data, fold, n, self.max_epochs, self.scorer_)
                for row in legs
                for leg, fold in zip(row, folds, strict=True)
            )
            legs = [done[i : i + len(folds)] for i in range(0, len(done), len(folds))]
            rounds.append(Round(n, numbers, legs))
            best = rounds[-1].best(self.factor)
            numbers, legs = [numbers[i] for i in best], [legs[i] for i in best]
        return rounds

    def _refit(self, data: Data) -> None:
        begin = time.perf_counter()
        self.best_estimator_ = self._clone(self.best_params_)
        final_step(self.best_estimator_).set_params(max_epochs=self.max_epochs)
        fit(self.best_estimator_, data)
        self.refit_time_ = time.perf_counter() - begin
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    # Prediction

    @property
    def n_features_in_(self) -> int:
        """Number of features of the best estimator."""
        return self._best("n_features_in_")

    @property
    def classes_(self) -> NDArray[Any]:
        """Classes of the best estimator."""
        return self._best("classes_")

    def _best(self, name: str) -> Any:
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit")
        return getattr(self.best_estimator_, name)

    def _call(self, method: str, X: Any) -> NDArray[Any]:
        check_is_fitted(self, "best_estimator_")
        return getattr(self.best_estimator_, method)(X)

    @available_if(_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Return the best estimator's predictions."""
        return self._call("predict", X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the best estimator's probabilities."""
        return self._call("predict_proba", X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the best estimator's decision function."""
        return self._call("decision_function", X)

    def score(self, X: Any, y: ArrayLike | None = None) -> float:
        """Return the best estimator's score, by the metric of the search."""
        check_is_fitted(self, "best_estimator_")
        return self.scorer_(self.best_estimator_, X, y)
