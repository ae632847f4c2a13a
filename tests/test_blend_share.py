"""How the network's share of the blend is chosen, and the regression's scale."""

import numpy as np
import pytest
import torch
from blend_helpers import (
    BLENDED,
    blended_estimator,
    both,
    make_targets,
    make_waves,
    outputs_of,
)
from numpy.testing import assert_array_equal
from scipy.special import log_softmax

from sknt import _base, _blends
from sknt.training.blending import calibrate, choose_share


def squares(targets):
    return lambda outputs: ((outputs - targets) ** 2).sum(axis=1)


def minus_sum(losses):
    return -float(losses.sum())


def share_of(outputs, network_outputs, targets, log_likelihood=minus_sum):
    return choose_share(outputs, network_outputs, squares(targets), log_likelihood)


@pytest.mark.parametrize("seed", range(12))
def test_the_share_is_that_of_a_slow_search(seed):
    rng = np.random.RandomState(seed)
    targets = 3 * rng.normal(size=(9, 2))
    outputs, network = (targets + s * rng.normal(size=(9, 2)) for s in (2, 1.5))
    losses = []
    for tenths in range(11):
        pairs = zip(outputs, network, strict=True)
        mixed = [(o * (10 - tenths) + n * tenths) / 10 for o, n in pairs]
        losses.append([sum((m - t) ** 2) for m, t in zip(mixed, targets, strict=True)])
    best = min(range(11), key=lambda k: sum(losses[k]))
    gains = [a - b for a, b in zip(losses[0], losses[best], strict=True)]
    mean = sum(gains) / 9
    error = (sum((g - mean) ** 2 for g in gains) / 8 / 9) ** 0.5
    expected = best / 10 if mean > error and sum(gains) > 2 else 0.0
    assert share_of(outputs, network, targets) == pytest.approx(expected)


def test_it_may_be_anything_from_nothing_to_everything():
    targets = np.random.RandomState(0).normal(size=(50, 1)) * 5
    wrong = targets + 3
    assert share_of(wrong, targets, targets) == 1
    assert share_of(targets, wrong, targets) == 0
    # Errors of opposite signs cancel: 0.3 of one and 0.7 of the other.
    assert share_of(targets + 3, targets - 7, targets) == pytest.approx(0.3)


def test_a_gain_within_its_standard_error_is_none():
    targets = np.zeros((5, 1))
    outputs = np.sqrt([[30.0], [0], [0], [0], [0]])
    network = np.array([[0.0], [1], [0], [0], [0]])  # gains of 30 and -1: 5.8 ± 6.05
    assert share_of(outputs, network, targets) == 0
    outputs[2] = np.sqrt(2)  # and one of 2: 6.2 ± 5.97
    assert share_of(outputs, network, targets) == 1
    assert share_of(outputs[:1], network[:1], targets[:1]) == 0  # no error is known


@pytest.mark.parametrize(("total", "expected"), [(1.99, 0), (2.01, 1)])
def test_a_gain_of_2_nats_or_less_is_none(total, expected):
    outputs = np.full((100, 1), np.sqrt(total / 100))
    zeros = np.zeros((100, 1))
    assert share_of(outputs, zeros, zeros) == expected


def test_the_log_likelihood_is_that_of_the_losses_given():
    outputs, zeros = np.full((100, 1), 3.0), np.zeros((100, 1))
    assert share_of(outputs, zeros, zeros) == 1
    assert share_of(outputs, zeros, zeros, lambda losses: 0.0) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
def test_a_network_that_diverged_has_no_share(value):
    outputs, network = np.ones((20, 1)), np.zeros((20, 1))
    network[7] = value
    assert share_of(outputs, network, np.zeros((20, 1))) == 0


