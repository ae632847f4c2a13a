"""What the estimators promise: data layouts, reproducibility, weights, stopping."""

import inspect
import pickle
import re
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, unpad_sequences
from sknt.datasets import make_copy

SMALL = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 8,
    "max_epochs": 3,
    "random_state": 0,
}


def small_classifier(**params):
    return NTMSequenceClassifier(**{**SMALL, **params})


def small_regressor(**params):
    return NTMSequenceRegressor(**{**SMALL, **params})


def weights_of(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.net_.module_.parameters()])


# Learning


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_learns_to_remember_the_first_step(sequences, controller):
    X, y = sequences
    model = small_classifier(controller=controller, hidden_size=20, max_epochs=30)
    assert model.fit(X, y).score(X, y) >= 0.95


def test_learns_a_value_and_gives_it_in_its_units(sequences):
    X, _ = sequences
    y = 5000 + 100 * X[:, 0, 0]
    model = small_regressor(hidden_size=20, max_epochs=40).fit(X, y)
    assert model.score(X, y) > 0.9
    assert abs(model.predict(X).mean() - 5000) < 50


def test_copy_is_learned_within_a_few_thousand_sequences():
    X, y = make_copy(n_samples=2500, max_length=6, random_state=0)
    model = NTMSequenceClassifier(
        batch_size=4, max_epochs=1, return_sequences=True, random_state=0
    ).fit(X, y)
    X_new, y_new = make_copy(n_samples=200, max_length=6, random_state=1)
    has_target = ~np.isnan(y_new)
    wrong = (model.predict(X_new) != y_new)[has_target].mean()
    assert wrong < 0.01


# Layouts of X


def test_absent_steps_change_nothing_wherever_they_are(sequences):
    X, y = sequences
    rng = np.random.RandomState(1)
    spread = np.full((len(X), 15, 2), np.nan)
    for row, steps in zip(spread, unpad_sequences(X), strict=True):
        places = np.sort(rng.choice(15, size=len(steps), replace=False))
        row[places] = steps
    model = small_classifier().fit(X, y)
    assert_allclose(model.predict_proba(spread), model.predict_proba(X), atol=1e-6)
    # The fit itself is the same, too.
    again = small_classifier().fit(spread, y)
    assert torch.equal(weights_of(again), weights_of(model))


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    together = model.decision_function(X)
    alone = [model.decision_function(X[i : i + 1])[0] for i in range(len(X))]
    assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_lists_arrays_and_data_frames_of_the_same_sequences_are_the_same(sequences):
    import pandas as pd

    X, y = sequences
    as_list = unpad_sequences(X)
    model = small_classifier().fit(as_list, y)
    assert_array_equal(model.predict(X), model.predict(as_list))
    frames = [pd.DataFrame(steps) for steps in as_list]
    assert_array_equal(model.predict(frames), model.predict(as_list))
    objects = np.empty(len(as_list), dtype=object)
    objects[:] = as_list
    assert_array_equal(model.predict(objects), model.predict(as_list))


def test_two_dimensions_are_univariate_sequences(sequences):
    X, y = sequences
    model = small_classifier().fit(X[..., :1], y)
    table = small_classifier().fit(X[..., 0], y)
    assert torch.equal(weights_of(model), weights_of(table))
    assert model.n_features_in_ == 1
    assert table.n_features_in_ == 6


def test_sequences_may_be_longer_or_shorter_than_in_fit(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    longer = np.random.RandomState(0).normal(size=(3, 40, 2))
    assert model.predict(longer).shape == (3,)
    assert model.predict(longer[:, :1]).shape == (3,)
    assert model.predict([longer[0], longer[1, :2]]).shape == (2,)


def test_what_absent_entries_of_y_hold_is_ignored():
    X, y = make_copy(n_samples=20, n_bits=2, max_length=3, random_state=0)
    X[3, -2:] = np.nan
    absent = np.isnan(X).all(axis=2)
    y_other = y.copy()
    y_other[absent] = 1 - np.random.RandomState(0).randint(0, 2, size=(absent.sum(), 2))
    model = small_classifier(return_sequences=True).fit(X, y)
    other = small_classifier(return_sequences=True).fit(X, y_other)
    assert torch.equal(weights_of(model), weights_of(other))
    assert model.score(X, y) == model.score(X, y_other)


# Layouts of y


def test_string_labels_come_back_as_they_are(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    assert_array_equal(model.classes_, ["down", "up"])
    assert set(model.predict(X)) <= {"down", "up"}
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, 2)
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "up")


