"""Inputs standardised inside the estimators."""

import numpy as np
import pytest
import torch
from helpers import SMALL, small_classifier, small_regressor, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.data import DataWarning
from sknt.data.ragged import Ragged
from sknt.inspection import MemoryTraceDisplay
from sknt.preprocessing import StepwiseTransformer
from sknt.training.scaling import find_scaling

nan = np.nan
Estimators = pytest.mark.parametrize(
    "Estimator", [NTMSequenceClassifier, NTMSequenceRegressor]
)
LARGE = {
    "thousands": (1e4, 1e6),
    "epoch seconds": (3600.0, 1.7e9),
    "tiny": (1e-9, 0.0),
    "large": (1e30, 0.0),
    "negative": (1.0, -300.0),
}
units = pytest.mark.parametrize(("scale", "offset"), LARGE.values(), ids=LARGE)


def make_sequences(n_samples=40):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, 6, 2))
    X[np.arange(6) >= rng.randint(2, 7, size=n_samples)[:, np.newaxis]] = nan
    return X, X[:, 0, 0]


def targets_for(Estimator, values):
    return values if Estimator is NTMSequenceRegressor else (values > 0).astype(int)


def steps_of(X):
    return X[np.isfinite(X).all(axis=2)]


def as_seen(model, X):
    """The present steps as the network takes them."""
    return model._network_inputs(X).inputs.steps()


def is_same(one, other):
    return torch.equal(weights_of(one), weights_of(other))


@Estimators
def test_ordinary_inputs_are_left_as_they_are_to_the_last_bit(Estimator):
    X, values = make_sequences()
    X[..., 1] = 3 * X[..., 1] + 2
    y = targets_for(Estimator, values)
    auto, never = (Estimator(**SMALL, standardize=how).fit(X, y) for how in ("auto", False))
    assert is_same(auto, never)
    assert_array_equal(auto.predict(X), never.predict(X))
    assert_array_equal(as_seen(auto, X), steps_of(X))
    assert_array_equal([auto.input_mean_, auto.input_scale_], [[0, 0], [1, 1]])
    assert not is_same(auto, Estimator(**SMALL, standardize=True).fit(X, y))


@units
@pytest.mark.parametrize(
    "Estimator",
    [NTMSequenceRegressor, pytest.param(NTMSequenceClassifier, marks=pytest.mark.slow)],
)
def test_other_units_are_standardised_and_learned_from(Estimator, scale, offset):
    X, values = make_sequences(60)
    y = targets_for(Estimator, values)
    params = SMALL | {"max_epochs": 10, "learning_rate": 0.03}
    model = Estimator(**params).fit(X * scale + offset, y)
    seen = as_seen(model, X * scale + offset)
    assert np.abs(seen.mean(axis=0)).max() < 0.02
    assert ((seen.std(axis=0) > 0.7) & (seen.std(axis=0) < 1.42)).all()
    assert model.score(X * scale + offset, y) > 0.7


@units
def test_without_standardising_they_arrive_as_they_are(scale, offset):
    X, y = make_sequences()
    model = small_regressor(standardize=False, max_epochs=1).fit(X * scale + offset, y)
    assert_array_equal(as_seen(model, X * scale + offset), steps_of(X * scale + offset))


@pytest.mark.parametrize("factor", [1, 8, 0.125, 1e5])
def test_true_is_scikit_learns_scaler_up_to_powers_of_2(factor):
    X, y = make_sequences()
    X = factor * (X * [1, 3] + [5, 0])
    model = small_regressor(standardize=True, max_epochs=1).fit(X, y)
    expected = StandardScaler().fit(steps_of(X))
    ratio = model.input_scale_ / expected.scale_
    assert ((ratio >= 0.5**0.5) & (ratio <= 2**0.5)).all()
    assert_array_equal(np.log2(model.input_scale_) % 1, 0)
    error = np.abs(model.input_mean_ - expected.mean_) / model.input_scale_
    assert error.max() <= 1 / 128 + 1e-9
    # The fit is the same as if the user had scaled with them.
    by_hand = (X - model.input_mean_) / model.input_scale_
    other = small_regressor(standardize=False, max_epochs=1).fit(by_hand, y)
    assert is_same(model, other)


def test_each_feature_is_judged_on_its_own():
    X, y = make_sequences()
    X = np.concatenate([X, 1e9 + 60 * X[..., :1], X[..., :1] * 0 + 5, X[..., :1] * 0], 2)
    model = small_regressor().fit(X, y)
    assert_array_equal(model.input_mean_[[0, 1, 3, 4]], [0, 0, 5, 0])
    assert_array_equal(model.input_scale_[[0, 1, 3, 4]], 1)
    assert model.input_scale_[2] > 1
    seen = as_seen(model, X)
    assert_array_equal(seen[:, :2], steps_of(X)[:, :2])
    assert_array_equal(seen[:, 3:], 0)  # constant
    assert 0.5 < seen[:, 2].std() < 1.5


@pytest.mark.parametrize(
    ("values", "is_standardised"),
    [
        ([-10, 10], False),
        ([-10, 10.1], True),
        ([-0.1, 0.1], False),
        ([-0.1, 0.099], False),
        ([-0.09, 0.09], True),
        ([4.1, 5.1], False),  # 9.2 standard deviations from 0
        ([5.1, 6.1], True),  # 11.2 of them
        ([0, 0], False),
    ],
)
def test_what_auto_standardises(values, is_standardised):
    steps = np.array(values, float).reshape(2, 1)
    scaling = find_scaling(Ragged.in_a_row(steps, np.array([2])), np.ones(1), "auto")
    changed = not np.array_equal(scaling.apply(steps), steps)
    assert changed == is_standardised


