"""Estimators whose outputs at a step may depend on later steps."""

import numpy as np
import pytest
import torch
from helpers import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, unpad_sequences
from sknt.nn import SequenceNetwork

nan = np.nan
Estimators = pytest.mark.parametrize(
    "Estimator", [NTMSequenceClassifier, NTMSequenceRegressor]
)
memories = pytest.mark.parametrize("memory", ["ntm", None])
STEPWISE = SMALL | {"return_sequences": True, "max_epochs": 2}


def make_sequences(n_samples=14):
    """Sequences of 2 to 7 steps; the target of a step is the feature of the next."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, 7, 2))
    lengths = rng.randint(2, 8, size=n_samples)
    lengths[:2] = 7
    X[np.arange(7) >= lengths[:, np.newaxis]] = nan
    values = np.full((n_samples, 7), nan)
    values[:, :-1] = X[:, 1:, 0]
    return X, values


def targets_for(Estimator, values):
    if Estimator is NTMSequenceRegressor:
        return values
    return np.where(np.isnan(values), nan, values > 0)


def outputs_of(model, X):
    is_regressor = isinstance(model, NTMSequenceRegressor)
    return model.predict(X) if is_regressor else model.predict_proba(X)[..., 1]


def fit(Estimator, bidirectional=True, **params):
    X, values = make_sequences()
    model = Estimator(**STEPWISE | params, bidirectional=bidirectional)
    return model.fit(X, targets_for(Estimator, values)), X


def influences(model, X):
    """Which steps' outputs change when a step does: (changed step, step of output)."""
    found = np.zeros((7, 7), bool)
    before = outputs_of(model, X[:1])[0]
    for step in range(7):
        changed = X[:1].copy()
        changed[0, step] += 3
        found[step] = np.abs(outputs_of(model, changed)[0] - before) > 1e-7
    return found


@memories
@Estimators
def test_outputs_depend_on_later_steps_only_where_asked_for(Estimator, memory):
    there, X = fit(Estimator, bidirectional=False, memory=memory)
    assert not np.tril(influences(there, X), -1).any()
    assert np.diag(influences(there, X)).all()
    both, _ = fit(Estimator, memory=memory)
    assert influences(both, X).all()


@memories
@Estimators
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_outputs_are_the_sum_of_two_passes_over_each_sequence(Estimator, memory, backend):
    model, X = fit(Estimator, memory=memory, backend=backend, max_epochs=1)
    weights = model.net_.module_.state_dict()
    networks = []
    for is_reverse in (False, True):
        sizes = {k: SMALL[k] for k in ("memory_size", "word_size", "hidden_size")}
        network = SequenceNetwork(
            2, model._n_outputs, memory=memory, **sizes, backend="reference"
        )
        own = {
            k.removeprefix("reverse."): v
            for k, v in weights.items()
            if k.startswith("reverse.") == is_reverse
        }
        network.load_state_dict(own)
        networks.append(network.double())
    found = outputs_of(model, X)
    for row, sequence in zip(found, unpad_sequences(X), strict=True):
        x = torch.from_numpy(np.ascontiguousarray(sequence))
        with torch.no_grad():
            there, back = (
                network(steps[None])[0][0].numpy()
                for network, steps in zip(networks, (x, x.flip(0)), strict=True)
            )
        expected = there + back[::-1]
        if Estimator is NTMSequenceRegressor:
            expected = (expected * model.target_scale_ + model.target_mean_)[:, 0]
        else:
            expected = 1 / (1 + np.exp(expected[:, 0] - expected[:, 1]))
        assert_allclose(row[: len(sequence)], expected, rtol=1e-4, atol=1e-5)
        assert np.isnan(row[len(sequence) :]).all()


@memories
@Estimators
def test_absent_steps_change_neither_fit_nor_predictions(Estimator, memory):
    model, X = fit(Estimator, memory=memory)
    _, values = make_sequences()
    y = targets_for(Estimator, values)
    spread, spread_y = np.full((14, 17, 2), nan), np.full((14, 17), 99.0)
    spread[:, 2:16:2], spread_y[:, 2:16:2] = X, y
    again = clone(model).fit(spread, spread_y)
    expected = outputs_of(model, X)
    for same in (model, again):
        found = outputs_of(same, spread)
        assert_allclose(found[:, 2:16:2], expected, rtol=0, atol=1e-9)
        assert np.isnan(np.delete(found, np.s_[2:16:2], axis=1)).all()
    alone = [outputs_of(model, X[i : i + 1])[0] for i in range(5)]
    assert_allclose(alone, expected[:5], rtol=0, atol=1e-9)


@Estimators
@pytest.mark.parametrize("return_sequences", [False, True])
def test_both_backends_train_and_predict_alike(Estimator, return_sequences):
    X, values = make_sequences()
    y = targets_for(Estimator, values)
    y = y if return_sequences else y[:, 0]
    params = STEPWISE | {"return_sequences": return_sequences, "bidirectional": True}
    fused, reference = (
        Estimator(**params, backend=backend).fit(X, y) for backend in ("fused", "reference")
    )
    assert (fused.backend_, reference.backend_) == ("fused", "reference")
    assert_allclose(outputs_of(fused, X), outputs_of(reference, X), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@Estimators
def test_what_lies_ahead_is_learned_in_the_order_of_time(Estimator):
    X, values = make_sequences(60)
    y = targets_for(Estimator, values)
    scores = {}
    params = STEPWISE | {"max_epochs": 12, "learning_rate": 0.03, "schedule": "constant"}
    for bidirectional in (False, True):
        model = Estimator(**params, bidirectional=bidirectional).fit(X, y)
        scores[bidirectional] = model.score(X, y)
    assert scores[True] > 0.8
    assert scores[False] < scores[True] - 0.1
    # The last targets are those of the last steps, not of the first.
    changed = X[:1].copy()
    changed[0, 5, 0] *= -1
    moved = np.abs(outputs_of(model, changed) - outputs_of(model, X[:1]))[0]
    assert moved.argmax() == 4


@Estimators
def test_targets_of_whole_sequences_may_be_read_both_ways(Estimator):
    X, values = make_sequences()
    y = targets_for(Estimator, values[:, 0])
    params = SMALL | {"max_epochs": 2, "patch_size": 2, "bidirectional": True}
    model = Estimator(**params).fit(X, y)
    found = outputs_of(model, X) if Estimator is NTMSequenceRegressor else None
    if found is None:
        found = model.predict_proba(X)[:, 1]
    assert found.shape == (14,)
    assert model.net_.module_.reverse is not None
    one_way = Estimator(**params | {"bidirectional": False}).fit(X, y)
    assert one_way.net_.module_.reverse is None
    assert_array_equal(model.predict(X[::-1]), model.predict(X)[::-1])