def test_multiclass_integers(sequences):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5]) * 10
    model = small_classifier().fit(X, y)
    assert_array_equal(model.classes_, [0, 10, 20])
    assert model.decision_function(X).shape == (60, 3)
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) == accuracy_score(y, model.predict(X))


def test_indicator_targets(sequences):
    X, _ = sequences
    y = (X[:, 0] > 0).astype(int)
    model = small_classifier(max_epochs=30, hidden_size=20).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.predict_proba(X).shape == y.shape
    assert model.score(X, y) == accuracy_score(y, model.predict(X))
    assert model.score(X, y) > 0.8


def test_a_label_for_each_step_is_padded_like_X(sequences):
    X, _ = sequences
    absent = np.isnan(X).all(axis=2)
    y = np.where(np.nan_to_num(X[..., 0]) > 0, "up", "down")
    model = small_classifier(return_sequences=True, max_epochs=15).fit(X, y)
    labels = model.predict(X)
    assert labels.shape == y.shape
    assert all(value != value for value in labels[absent])
    assert set(labels[~absent]) <= {"up", "down"}
    assert np.isnan(model.predict_proba(X)[absent]).all()
    assert model.score(X, y) == np.mean(labels[~absent] == y[~absent])
    assert model.score(X, y) > 0.8


def test_integer_labels_for_each_step_stay_integers_where_no_step_is_absent():
    X = np.random.RandomState(0).normal(size=(10, 4, 1))
    y = (X[..., 0] > 0).astype(int)
    model = small_classifier(return_sequences=True).fit(X, y)
    assert model.predict(X).dtype == y.dtype
    X[0, 3] = np.nan
    assert np.isnan(model.predict(X)[0, 3])
    marked = model.set_params(missing_target=-1).predict(X)
    assert marked.dtype == y.dtype
    assert marked[0, 3] == -1


def test_per_step_targets_as_lists(sequences):
    X, _ = sequences
    as_list = unpad_sequences(X)
    y_list = [(steps[:, 0] > 0).astype(int) for steps in as_list]
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    from_list = small_classifier(return_sequences=True).fit(as_list, y_list)
    from_array = small_classifier(return_sequences=True).fit(X, y)
    assert torch.equal(weights_of(from_list), weights_of(from_array))
    assert from_list.score(as_list, y_list) == from_array.score(X, y)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_missing_targets_take_no_part_in_fit_and_score(missing):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 5, 1))
    y = (X[..., 0] > 0).astype(float)
    hidden = rng.uniform(size=y.shape) < 0.4
    params = {"return_sequences": True, "missing_target": missing}
    y_hidden = np.where(hidden, missing, y)
    model = small_classifier(**params).fit(X, y_hidden)
    labels = model.predict(X)
    assert model.score(X, y_hidden) == np.mean(labels[~hidden] == y[~hidden])
    assert set(model.classes_) == {0, 1}


def test_samples_without_a_target_are_left_out(sequences):
    X, y = sequences
    y_number = (y == "up").astype(float)
    hidden = np.arange(60) % 3 == 0
    with_missing = small_classifier().fit(X, np.where(hidden, np.nan, y_number))
    without = small_classifier().fit(X[~hidden], y_number[~hidden])
    assert torch.equal(weights_of(with_missing), weights_of(without))


def test_many_values_each_standardised_by_itself(sequences):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0] * 1e-3, 1e4 + 1e3 * X[:, 0, 1]])
    model = small_regressor(hidden_size=20, max_epochs=40).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**-30, 2.0**30, 2.0**600])
def test_values_of_any_size_keep_their_units(sequences, unit):
    X, _ = sequences
    y = X[:, 0, 0]
    model = small_regressor(max_epochs=15).fit(X, y * unit)
    assert r2_score(y, model.predict(X) / unit) > 0.5
    assert model.score(X, y * unit) > 0.5


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0, 1e12])
def test_a_constant_is_predicted_as_it_is(sequences, value):
    X, _ = sequences
    assert_array_equal(small_regressor().fit(X, np.full(60, value)).predict(X), value)


def test_integer_labels_in_lists_stay_integers(sequences):
    X, _ = sequences
    as_list = unpad_sequences(X)
    y = [2**53 + (steps[:, 0] > 0).astype(int) for steps in as_list]
    model = small_classifier(return_sequences=True).fit(as_list, y)
    assert_array_equal(model.classes_, [2**53, 2**53 + 1])


