"""scikit-learn's tools around the estimators, on 3-D X with absent steps."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, RANSACRegressor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.metrics import make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer, ToSequence

SMALL = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 12,
    "max_epochs": 4,
    "random_state": 0,
}


@pytest.fixture
def model():
    return NTMSequenceClassifier(**SMALL)


@pytest.fixture
def values(sequences):
    X, _ = sequences
    return X, 3 + 10 * X[:, 0, 0]


def as_table(X):
    return X.reshape(len(X), -1)


def through_table(estimator):
    return make_pipeline(ToSequence(n_features=2), estimator)


# One estimator


def test_clone_has_the_parameters_and_nothing_else(sequences, model):
    model.set_params(memory_params={"shift_range": 0}).fit(*sequences)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "net_")


def test_pickle_predicts_the_same_and_goes_on_the_same(sequences, model):
    X, y = sequences
    model.set_params(warm_start=True).fit(X, y)
    data = pickle.dumps(model)
    copied = pickle.loads(data)
    assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    assert copied.history_ == model.history_
    a, b = model.fit(X, y), copied.fit(X, y)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    n_numbers = sum(p.numel() for p in model.net_.module_.parameters())
    # float32 weights and two moments of the optimizer, and little else.
    assert len(data) < 12 * n_numbers + 16_000


def test_unpickling_leaves_the_global_generator_as_it_was(sequences, model):
    data = pickle.dumps(model.fit(*sequences))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    pickle.loads(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_classes_of_main_survive_worker_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from skorch.callbacks import Callback
            from sklearn.model_selection import cross_validate
            from sknt import NTMSequenceClassifier

            class Mine(NTMSequenceClassifier):
                pass

            class Quiet(Callback):
                pass

            if __name__ == "__main__":
                X = np.random.RandomState(0).normal(size=(20, 4, 1))
                y = (X[:, 0, 0] > 0).astype(int)
                model = Mine(memory_size=4, hidden_size=5, max_epochs=1,
                             net_params={"callbacks": [Quiet()]})
                result = cross_validate(
                    model, X, y, cv=2, n_jobs=2, return_estimator=True
                )
                print(type(result["estimator"][0]).__name__,
                      result["estimator"][0].predict(X).shape)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.stdout.split() == ["Mine", "(20,)"]


def test_pipeline_and_train_test_split(sequences, model):
    X, y = sequences
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), model)
    pipeline.fit(X_train, y_train)
    by_hand = StepwiseTransformer().fit(X_train)
    model.fit(by_hand.transform(X_train), y_train)
    assert pipeline.score(X_test, y_test) == model.score(by_hand.transform(X_test), y_test)


# Cross-validation and searches


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


def n_threads_while_fitting(_=None):
    from skorch.callbacks import Callback

    class Count(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    seen = []
    X = np.random.RandomState(0).normal(size=(6, 2, 1))
    torch.set_num_threads(2)
    model = NTMSequenceRegressor(
        memory_size=4, max_epochs=1, net_params={"callbacks": [Count]}
    )
    model.fit(X, X[:, 0, 0])
    return max(seen), torch.get_num_threads()


def test_fits_run_on_one_thread_each_and_give_the_others_back():
    from joblib import Parallel, delayed

    assert n_threads_while_fitting() == (1, 2)
    counts = Parallel(n_jobs=2)(delayed(n_threads_while_fitting)(i) for i in range(2))
    assert counts == [(1, 2), (1, 2)]


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


# Ensembles and other meta-estimators


def test_voting_averages_the_probabilities(sequences, model):
    X, y = sequences
    other = clone(model).set_params(memory=None)
    voting = VotingClassifier([("ntm", model), ("lstm", other)], voting="soft").fit(X, y)
    expected = np.mean([m.predict_proba(X) for m in voting.estimators_], axis=0)
    assert_allclose(voting.predict_proba(X), expected)


def test_voting_and_stacking_regressors(values):
    X, y = values
    models = [
        ("ntm", NTMSequenceRegressor(**SMALL)),
        ("lstm", NTMSequenceRegressor(**{**SMALL, "memory": None})),
    ]
    assert VotingRegressor(models).fit(X, y).predict(X).shape == (60,)
    assert StackingRegressor(models, cv=2).fit(X, y).predict(X).shape == (60,)


def test_stacking(sequences, model):
    X, y = sequences
    stacking = StackingClassifier(
        [("ntm", model), ("lstm", clone(model).set_params(memory=None))],
        LogisticRegression(),
        cv=2,
    ).fit(X, y)
    assert stacking.score(X, y) > 0.5


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
def test_calibration(sequences, model, method):
    X, y = sequences
    calibrated = CalibratedClassifierCV(model, method=method, cv=2).fit(X, y)
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_tuned_threshold(sequences, model):
    X, y = sequences
    tuned = TunedThresholdClassifierCV(model, scoring="balanced_accuracy", cv=2)
    assert set(tuned.fit(X, y).predict(X)) <= {"up", "down"}


def test_one_against_the_rest(sequences, model):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5])
    rest = OneVsRestClassifier(model).fit(X, y)
    assert len(rest.estimators_) == 3
    assert rest.predict(X).shape == y.shape


def test_several_outputs_of_several_classes(sequences, model):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0] > 0, np.digitize(X[:, 0, 1], [-0.5, 0.5])]).astype(int)
    several = MultiOutputClassifier(model).fit(X, y)
    assert several.predict(X).shape == y.shape


def test_boosting_without_absent_steps(model):
    X = np.random.RandomState(0).normal(size=(40, 3, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    boosted = AdaBoostClassifier(model, n_estimators=2, random_state=0)
    assert boosted.fit(X, y).predict(X).shape == y.shape


def test_transformed_target(values):
    X, y = values
    model = NTMSequenceRegressor(**{**SMALL, "max_epochs": 30})
    regressor = TransformedTargetRegressor(model, func=np.sinh, inverse_func=np.arcsinh)
    y = y / 10
    assert regressor.fit(X, y).score(X, y) > 0.3


def test_sample_weight_is_routed(sequences):
    X, y = sequences
    weights = np.random.RandomState(0).randint(0, 3, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = NTMSequenceClassifier(**SMALL)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StepwiseTransformer(), model)
        result = cross_validate(
            pipeline,
            X,
            y,
            cv=2,
            params={"sample_weight": weights},
            return_estimator=True,
            return_indices=True,
        )
    for fold in range(2):
        train = result["indices"]["train"][fold]
        test = result["indices"]["test"][fold]
        scaler = StepwiseTransformer().fit(X[train])
        by_hand = NTMSequenceClassifier(**SMALL).fit(
            scaler.transform(X[train]), y[train], sample_weight=weights[train]
        )
        predicted = result["estimator"][fold].predict(X[test])
        X_test = scaler.transform(X[test])
        assert_array_equal(predicted, by_hand.predict(X_test))
        assert result["test_score"][fold] == pytest.approx(
            accuracy_score(y[test], predicted, sample_weight=weights[test])
        )


def test_sample_weight_is_routed_to_a_scorer_of_steps(sequences):
    X, _ = sequences
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    weights = np.random.RandomState(0).randint(1, 4, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = NTMSequenceClassifier(**SMALL, return_sequences=True)
        model.set_fit_request(sample_weight=False)
        scorer = make_sequence_scorer("accuracy").set_score_request(sample_weight=True)
        result = cross_validate(
            model,
            X,
            y,
            cv=KFold(2),
            scoring=scorer,
            params={"sample_weight": weights},
            return_estimator=True,
            return_indices=True,
        )
    test = result["indices"]["test"][0]
    expected = result["estimator"][0].score(X[test], y[test], weights[test])
    assert result["test_score"][0] == pytest.approx(expected)


def test_scikit_learns_callbacks_work_inside_a_search(sequences, capsys):
    X, _ = sequences
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    monitor = ScoringMonitor(scoring=make_sequence_scorer("accuracy"))
    model = NTMSequenceClassifier(**SMALL, return_sequences=True, early_stopping=True)
    model.set_callbacks(monitor)
    search = GridSearchCV(model, {"memory_size": [4, 6]}, cv=KFold(2), n_jobs=2)
    search.set_callbacks(ProgressBar()).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * SMALL["max_epochs"]
    assert all(0 <= row["score"] <= 1 for row in epochs)
    assert "NTMSequenceClassifier" in capsys.readouterr().out
    pipeline = make_pipeline(StepwiseTransformer(), clone(model))
    pipeline.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "StepwiseTransformer" in shown
    assert "NTMSequenceClassifier" in shown


# Through a table


def test_bagging_through_a_table(sequences, model):
    X, y = sequences
    bagging = BaggingClassifier(through_table(model), n_estimators=2, random_state=0)
    assert bagging.fit(as_table(X), y).predict(as_table(X)).shape == y.shape


def test_self_training_through_a_table(sequences, model):
    X, y = sequences
    partly = np.where(np.arange(60) % 2, y == "up", -1)
    learner = SelfTrainingClassifier(through_table(model), threshold=0.6)
    assert set(learner.fit(as_table(X), partly).predict(as_table(X))) <= {0, 1}


def test_one_against_one_through_a_table(sequences, model):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5])
    pairs = OneVsOneClassifier(through_table(model)).fit(as_table(X), y)
    assert len(pairs.estimators_) == 3
    assert pairs.predict(as_table(X)).shape == y.shape


def test_robust_regression_through_a_table(values):
    X, y = values
    regressor = through_table(NTMSequenceRegressor(**SMALL))
    robust = RANSACRegressor(regressor, min_samples=0.5, max_trials=2, random_state=0)
    assert robust.fit(as_table(X), y).predict(as_table(X)).shape == y.shape


def test_permutation_importance_through_a_table(model):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 3, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    model.set_params(max_epochs=15)
    pipeline = through_table(model).fit(as_table(X), y)
    importance = permutation_importance(
        pipeline, as_table(X), y, n_repeats=3, random_state=0
    ).importances_mean
    assert importance.argmax() == 0  # the first step's first feature


# What scikit-learn refuses, as the documentation says


REFUSED = {
    "StandardScaler": (lambda model: StandardScaler(), "dim 3"),
    "Bagging": (lambda model: BaggingClassifier(model), "dim 3"),
    "SelfTraining": (lambda model: SelfTrainingClassifier(model), "dim 3"),
    "OneVsOne": (lambda model: OneVsOneClassifier(model), "dim 3"),
    "Stacking with passthrough": (
        lambda model: StackingClassifier(
            [("ntm", model)], LogisticRegression(), cv=2, passthrough=True
        ),
        "same number of dimensions",
    ),
    "AdaBoost": (lambda model: AdaBoostClassifier(model), "contains NaN"),
    "RANSAC": (lambda model: RANSACRegressor(model, min_samples=0.5), "dim 3"),
}


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused_by_scikit_learn_on_absent_steps(sequences, model, refused, message):
    X, y = sequences
    with pytest.raises(ValueError, match=message):
        refused(model).fit(X, (y == "up").astype(int))


def test_chains_are_refused_and_outputs_are_the_way_round(sequences, model):
    X, y = sequences
    outputs = np.column_stack([y == "up", y == "down"]).astype(int)
    with pytest.raises(ValueError, match="dim 3"):
        ClassifierChain(model).fit(X, outputs)
    assert model.fit(X, outputs).predict(X).shape == outputs.shape
