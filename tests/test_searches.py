"""Cross-validation, searches and pipelines."""

import numpy as np
import pytest
from helpers import MODEST
from numpy.testing import assert_array_equal
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknt import NTMSequenceClassifier
from sknt.metrics import make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer


def test_pipeline_and_train_test_split(sequences, model):
    X, y = sequences
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), model)
    pipeline.fit(X_train, y_train)
    by_hand = StepwiseTransformer().fit(X_train)
    model.fit(by_hand.transform(X_train), y_train)
    assert pipeline.score(X_test, y_test) == model.score(by_hand.transform(X_test), y_test)


def test_cross_validation(sequences, model):
    X, y = sequences
    scores = cross_val_score(model, X, y, cv=3)
    labels = cross_val_predict(model, X, y, cv=3)
    probabilities = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    assert scores.shape == (3,)
    assert np.mean(labels == y) == pytest.approx(np.mean(scores))
    assert_array_equal(np.unique(y)[probabilities.argmax(axis=1)], labels)


def test_lists_of_sequences_can_be_split_too(sequences, model):
    from sknt import unpad_sequences

    X, y = sequences
    assert_array_equal(
        cross_val_score(model, unpad_sequences(X), y, cv=3),
        cross_val_score(model, X, y, cv=3),
    )


@pytest.mark.slow
def test_grid_search_scores_the_same_in_two_processes(sequences, model):
    X, y = sequences
    pipeline = make_pipeline(StepwiseTransformer(), model)
    grid = {
        "ntmsequenceclassifier__memory_size": [4, 6],
        "ntmsequenceclassifier__n_read_heads": [1, 2],
        "ntmsequenceclassifier__memory_params__shift_range": [0, 1],
    }
    one = GridSearchCV(pipeline, grid, cv=2, n_jobs=1).fit(X, y)
    two = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    for split in range(2):
        key = f"split{split}_test_score"
        assert_array_equal(one.cv_results_[key], two.cv_results_[key])
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.slow
def test_randomized_search(sequences, model):
    X, y = sequences
    distributions = {
        "memory_size": randint(4, 7),  # integers of NumPy
        "hidden_size": randint(8, 12),
        "batch_size": randint(8, 20),
        "memory_params__shift_range": randint(0, 2),
        "learning_rate": loguniform(0.003, 0.03),
    }
    search = RandomizedSearchCV(
        model, distributions, n_iter=3, cv=2, random_state=0, n_jobs=2
    ).fit(X, y)
    serial = clone(search).set_params(n_jobs=1).fit(X, y)
    assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("resource", ["n_samples", "max_epochs"])
@pytest.mark.parametrize("Search", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_halving_searches(sequences, model, Search, resource):
    X, y = sequences
    search = Search(
        model,
        {"memory_size": [4, 6, 8], "learning_rate": [0.01, 0.02]},
        resource=resource,
        max_resources=4 if resource == "max_epochs" else "auto",
        min_resources=1 if resource == "max_epochs" else 20,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(X, y)
    assert search.n_iterations_ >= 2
    assert search.predict(X).shape == y.shape


def test_learning_curve(sequences, model):
    X, y = sequences
    sizes, train_scores, test_scores = learning_curve(
        model, X, y, cv=2, train_sizes=[0.5, 1.0], shuffle=True, random_state=0
    )
    assert_array_equal(sizes, [15, 30])
    assert np.isfinite(train_scores).all()
    assert np.isfinite(test_scores).all()


def test_groups_stay_together(sequences, model):
    X, y = sequences
    groups = np.arange(60) // 5
    scores = cross_val_score(
        model, X, y, groups=groups, cv=StratifiedGroupKFold(n_splits=3)
    )
    assert np.isfinite(scores).all()


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["text", "number"])
def test_grid_search_on_per_step_targets_with_unscored_steps(sequences, model, labels):
    X, _ = sequences
    absent = np.isnan(X[..., 0])
    if labels == "text":
        y = np.where(X[..., 0] > 0, "up", "down").astype(object)
        y[absent] = np.nan
        y[::3, 0] = np.nan
    else:
        y = np.where(absent, np.nan, X[..., 0] > 0)
        y[::3, 0] = np.nan
    model.set_params(return_sequences=True)
    # An integer cv would look at the labels, NaN and all, to stratify by them.
    search = GridSearchCV(
        model,
        {"memory_size": [4, 6]},
        scoring=make_sequence_scorer("balanced_accuracy"),
        cv=KFold(2),
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    by_own_score = GridSearchCV(model, {"memory_size": [4, 6]}, cv=KFold(2)).fit(X, y)
    assert np.isfinite(by_own_score.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == y.shape


@pytest.mark.slow
def test_scikit_learns_callbacks_work_inside_a_search(sequences, capsys):
    X, _ = sequences
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    monitor = ScoringMonitor(scoring=make_sequence_scorer("accuracy"))
    model = NTMSequenceClassifier(**MODEST, return_sequences=True, early_stopping=True)
    model.set_callbacks(monitor)
    search = GridSearchCV(model, {"memory_size": [4, 6]}, cv=KFold(2), n_jobs=2)
    search.set_callbacks(ProgressBar()).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * MODEST["max_epochs"]
    assert all(0 <= row["score"] <= 1 for row in epochs)
    assert "NTMSequenceClassifier" in capsys.readouterr().out
    pipeline = make_pipeline(StepwiseTransformer(), clone(model))
    pipeline.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "StepwiseTransformer" in shown
    assert "NTMSequenceClassifier" in shown