@Estimators
def test_the_fit_is_the_same_for_absent_steps_order_and_repetitions(Estimator):
    X, values = make_sequences()
    X = X * 1e4 + 1e6
    y = targets_for(Estimator, values)
    rng = np.random.RandomState(0)
    weights = rng.randint(0, 4, size=40)
    model = Estimator(**SMALL).fit(X, y, sample_weight=weights)
    X[weights == 0] *= -1e12  # without any influence
    again = Estimator(**SMALL).fit(X, y, sample_weight=weights)
    assert is_same(again, model)
    order = rng.permutation(np.repeat(np.arange(40), weights))
    spread = np.full((len(order), 13, 2), nan)
    spread[:, 1::2] = X[order]
    repeated = Estimator(**SMALL).fit(spread, y[order])
    assert is_same(repeated, model)
    assert_array_equal(repeated.input_mean_, model.input_mean_)
    assert_array_equal(repeated.input_scale_, model.input_scale_)
    with pytest.warns(DataWarning, match="too small for values"):  # beside the large ones
        unweighted = Estimator(**SMALL).fit(X, y)
    assert (unweighted.input_scale_ != model.input_scale_).any()


def test_small_signals_far_from_0_are_kept_and_their_order_does_not_matter():
    X, values = make_sequences()
    far = X * 1e-3 + 1.7e9  # seconds since 1970, with milliseconds
    order = np.random.RandomState(1).permutation(len(X))
    model = small_regressor().fit(far, values)
    permuted = small_regressor().fit(far[order], values[order])
    assert is_same(model, permuted)
    assert_array_equal(model.input_mean_, permuted.input_mean_)
    assert_allclose(as_seen(model, far).std(axis=0), 1, rtol=0.5)


def test_sequences_without_a_target_have_no_influence():
    X, y = make_sequences()
    X, y = X * 1e4 + 1e6, y.copy()
    y[:10] = nan
    model = small_regressor(max_epochs=1).fit(X, y)
    expected = small_regressor(max_epochs=1).fit(X[10:], y[10:])
    assert_array_equal(model.input_mean_, expected.input_mean_)
    assert is_same(model, expected)


@Estimators
@pytest.mark.parametrize("how", ["warm_start", "partial_fit", "stream"])
def test_a_fit_that_goes_on_keeps_the_first_scaling(Estimator, how):
    X, values = make_sequences()
    y = targets_for(Estimator, values)
    first, second = X[:20] * 1e4 + 1e6, X[20:] * 1e7 - 1e9
    model = Estimator(**SMALL, warm_start=True)
    alone = Estimator(**SMALL).fit(first, y[:20])
    if how == "stream":
        model.fit(iter([(first, y[:20]), (second, y[20:])]))
    else:
        model.fit(first, y[:20])
        fit = model.fit if how == "warm_start" else model.partial_fit
        fit(second, y[20:])
    assert_array_equal(model.input_mean_, alone.input_mean_)
    assert_array_equal(model.input_scale_, alone.input_scale_)
    expected = (steps_of(second) - alone.input_mean_) / alone.input_scale_
    assert_array_equal(as_seen(model, second), expected)
    model.set_params(warm_start=False).fit(second, y[20:])
    assert (model.input_scale_ != alone.input_scale_).all()


def test_standardize_cannot_change_in_a_fit_that_goes_on():
    X, y = make_sequences()
    model = small_regressor(warm_start=True, standardize=True).fit(X, y)
    with pytest.raises(ValueError, match="standardize changed since the last fit"):
        model.set_params(standardize=False).fit(X, y)


def test_a_fit_that_fails_keeps_the_scaling():
    X, y = make_sequences()
    model = small_regressor().fit(X * 1e4 + 1e6, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="'max_epochs'"):
        model.set_params(max_epochs=-1).fit(X, y)
    with pytest.raises(ValueError, match="missing"):
        model.set_params(max_epochs=1).fit(X * 1e9, np.full(40, nan))
    assert_array_equal(model.predict(X), before)
    assert model.input_scale_[0] > 1000


def test_steps_are_standardised_for_targets_of_steps_too():
    X, _ = make_sequences()
    y = X[..., 0]
    params = {"return_sequences": True, "max_epochs": 12, "learning_rate": 0.03}
    model = small_regressor(**params).fit(X * 3600 + 1.7e9, y)
    assert model.score(X * 3600 + 1.7e9, y) > 0.7


def test_the_trace_shows_inputs_as_the_network_saw_them():
    X, y = make_sequences()
    X = X * 1e4 + 1e6
    model = small_classifier().fit(X, (y > 0).astype(int))
    sequence = steps_of(X[:1])
    display = MemoryTraceDisplay.from_estimator(model, X[0])
    expected = (sequence - model.input_mean_) / model.input_scale_
    assert_array_equal(display.inputs, expected)
    assert np.abs(display.inputs).max() < 6
    by_hand = small_classifier(standardize=False)
    by_hand.fit((X - model.input_mean_) / model.input_scale_, (y > 0).astype(int))
    same = MemoryTraceDisplay.from_estimator(by_hand, expected)
    assert_array_equal(display.read_weights, same.read_weights)
    assert_array_equal(display.write_weights, same.write_weights)


def test_a_scaler_before_the_estimator_leaves_nothing_to_do():
    X, y = make_sequences()
    scaled = StepwiseTransformer(StandardScaler()).fit_transform(X * 1e4 + 1e6)
    model = small_regressor().fit(scaled, y)
    assert_array_equal(model.input_mean_, 0)
    assert_array_equal(model.input_scale_, 1)
    assert_allclose(as_seen(model, scaled), steps_of(scaled))