def test_a_stream_of_lists_may_change_its_lengths():
    model = small_classifier()
    model.partial_fit([[1.0, 2.0, 3.0]], [0], classes=[0, 1])
    model.partial_fit([[1.0, 2.0]], [1])
    assert model.predict([[1.0, 2.0, 3.0, 4.0]]).shape == (1,)


def test_a_value_for_each_step(sequences):
    X, _ = sequences
    y = 7 + 3 * X[..., 0]
    model = small_regressor(return_sequences=True, max_epochs=20).fit(X, y)
    predicted = model.predict(X)
    present = ~np.isnan(y)
    assert predicted.shape == y.shape
    assert_array_equal(np.isnan(predicted), ~present)
    expected = r2_score(y[present], predicted[present])
    assert model.score(X, y) == pytest.approx(expected)


def test_single_entries_of_a_step_may_be_missing():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 4, 2))
    y = X * [2.0, 30.0]
    y[:, 1, 0] = np.nan
    model = small_regressor(return_sequences=True).fit(X, y)
    predicted = model.predict(X)
    valid = ~np.isnan(y)
    per_output = [
        r2_score(y[..., k][valid[..., k]], predicted[..., k][valid[..., k]])
        for k in range(2)
    ]
    assert model.score(X, y) == pytest.approx(np.mean(per_output))


# The same again


def test_the_same_seed_is_the_same_fit_whatever_the_process_does(sequences):
    X, y = sequences
    reference = small_classifier().fit(X, y)
    n_threads = torch.get_num_threads()
    np.random.seed(7)
    torch.manual_seed(7)
    try:
        torch.set_num_threads(2)
        again = small_classifier().fit(X, y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(weights_of(again), weights_of(reference))
    assert_array_equal(again.predict_proba(X), reference.predict_proba(X))
    different = small_classifier(random_state=1).fit(X, y)
    assert not torch.equal(weights_of(different), weights_of(reference))


def test_global_generators_stay_as_they_were(sequences):
    X, y = sequences
    np.random.seed(3)
    torch.manual_seed(3)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    small_classifier(early_stopping=True).fit(X, y).predict(X)
    assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_no_seed_follows_numpys_global_one_as_in_scikit_learn(sequences):
    X, y = sequences
    fits = []
    for _ in range(2):
        np.random.seed(5)
        fits.append(weights_of(small_classifier(random_state=None).fit(X, y)))
    assert torch.equal(*fits)


def test_fits_in_threads_are_the_same_and_give_the_threads_back(sequences):
    X, y = sequences
    expected = weights_of(small_classifier().fit(X, y))
    n_threads = torch.get_num_threads()
    models = [small_classifier() for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=(X, y)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(weights_of(m), expected) for m in models)
    assert torch.get_num_threads() == n_threads


def test_the_order_of_the_samples_does_not_matter(sequences):
    X, y = sequences
    order = np.random.RandomState(0).permutation(len(X))
    first = small_classifier().fit(X, y)
    second = small_classifier().fit(X[order], y[order])
    assert torch.equal(weights_of(first), weights_of(second))


def test_two_and_two_epochs_are_four(sequences):
    X, y = sequences
    whole = small_classifier(max_epochs=4).fit(X, y)
    halves = small_classifier(max_epochs=2, warm_start=True).fit(X, y).fit(X, y)
    parts = small_classifier()
    for _ in range(4):
        parts.partial_fit(X, y, classes=["down", "up"])
    for other in (halves, parts):
        assert torch.equal(weights_of(other), weights_of(whole))
        assert other.n_iter_ == whole.n_iter_ == 4
    assert [record["train_loss"] for record in parts.history_] == [
        record["train_loss"] for record in whole.history_
    ]


def test_a_second_fit_starts_anew_without_warm_start(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    first = weights_of(model)
    assert torch.equal(weights_of(model.fit(X, y)), first)
    assert model.n_iter_ == 3


def test_warm_start_takes_a_new_learning_rate(sequences):
    X, y = sequences
    model = small_classifier(warm_start=True).fit(X, y)
    before = weights_of(model)
    model.set_params(learning_rate=1e-12, max_epochs=1).fit(X, y)
    assert_allclose(weights_of(model), before, atol=1e-9)


# Weights


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_whole_weights_equal_repetition(Estimator, return_sequences):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(25, 5, 2))
    X[np.arange(5) >= rng.randint(1, 6, size=(25, 1))] = np.nan
    y = (np.nan_to_num(X[..., 0]) > 0).astype(int)
    y = y if return_sequences else y[:, 0]
    weights = rng.randint(0, 4, size=25)
    params = {**SMALL, "return_sequences": return_sequences}
    weighted = Estimator(**params).fit(X, y, sample_weight=weights)
    order = rng.permutation(weights.sum())
    X_repeated = np.repeat(X, weights, axis=0)[order]
    y_repeated = np.repeat(y, weights, axis=0)[order]
    repeated = Estimator(**params).fit(X_repeated, y_repeated)
    assert torch.equal(weights_of(weighted), weights_of(repeated))
    assert weighted.score(X, y, sample_weight=weights) == pytest.approx(
        repeated.score(X_repeated, y_repeated)
    )


def test_fractional_weights_matter_by_their_ratio_alone(sequences):
    X, y = sequences
    weights = np.random.RandomState(0).uniform(0.1, 1, size=60)
    model = small_classifier().fit(X, y, sample_weight=weights)
    scaled = small_classifier().fit(X, y, sample_weight=1024 * weights)
    plain = small_classifier().fit(X, y)
    assert_allclose(weights_of(model), weights_of(scaled), atol=1e-5)
    assert not torch.allclose(weights_of(model), weights_of(plain), atol=1e-3)


def test_large_whole_weights_do_not_make_the_data_larger(sequences):
    X, y = sequences
    model = small_classifier(net_params={"callbacks": [], "use_caching": "auto"})
    model.fit(X, y, sample_weight=np.full(60, 1000))
    n_batches = len(model.net_.history[-1, "batches"])
    assert n_batches == -(-60 // 16)


def test_class_weight_equals_sample_weight(sequences):
    X, y = sequences
    # Of a mean of 1 over the samples, to which sample weights are scaled.
    up, down = 0.5, (60 - 0.5 * np.sum(y == "up")) / np.sum(y == "down")
    by_class = small_classifier(class_weight={"up": up, "down": down}).fit(X, y)
    weights = np.where(y == "up", up, down)
    by_sample = small_classifier().fit(X, y, sample_weight=weights)
    # The order of the samples differs by nothing but their weights' rounding.
    assert_allclose(weights_of(by_class), weights_of(by_sample), atol=1e-5)
    assert not torch.allclose(
        weights_of(by_class), weights_of(small_classifier().fit(X, y)), atol=1e-3
    )


def test_balanced_class_weights_apply_per_step():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 5, 1))
    y = (rng.uniform(size=(40, 5)) < 0.1).astype(int)  # cannot be told from X
    params = {"return_sequences": True, "max_epochs": 6}
    plain = small_classifier(**params).fit(X, y)
    balanced = small_classifier(**params, class_weight="balanced").fit(X, y)
    assert plain.predict_proba(X)[..., 1].mean() < 0.3
    assert 0.35 < balanced.predict_proba(X)[..., 1].mean() < 0.65