@pytest.mark.parametrize("scale", [0.05, 8.0])
def test_the_factor_is_the_best_of_a_fine_grid(scale):
    rng = np.random.RandomState(0)
    logits = rng.normal(size=(200, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)

    def losses(outputs):
        return -log_softmax(outputs, axis=1)[np.arange(200), labels]

    grid = np.geomspace(0.1, 100, 1001)
    found = [losses(f * logits / scale) for f in grid]
    wrong = [losses(-f * logits / scale).mean() for f in grid]  # one more sequence
    best = grid[np.argmin(np.sum(found, axis=1) + wrong)]
    assert calibrate(logits / scale, losses) == pytest.approx(best, rel=0.01)


def test_the_factor_stays_within_its_bounds():
    labels = np.array([0, 1] * 10)
    codes = 2.0 * (labels[:, np.newaxis] == [0, 1]) - 1

    def losses(outputs):
        return -log_softmax(outputs, axis=1)[np.arange(20), labels]

    assert calibrate(0.01 * codes, losses) == pytest.approx(100, rel=0.01)
    assert calibrate(-codes, losses) == pytest.approx(0.1, rel=0.01)
    # All of 20 are right: the probability of an error is about that of one in 21.
    error = 1 - np.exp(-losses(calibrate(codes, losses) * codes).mean())
    assert error == pytest.approx(1 / 21, rel=0.1)


@pytest.fixture
def choices(monkeypatch):
    """Record what is asked for whenever a share is chosen."""
    calls = []

    def choose(*args):
        calls.append((*args, choose_share(*args)))
        return calls[-1][-1]

    monkeypatch.setattr(_blends, "choose_share", choose)
    return calls


@both
def test_a_blend_is_better_on_the_held_out_than_the_regression_alone(kind, choices):
    X, values = make_waves(160)
    model = blended_estimator(kind, max_epochs=6).fit(X, make_targets(kind, values))
    ((outputs, network, losses, _, share),) = choices
    assert 0 < share < 1
    assert model.network_share_ == share
    assert outputs.shape == network.shape == (32, 1 if kind == "regressor" else 2)
    mixed = losses((1 - share) * outputs + share * network).mean()
    assert mixed < min(losses(outputs).mean(), losses(network).mean())
    # These are losses of sequences that were left out: of those learned from, less.
    model.network_share_ = 0.0
    assert model.score(X, make_targets(kind, values)) > 0.6


@both
def test_the_network_learns_from_the_held_out_only_after_its_share_is_chosen(
    kind, monkeypatch
):
    X, values = make_waves()
    seen = []
    train_step = _base.SequenceNet.train_step

    def step(self, batch, **params):
        seen.append(len(batch[1]))
        return train_step(self, batch, **params)

    monkeypatch.setattr(_base.SequenceNet, "train_step", step)
    for share, n_expected in [(0.5, 7 * 24 + 3 * 30), (0.0, 7 * 24)]:
        at = []
        monkeypatch.setattr(
            _blends, "choose_share", lambda *a, at=at, s=share: at.append(sum(seen)) or s
        )
        seen.clear()
        model = blended_estimator(kind, max_epochs=10)
        model.fit(X, make_targets(kind, values))
        assert at == [7 * 24]
        assert sum(seen) == n_expected
        assert model.n_iter_ == (10 if share else 7)


@both
def test_with_early_stopping_the_share_is_judged_on_its_held_out_part(kind, choices):
    X, values = make_waves(40)
    y = make_targets(kind, values)
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 4}
    model = blended_estimator(kind, **params).fit(X, y)
    ((outputs, network, losses, _, _),) = choices
    assert len(outputs) == 12
    assert all("valid_score" in epoch for epoch in model.history_)
    # The network is the best one, as it was restored, and saw none of them.
    best = max(
        model.history_, key=lambda epoch: (epoch["valid_score"], -epoch["valid_loss"])
    )
    assert losses(network).mean() == pytest.approx(best["valid_loss"], rel=1e-3)
    assert {epoch["n_sequences"] for epoch in model.history_} == {28, 56, 84, 112}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_fit_whose_network_diverged_predicts_by_regression(value):
    class Diverging(torch.nn.Module):
        def __init__(self, n_inputs, n_outputs):
            super().__init__()
            self.layer = torch.nn.Linear(n_inputs, n_outputs)

        def forward(self, x, lengths):
            return self.layer(x) + (0 if self.training else value)

    X, values = make_waves()
    params = BLENDED | {"net_params": {"module": Diverging}}
    model = blended_estimator("regressor", **params).fit(X, values)
    assert model.network_share_ == 0
    assert np.isfinite(outputs_of(model, X)).all()
    alone = blended_estimator("regressor").fit(X, values)
    alone.network_share_ = 0.0
    assert_array_equal(outputs_of(model, X), outputs_of(alone, X))
