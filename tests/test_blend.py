"""The regression on random convolutions and the network, blended: the invariances."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from blend_helpers import (
    SHARE,
    blended_estimator,
    both,
    make_targets,
    make_waves,
    outputs_of,
)
from helpers import weights_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone

from sknt import unpad_sequences
from sknt.data.ragged import Ragged

nan = np.nan
backends = pytest.mark.parametrize(
    "backend", ["auto", pytest.param("reference", marks=pytest.mark.slow)]
)
pytestmark = pytest.mark.usefixtures("half")


def fit(kind, X, y, sample_weight=None, **params):
    return blended_estimator(kind, **params).fit(X, y, sample_weight=sample_weight)


def is_same_fit(one, other):
    assert one.network_share_ == other.network_share_ == SHARE
    assert torch.equal(weights_of(one), weights_of(other))
    for mine, others in zip(
        one.convolutions_._regressions, other.convolutions_._regressions, strict=True
    ):
        assert_array_equal(mine.coefficients, others.coefficients)
    return one.convolutions_.factor == other.convolutions_.factor


def with_gaps(X, seed=1):
    """The same sequences with absent steps before, inside and after."""
    rng = np.random.RandomState(seed)
    spread = np.full((len(X), 31, X.shape[2]), nan)
    for row, sequence in zip(spread, unpad_sequences(X), strict=True):
        row[np.sort(rng.choice(31, len(sequence), replace=False))] = sequence
    assert np.isnan(spread[:, 0]).any()
    return spread


@backends
@both
def test_outputs_are_those_of_the_regression_and_the_network(kind, backend):
    X, values = make_waves(14)
    model = fit(kind, X, make_targets(kind, values), backend=backend, max_epochs=1)
    packed, lengths = np.nan_to_num(X), np.isfinite(X[..., 0]).sum(axis=1)
    network = model.net_.module_.double()
    network.backend = "reference"
    with torch.no_grad():
        learned, _ = network(torch.from_numpy(packed), torch.from_numpy(lengths))
    inputs = Ragged.in_blocks(packed, lengths)
    features = model.convolutions_.convolutions.transform(inputs)
    features = features.astype(np.float64)
    (ridge,) = model.convolutions_._regressions
    regression = features @ ridge.coefficients + ridge.intercept
    regression *= model.convolutions_.factor
    expected = (1 - SHARE) * regression + SHARE * learned.numpy()
    assert np.ptp(regression) > 0.1
    assert np.ptp(learned.numpy()) > 0.01
    if kind == "regressor":
        expected = (expected * model.target_scale_ + model.target_mean_)[:, 0]
    else:
        assert model.convolutions_.factor != 1
        scores = model.decision_function(X)
        assert_allclose(scores, expected[:, 1] - expected[:, 0], rtol=1e-4, atol=1e-4)
        labels = model.classes_[expected.argmax(axis=1)]
        assert_array_equal(model.predict(X), labels)
        expected = softmax(expected, axis=1)
    assert_allclose(outputs_of(model, X), expected, rtol=1e-4, atol=1e-4)


@both
def test_a_share_of_0_or_1_is_one_of_the_two_alone(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = fit(kind, X, y)
    both_parts = outputs_of(model, X)
    model.network_share_ = 1.0
    network = outputs_of(model, X)
    model.network_share_ = 0.0
    regression = outputs_of(model, X)
    for one, other in [(both_parts, network), (network, regression)]:
        assert np.abs(one - other).max() > 0.01
    with torch.no_grad():  # the network is not even run
        for parameter in model.net_.module_.parameters():
            parameter.fill_(nan)
    assert_array_equal(outputs_of(model, X), regression)
    model.network_share_, model.convolutions_ = 1.0, None
    assert np.isnan(outputs_of(model, X)).all()


@both
def test_absent_steps_change_neither_fit_nor_predictions(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = fit(kind, X, y)
    for same in (with_gaps(X), unpad_sequences(X)):
        assert is_same_fit(fit(kind, same, y), model)
        assert_allclose(outputs_of(model, same), outputs_of(model, X), rtol=0, atol=1e-12)


@backends
@both
def test_predictions_depend_neither_on_the_batch_nor_on_its_order(kind, backend):
    X, values = make_waves(12)
    model = fit(kind, X, make_targets(kind, values), backend=backend, max_epochs=1)
    together = outputs_of(model, X)
    assert_allclose(outputs_of(model, X[::-1]), together[::-1], rtol=0, atol=1e-9)
    alone = [outputs_of(model, X[i : i + 1])[0] for i in range(4)]
    assert_allclose(alone, together[:4], rtol=0, atol=1e-9)
    long = np.concatenate([X[:1].repeat(9, axis=1), X[:1]], axis=1)
    beside = [*unpad_sequences(long), *unpad_sequences(X[:4])]
    assert_allclose(outputs_of(model, beside)[1:], together[:4], rtol=0, atol=1e-9)


@both
def test_whole_weights_equal_repetition_and_0_equals_leaving_out(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    rng = np.random.RandomState(0)
    weights = rng.randint(0, 4, size=30)
    assert 0 < (weights == 0).sum() < 15
    weighted = fit(kind, X, y, weights)
    order = rng.permutation(np.repeat(np.arange(30), weights))
    assert is_same_fit(fit(kind, X[order], y[order]), weighted)
    left_out = fit(kind, X[weights > 0], y[weights > 0], weights[weights > 0])
    assert is_same_fit(left_out, weighted)
    plain = fit(kind, X[weights > 0], y[weights > 0])
    for share in (0.0, 1.0):  # the weights reach both parts
        plain.network_share_ = weighted.network_share_ = share
        assert np.abs(outputs_of(plain, X) - outputs_of(weighted, X)).max() > 0.01


@both
def test_missing_targets_equal_leaving_out(kind):
    X, values = make_waves()
    y = make_targets(kind, values).astype(object)
    y[3::4] = nan
    known = np.arange(30) % 4 != 3
    expected = fit(kind, X[known], y[known])
    assert is_same_fit(fit(kind, X, y), expected)


def test_several_outputs_with_some_missing_are_regressions_of_their_own():
    X, values = make_waves()
    y = np.column_stack([values, -values, 2 * values + 1])
    y[::3, 2] = nan
    model = fit("regressor", X, y)
    assert len(model.convolutions_._regressions) == 3
    model.network_share_ = 0.0
    predictions = model.predict(X)
    assert predictions.shape == (30, 3)
    assert_allclose(predictions[:, 1], -predictions[:, 0], rtol=1e-4, atol=1e-4)
    known = np.isfinite(y[:, 2])
    assert np.abs(predictions[:, 2] - 2 * predictions[:, 0] - 1).max() > 0.01
    errors = ((predictions - np.nan_to_num(y)) ** 2)[known].mean(axis=0)
    assert (errors < 0.5 * y[known].var(axis=0)).all()


def test_indicators_may_be_missing_too():
    X, values = make_waves()
    y = np.column_stack([values > 0.5, values > 0, values < 0]).astype(float)
    y[::3, 2] = nan
    model = fit("classifier", X, y)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (30, 3)
    model.network_share_ = 0.0
    assert np.nanmean(model.predict(X)[:, 0] == y[:, 0]) > 0.75
    opposite = model.predict_proba(X)[:, 1:] - 0.5
    assert (opposite[:, 0] * opposite[:, 1] < 0).mean() > 0.75


@pytest.mark.parametrize("labels", [(-1, 7), ("a", "b", "c"), (0.0, 1.0, 2.0, 9.0)])
def test_any_number_and_kind_of_labels(labels):
    X, values = make_waves()
    labels = np.array(labels)
    edges = np.quantile(values, np.arange(1, len(labels)) / len(labels))
    y = labels[np.digitize(values, edges)]
    model = fit("classifier", X, y)
    assert_array_equal(model.classes_, labels)
    probabilities = model.predict_proba(X)
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_array_equal(labels[probabilities.argmax(axis=1)], model.predict(X))
    model.network_share_ = 0.0
    assert model.score(X, y) > 1.5 / len(labels)


def test_class_weight_equals_sample_weight():
    X, values = make_waves()
    y = make_targets("classifier", values)
    is_high = y == "high"
    high = 0.5
    low = (30 - high * is_high.sum()) / (~is_high).sum()  # a mean of 1
    by_class = fit("classifier", X, y, class_weight={"high": high, "low": low})
    by_sample = fit("classifier", X, y, np.where(is_high, high, low))
    plain = fit("classifier", X, y)
    for share in (0.0, SHARE, 1.0):
        for model in (by_class, by_sample, plain):
            model.network_share_ = share
        found = by_class.predict_proba(X)
        assert_allclose(found, by_sample.predict_proba(X), atol=1e-4)
        assert np.abs(found - plain.predict_proba(X)).max() > 0.01


@both
def test_a_copy_predicts_the_same_and_a_clone_fits_the_same(kind, tmp_path):
    X, values = make_waves()
    y = make_targets(kind, values)
    model = fit(kind, X, y)
    joblib.dump(model, tmp_path / "model")
    for copied in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        assert copied.network_share_ == SHARE
        assert_array_equal(outputs_of(copied, X), outputs_of(model, X))
    fresh = clone(model)
    assert not hasattr(fresh, "convolutions_")
    assert is_same_fit(fresh.fit(X, y), model)


@both
def test_neither_order_nor_threads_matter_but_the_seed_does(kind):
    X, values = make_waves()
    y = make_targets(kind, values)
    model, before = fit(kind, X, y), torch.get_num_threads()
    order = np.random.RandomState(0).permutation(30)
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            again = fit(kind, X[order], y[order])
            assert is_same_fit(again, model)
            assert_array_equal(outputs_of(again, X), outputs_of(model, X))
    finally:
        torch.set_num_threads(before)
    other = fit(kind, X, y, random_state=1)
    thresholds = [m.convolutions_.convolutions._banks[0].thresholds for m in (model, other)]
    assert (thresholds[0] != thresholds[1]).any()