# Stopping, history, display


def test_early_stopping_restores_the_best_weights(sequences):
    X, _ = sequences
    y = np.random.RandomState(1).randint(0, 2, size=60)  # nothing to learn
    model = small_classifier(
        early_stopping=True, validation_fraction=0.3, n_iter_no_change=4, max_epochs=60
    ).fit(X, y)
    assert model.n_iter_ < 60
    scores = [record["valid_score"] for record in model.history_]
    losses = [record["valid_loss"] for record in model.history_]
    best = max(range(len(scores)), key=lambda i: (scores[i], -losses[i]))
    exactly = small_classifier(
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=100,
        max_epochs=best + 1,
    ).fit(X, y)
    assert torch.equal(weights_of(model), weights_of(exactly))


@pytest.mark.parametrize("return_sequences", [False, True])
def test_validation_score_is_the_score_of_the_held_out_part(sequences, return_sequences):
    X, _ = sequences
    y = (np.nan_to_num(X[..., 0]) > 0).astype(int)
    y = y if return_sequences else y[:, 0]
    for Estimator in (NTMSequenceClassifier, NTMSequenceRegressor):
        model = Estimator(
            **SMALL, early_stopping=True, return_sequences=return_sequences
        ).fit(X, y)
        assert {"train_loss", "valid_loss", "valid_score", "dur"} <= set(model.history_[0])
        assert all(record["valid_score"] <= 1 for record in model.history_)


