"""Successive halving over epochs: candidates go on training as if never interrupted."""

import numpy as np
import pytest
from helpers import SMALL, small_classifier, small_regressor
from joblib import parallel_backend
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import Callback

from sknt.callbacks import TrainingStopped
from sknt.metrics import make_sequence_scorer
from sknt.model_selection import EpochHalvingSearchCV
from sknt.preprocessing import StepwiseTransformer

RATES = [0.001, 0.01, 0.03]


class Stop(Callback):
    """End training after some epochs, and count all epochs of all fits."""

    n_epochs = 0

    def __init__(self, after=None):
        self.after = after

    def on_epoch_end(self, net, **kwargs):
        Stop.n_epochs += 1
        if len(net.history) == self.after:
            raise TrainingStopped


@pytest.fixture
def counter(monkeypatch):
    monkeypatch.setattr(Stop, "n_epochs", 0)
    return Stop


def halving(estimator, params=None, **options):
    params = params or {"learning_rate": RATES}
    options = {"min_epochs": 1, "max_epochs": 4, "factor": 2, "cv": KFold(2)} | options
    return EpochHalvingSearchCV(estimator, params, **options)


def alone(**params):
    return small_classifier(n_convolutions=0, **params)


@pytest.fixture
def steps(sequences):
    X, _ = sequences
    return X, np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)


def assert_as_if_uninterrupted(search, X, y, scoring):
    """Each round's scores are those of fits of all epochs that stop there."""
    results = search.cv_results_
    for row, params in enumerate(results["params"]):
        last = results["n_epochs"][row]
        model = clone(search.estimator).set_params(
            **params,
            max_epochs=search.max_epochs,
            warm_start=True,
            net_params={"callbacks": [Stop(after=last)]},
        )
        expected = cross_val_score(model, X, y, scoring=scoring, cv=search.cv)
        found = [results[f"split{i}_test_score"][row] for i in range(search.n_splits_)]
        assert_array_equal(found, expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "consolidate"])
def test_rounds_continue_the_plan_of_the_whole(sequences, schedule):
    X, y = sequences
    search = halving(alone(schedule=schedule), scoring="neg_log_loss").fit(X, y)
    assert search.n_epochs_ == [1, 2, 4]
    assert search.n_candidates_ == [3, 2, 1]
    assert_as_if_uninterrupted(search, X, y, "neg_log_loss")


def test_rounds_of_a_regressor_with_a_blend(values):
    X, y = values
    model = small_regressor(n_convolutions=84)
    search = halving(model, {"learning_rate": [0.01, 0.03]}, max_epochs=2).fit(X, y)
    assert_as_if_uninterrupted(search, X, y, None)


def test_targets_for_each_step(steps):
    scoring = make_sequence_scorer("neg_log_loss")
    model = alone(return_sequences=True)
    search = halving(model, {"memory": ["ntm", None]}, max_epochs=2, scoring=scoring)
    search.fit(*steps)
    assert_as_if_uninterrupted(search, *steps, scoring)


def test_no_epoch_is_trained_twice(sequences, counter):
    model = alone(net_params={"callbacks": [counter()]})
    halving(model, refit=False).fit(*sequences)
    assert counter.n_epochs == 2 * (3 * 1 + 2 * 1 + 1 * 2)


def test_training_that_ended_by_itself_is_not_continued(sequences, counter):
    model = alone(net_params={"callbacks": [counter(after=1)]})
    results = halving(model, refit=False, min_epochs=2).fit(*sequences).cv_results_
    assert counter.n_epochs == 2 * 3
    scores, later = results["mean_test_score"], results["iter"] > 0
    assert set(scores[later]) <= set(scores[~later])


def test_the_best_is_fitted_to_all_data_as_it_is_alone(sequences):
    X, y = sequences
    search = halving(alone()).fit(X, y)
    best = alone(**search.best_params_, max_epochs=4).fit(X, y)
    assert search.best_estimator_.get_params() == best.get_params()
    for method in ("predict", "predict_proba", "decision_function"):
        assert_array_equal(getattr(search, method)(X), getattr(best, method)(X))
    assert search.score(X, y) == best.score(X, y)
    assert_array_equal(search.classes_, best.classes_)
    assert search.n_features_in_ == best.n_features_in_
    again = best.set_params(warm_start=True, max_epochs=1).fit(X, y)  # on a plan of its own
    assert again.n_iter_ == 5


