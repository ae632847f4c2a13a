"""No weight, loss or prediction is ever NaN or infinite."""

import math

import numpy as np
import pytest
import torch
from helpers import small_classifier, small_regressor, stepwise_classifier, weights_of
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sknt.datasets import make_copy

STRESS = {
    "large inputs": ({}, lambda X, rng: X * 1e30),
    "small inputs": ({}, lambda X, rng: X * 1e-30),
    "mixed inputs": ({}, lambda X, rng: X * 10.0 ** rng.randint(-30, 31, X.shape)),
    "constant inputs": ({}, lambda X, rng: np.where(np.isnan(X), X, 1.0)),
    "zero inputs": ({}, lambda X, rng: X * 0),
    "one row": ({"memory_size": 1, "memory_params": {"shift_range": 0}}, None),
    "one column": ({"word_size": 1}, None),
    "one row and column": (
        {"memory_size": 1, "word_size": 1, "memory_params": {"shift_range": 0}},
        None,
    ),
    "64 heads": ({"n_read_heads": 64, "n_write_heads": 64, "memory_size": 8}, None),
    "constant memory": ({"memory_params": {"memory_init": "constant"}}, None),
    "no clip": ({"max_grad_norm": None, "memory_params": {"interface_clip": None}}, None),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Training stopped:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("learning_rate", [1e-2, 10.0])
@pytest.mark.parametrize("stress", STRESS)
def test_nothing_becomes_non_finite_under_stress(stress, learning_rate, optimizer):
    params, change = STRESS[stress]
    rng = np.random.RandomState(0)
    X, y = make_copy(40, n_bits=3, max_length=5, random_state=0)
    if change is not None:
        X = change(X, rng)
    model = stepwise_classifier(
        learning_rate=learning_rate, optimizer=optimizer, max_epochs=5, **params
    )
    model.fit(X, y)
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite(model.predict_proba(X)[~np.isnan(X).all(axis=2)]).all()
    for epoch in model.history_:
        assert math.isfinite(epoch["train_loss"])
        assert math.isfinite(epoch["grad_norm"])
        assert epoch["n_skipped"] >= 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Training:sklearn.exceptions.ConvergenceWarning")
def test_twenty_thousand_steps_stay_finite():
    X, y = make_copy(400, n_bits=1, max_length=2, random_state=0)
    model = stepwise_classifier(
        batch_size=1, max_epochs=50, schedule="constant", learning_rate=1.0
    )
    model.fit(X, y)
    assert sum(epoch["train_batch_count"] for epoch in model.history_) == 20_000
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite([epoch["train_loss"] for epoch in model.history_]).all()
    assert np.isfinite([epoch["grad_norm"] for epoch in model.history_]).all()


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
    constant = {"schedule": "constant"}  # the same rates whatever max_epochs is
    poisoned = small_classifier(
        max_epochs=8, net_params={"callbacks": [Poison()]}, **constant
    )
    with pytest.warns(ConvergenceWarning, match="non-finite in epoch 3"):
        poisoned.fit(X, y)
    healthy = small_classifier(max_epochs=2, **constant).fit(X, y)
    assert poisoned.n_iter_ == 2
    assert torch.equal(weights_of(poisoned), weights_of(healthy))
    # Training continues from there.
    poisoned.set_params(warm_start=True, max_epochs=1)
    assert np.isfinite(poisoned.fit(X, y).history_[-1]["train_loss"])


def test_extreme_inputs_stay_finite():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 5, 1)) * 10.0 ** rng.randint(-30, 31, size=(20, 5, 1))
    y = rng.randint(0, 2, size=20)
    model = small_classifier().fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