def test_copies_of_a_sample_are_not_on_both_sides_of_the_held_out_part():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(60, 5, 3)), rng.randint(0, 2, size=60)  # nothing to learn
    params = {"early_stopping": True, "n_iter_no_change": 30, "max_epochs": 30}
    model = small_classifier(**params, hidden_size=30)
    model.fit(X, y, sample_weight=np.full(60, 4))
    assert model.history_[-1]["train_loss"] < 0.1  # learned by heart
    assert max(record["valid_score"] for record in model.history_) < 0.95


def test_early_stopping_with_an_output_that_is_hardly_ever_held_out(sequences):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0], X[:, 0, 1]])
    y[3:, 1] = np.nan
    params = {"early_stopping": True, "max_epochs": 20}
    for seed in range(4):
        model = small_regressor(**params, random_state=seed).fit(X, y)
        assert model.score(X, y[:, :1].repeat(2, axis=1) * [1, np.nan]) > 0.2


def test_early_stopping_falls_back_where_a_class_has_one_member(sequences):
    X, _ = sequences
    y = np.zeros(60, dtype=int)
    y[0], y[1:20] = 2, 1
    model = small_classifier(early_stopping=True).fit(X, y)
    assert "valid_score" in model.history_[0]


def test_history_has_a_record_for_each_epoch(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3]
    assert model.n_iter_ == 3
    losses = [record["train_loss"] for record in model.history_]
    assert losses[-1] < losses[0]


def test_progress_shows_loss_validation_score_and_time_left(sequences, capsys):
    X, y = sequences
    small_classifier(early_stopping=True, verbose=1).fit(X, y)
    shown = capsys.readouterr().err
    assert re.search(r"NTMSequenceClassifier: 100%.*3/3 \[\d\d:\d\d<\d\d:\d\d", shown)
    assert re.search(r"loss=[\d.]+, validation score=[\d.]+", shown)
    small_classifier().fit(X, y)
    assert capsys.readouterr().err == ""


def test_scikit_learns_callbacks_see_every_epoch(sequences, capsys):
    X, y = sequences
    monitor = ScoringMonitor(scoring="accuracy")
    model = small_classifier().set_callbacks(monitor, ProgressBar()).fit(X, y)
    log = [row["accuracy"] for row in monitor.get_logs().data if "accuracy" in row]
    epochs = [small_classifier(max_epochs=n).fit(X, y).score(X, y) for n in (1, 2, 3)]
    assert log[:3] == epochs
    assert "NTMSequenceClassifier" in capsys.readouterr().out
    assert model.score(X, y) == epochs[-1]


def test_a_callback_can_stop_the_training(sequences):
    class StopAtOnce:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return True

    model = small_classifier().set_callbacks(StopAtOnce()).fit(*sequences)
    assert model.n_iter_ == 1


# skorch


def test_net_params_reach_skorch(sequences):
    X, y = sequences
    stopping = EarlyStopping("train_loss", patience=2, threshold=10.0)
    model = small_classifier(
        max_epochs=20,
        net_params={
            "optimizer__eps": 1e-3,
            "callbacks": [stopping, LRScheduler("StepLR", step_size=1)],
        },
    ).fit(X, y)
    assert model.net_.optimizer_.param_groups[0]["eps"] == 1e-3
    assert model.net_.optimizer_.param_groups[0]["betas"] == (0.9, 0.99)
    assert model.n_iter_ < 20
    assert not hasattr(stopping, "best_epoch_")  # a copy served the fit


def test_nested_parameters_are_parameters(sequences):
    model = small_classifier(net_params={"optimizer__eps": 1e-3})
    assert model.get_params()["net_params__optimizer__eps"] == 1e-3
    original = model.net_params
    model.set_params(net_params__optimizer__eps=1e-2, memory_params__shift_range=2)
    assert original == {"optimizer__eps": 1e-3}
    assert model.memory_params == {"shift_range": 2}
    copied = clone(model)
    assert copied.get_params()["memory_params__shift_range"] == 2
    copied.fit(*sequences)
    shift = copied.net_.module_.cell.memory.interface(torch.zeros(1, 8)).shift
    assert shift.shape[-1] == 5


def test_another_loss_and_data_loader_can_be_had(sequences):
    X, _ = sequences
    model = small_regressor(
        net_params={
            "criterion": torch.nn.HuberLoss,
            "iterator_train": torch.utils.data.DataLoader,
            "iterator_train__shuffle": False,
        }
    )
    assert np.isfinite(model.fit(X, X[:, 0, 0]).predict(X)).all()