def test_results_name_every_candidate_of_every_round(sequences):
    grids = [{"learning_rate": [0.01, 0.03]}, {"memory": [None], "optimizer": ["sgd"]}]
    search = halving(alone(), grids, max_epochs=2).fit(*sequences)
    results = search.cv_results_
    assert {len(column) for column in results.values()} == {3 + 2}
    assert results["params"][:3] == [
        {"learning_rate": 0.01},
        {"learning_rate": 0.03},
        {"memory": None, "optimizer": "sgd"},
    ]
    assert results["param_optimizer"].mask[:3].tolist() == [True, True, False]
    means, last = results["mean_test_score"], results["iter"] == 1
    assert search.best_score_ == means[last].max()
    assert search.best_params_ == results["params"][search.best_index_]
    ranks = results["rank_test_score"]
    assert ranks[last].max() < ranks[~last].min()  # later rounds rank before earlier ones
    for one in (last, ~last):
        order = np.argsort(-means[one], kind="stable")
        assert_array_equal(np.argsort(ranks[one], kind="stable"), order)


def test_a_round_keeps_its_best(sequences):
    search = halving(alone(), max_epochs=2).fit(*sequences)
    results = search.cv_results_
    first = results["iter"] == 0
    best = np.argsort(-results["mean_test_score"][first], kind="stable")[:2]
    kept = [p for p, f in zip(results["params"], first, strict=True) if not f]
    assert kept == [results["params"][i] for i in sorted(best)]


def test_a_pipeline_goes_on_with_its_fitted_transformers(sequences):
    X, y = sequences
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), alone())
    grid = {"ntmsequenceclassifier__learning_rate": RATES}
    search = halving(pipeline, grid, scoring="neg_log_loss").fit(X, y)
    one = {"ntmsequenceclassifier__max_epochs": [4]}
    plain = GridSearchCV(pipeline, grid | one, cv=KFold(2), scoring="neg_log_loss")
    plain.fit(X, y)
    last = search.best_params_ | {"ntmsequenceclassifier__max_epochs": 4}
    row = plain.cv_results_["params"].index(last)
    assert search.best_score_ == plain.cv_results_["mean_test_score"][row]
    assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_drawn_candidates_and_random_folds_stay_the_same(sequences):
    options = {"n_candidates": 2, "random_state": 0, "cv": ShuffleSplit(2, test_size=0.3)}
    search = halving(alone(), **options, max_epochs=2).fit(*sequences)
    assert search.n_candidates_ == [2, 1]
    again = halving(alone(), **options, max_epochs=2).fit(*sequences)
    assert again.cv_results_["params"][:2] == search.cv_results_["params"][:2]


def test_groups_and_weights(sequences):
    X, y = sequences
    groups, weights = np.arange(60) % 3, np.ones(60)
    weights[::4] = 0
    options = {"cv": GroupKFold(3), "max_epochs": 1}
    search = halving(alone(), **options).fit(X, y, groups=groups, sample_weight=weights)
    for split, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
        for row, rate in enumerate(RATES):
            model = alone(max_epochs=1, learning_rate=rate)
            model.fit(X[train], y[train], sample_weight=weights[train])
            found = search.cv_results_[f"split{split}_test_score"][row]
            assert found == model.score(X[test], y[test])
    best = alone(max_epochs=1, **search.best_params_).fit(X, y, sample_weight=weights)
    assert_array_equal(search.decision_function(X), best.decision_function(X))


def test_lists_of_sequences_and_several_jobs(sequences):
    X, y = sequences
    in_turn = halving(alone()).fit(X, y)
    as_list = [x[~np.isnan(x[:, 0])] for x in X]
    with parallel_backend("threading", n_jobs=2):
        at_once = halving(alone()).fit(as_list, list(y))
    for name in ("mean_test_score", "rank_test_score"):
        assert_array_equal(at_once.cv_results_[name], in_turn.cv_results_[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_epochs": 0}, "min_epochs=0"),
        ({"min_epochs": 5}, "max_epochs=4"),
        ({"max_epochs": "auto"}, "max_epochs='auto'"),
        ({"factor": 1}, "factor=1"),
        ({"factor": 2.5}, "factor=2.5"),
        ({"n_candidates": 0}, "n_candidates=0"),
        ({"scoring": ["accuracy"]}, "single metric"),
        ({"params": {"max_epochs": [1, 2]}}, "the search sets"),
        ({"params": {"early_stopping": [True]}}, "early_stopping=False"),
    ],
)
def test_what_makes_no_sense_is_refused(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        halving(alone(), **options).fit(*sequences)


def test_an_estimator_without_epochs_is_refused(sequences):
    with pytest.raises(TypeError, match="LogisticRegression"):
        halving(LogisticRegression(), {"C": [1.0]}).fit(*sequences)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # scikit-learn's
def test_it_passes_the_checks_of_scikit_learn():
    model = small_classifier(**SMALL | {"max_epochs": 1}, n_convolutions=0)
    search = EpochHalvingSearchCV(
        model, {"learning_rate": [0.01, 0.03]}, max_epochs=2, factor=2, cv=2
    )
    check_estimator(search, on_skip=None)
