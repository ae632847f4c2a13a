"""Weights of samples and of classes."""

import numpy as np
import pytest
import torch
from helpers import SMALL, small_classifier, weights_of
from numpy.testing import assert_allclose

from sknt import NTMSequenceClassifier, NTMSequenceRegressor


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


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("reason", ["no weight", "no target"])
def test_the_longest_sequence_has_no_influence_if_it_is_left_out(
    Estimator, return_sequences, reason
):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(21, 9, 2))
    X[:20, 5:] = np.nan
    y = (np.nan_to_num(X[..., 0]) > 0).astype(float)
    y = y if return_sequences else y[:, 0]
    weights = np.ones(21)
    if reason == "no target":
        y[20] = np.nan
    else:
        weights[20] = 0
    params = SMALL | {"return_sequences": return_sequences}
    left_out = Estimator(**params).fit(X, y, sample_weight=weights)
    expected = Estimator(**params).fit(X[:20], y[:20])
    assert torch.equal(weights_of(left_out), weights_of(expected))


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
    # With a mean of 1 over the samples, the scale of sample weights.
    up, down = 0.5, (60 - 0.5 * np.sum(y == "up")) / np.sum(y == "down")
    by_class = small_classifier(class_weight={"up": up, "down": down}).fit(X, y)
    weights = np.where(y == "up", up, down)
    by_sample = small_classifier().fit(X, y, sample_weight=weights)
    # The order of the samples differs only by their weights' rounding.
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