@pytest.mark.parametrize(
    "net_params",
    [
        {"train_split": ValidSplit(5)},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5},
        {"optimizer": torch.optim.LBFGS},
        {"optimizer__param_groups": [("readout.*", {"lr": 0.1})]},
        {"iterator_train__batch_size": 7},
        {"callbacks__epoch_timer": None},
        {"callbacks": "disable"},
        {"criterion__label_smoothing": 0.1},
    ],
    ids=lambda params: next(iter(params)),
)
def test_other_arguments_of_skorch(sequences, net_params):
    X, y = sequences
    model = small_classifier(net_params=net_params).fit(X, y)
    assert model.n_iter_ == 3
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    name, value = next(iter(net_params.items()))
    assert getattr(model.net_, name) is not None or value is None


def test_a_callback_that_scores_with_skorch_sees_targets_and_probabilities(sequences):
    def score(net, dataset, y):
        return accuracy_score(y, net.predict_proba(dataset).argmax(axis=1))

    X, y = sequences
    scoring = EpochScoring(score, name="accuracy", on_train=True, lower_is_better=False)
    model = small_classifier(max_epochs=15, net_params={"callbacks": [scoring]})
    history = model.fit(X, y).history_
    assert history[-1]["accuracy"] > max(0.8, history[0]["accuracy"])


# Trouble


@pytest.mark.filterwarnings("ignore:Training stopped:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("learning_rate", [1e4, 1e19, 1e30])
def test_no_learning_rate_makes_predictions_non_finite(
    sequences, learning_rate, early_stopping
):
    X, y = sequences
    params = {
        "learning_rate": learning_rate,
        "early_stopping": early_stopping,
        "max_epochs": 5,
    }
    model = small_classifier(**params).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert torch.isfinite(weights_of(model)).all()
    regressor = small_regressor(**params)
    assert np.isfinite(regressor.fit(X, X[:, 0, 0]).predict(X)).all()


def test_a_loss_that_becomes_nan_stops_with_a_warning_and_the_best_weights(sequences):
    class Poison(Callback):
        done = False

        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3 and kwargs["training"] and not self.done:
                self.done = True
                with torch.no_grad():
                    next(net.module_.parameters()).fill_(torch.nan)

    X, y = sequences
    poisoned = small_classifier(max_epochs=8, net_params={"callbacks": [Poison()]})
    with pytest.warns(ConvergenceWarning, match="non-finite in epoch 3"):
        poisoned.fit(X, y)
    healthy = small_classifier(max_epochs=2).fit(X, y)
    assert poisoned.n_iter_ == 2
    assert torch.equal(weights_of(poisoned), weights_of(healthy))
    # Training goes on from there.
    poisoned.set_params(warm_start=True, max_epochs=1)
    assert np.isfinite(poisoned.fit(X, y).history_[-1]["train_loss"])


def test_extreme_inputs_stay_finite():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 5, 1)) * 10.0 ** rng.randint(-30, 31, size=(20, 5, 1))
    y = rng.randint(0, 2, size=20)
    model = small_classifier().fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_an_interrupt_is_not_swallowed_and_changes_nothing(sequences):
    class Interrupt(torch.optim.Adam):
        n_steps = 0

        def step(self, closure=None):
            Interrupt.n_steps += 1
            if Interrupt.n_steps == 14:
                raise KeyboardInterrupt
            return super().step(closure)

    X, y = sequences
    model = small_classifier(warm_start=True, net_params={"optimizer": Interrupt})
    before = weights_of(model.fit(X, y)).clone()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(max_epochs=10).fit(X, y)
    assert torch.equal(weights_of(model), before)
    assert model.n_iter_ == len(model.net_.history) == 3


def test_unfitted_estimators_say_so(sequences):
    with pytest.raises(NotFittedError):
        small_classifier().predict(sequences[0])


# Documentation


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_docstring_and_signature_agree(Estimator):
    documented = dict(
        re.findall(r"^    (\w+) : .*default=(\S+)$", Estimator.__doc__, re.MULTILINE)
    )
    signature = inspect.signature(Estimator).parameters
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        shown = documented[name].strip('"')
        default = parameter.default
        if isinstance(default, float) and not np.isnan(default):
            assert float(shown) == default, name
        else:
            assert shown == str(default), name


def test_both_estimators_have_the_same_parameters_and_defaults():
    classifier = NTMSequenceClassifier().get_params()
    regressor = NTMSequenceRegressor().get_params()
    assert set(classifier) - set(regressor) == {"class_weight"}
    del classifier["class_weight"], classifier["missing_target"]
    del regressor["missing_target"]  # NaN, which equals nothing
    assert classifier == regressor
