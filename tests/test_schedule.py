"""The schedule: warm-up, consolidation, and when a task counts as learned."""

import math
import pickle
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch
from helpers import SMALL, stepwise_classifier, tiny_copy, weights_of
from numpy.testing import assert_allclose
from skorch.callbacks import Callback

from sknt import NTMSequenceClassifier
from sknt.training import progress


class Rates(Callback):
    """Record the rate, the penalty and the noise of each update."""

    def __init__(self):
        self.rows = []

    def __deepcopy__(self, memo):
        return self

    def on_grad_computed(self, net, **kwargs):
        rate = net.optimizer_.param_groups[0]["lr"]
        self.rows.append((rate, net.update_.penalty, net.update_.noise))


def rates_of(monkeypatch, learned, exact, *callbacks, **params):
    monkeypatch.setattr(progress, "LEARNED", learned)
    monkeypatch.setattr(progress, "EXACT", exact)
    monkeypatch.setattr(progress, "LOST", math.inf)
    rates = Rates()
    params = {"learning_rate": 0.01, "batch_size": 1, **params}
    model = stepwise_classifier(net_params={"callbacks": [rates, *callbacks]}, **params)
    model.fit(partial(tiny_copy))
    return model, np.array(rates.rows)


@pytest.mark.slow
def test_the_rate_warms_up_and_falls_at_the_end_of_what_is_planned(monkeypatch):
    _, rows = rates_of(monkeypatch, 0.0, 0.0, max_epochs=20)
    rate, penalty, noise = rows.T
    assert len(rows) == 400
    assert_allclose(rate[:100], 0.01 * np.arange(1, 101) / 100)
    assert_allclose(rate[100:240], 0.01)
    assert (np.diff(rate[241:]) <= 0).all()
    assert_allclose(rate[240 + 80], 0.005, rtol=1e-6)  # half of a cosine over 160
    assert rate[-1] < 0.00021
    assert (penalty == 0).all()
    assert (noise == 0).all()


def test_once_learned_it_is_consolidated_and_then_ends(monkeypatch):
    model, rows = rates_of(monkeypatch, 1e9, 1e9, max_epochs=50)
    # Learned at the first sequence: 2 more, in one of which the penalty is on.
    assert model.n_iter_ == 1
    assert model.history_[-1]["phase"] == "learned"
    assert rows[-1, 0] == pytest.approx(0.01 * 0.02)


@pytest.mark.slow
def test_consolidation_that_begins_late_continues_from_the_remaining_rate(monkeypatch):
    class LearnedLate(Callback):
        def on_epoch_end(self, net, **kwargs):
            if net.progress_.n_sequences == 320:
                monkeypatch.setattr(progress, "LEARNED", math.inf)

    model, rows = rates_of(monkeypatch, 0.0, math.inf, LearnedLate(), max_epochs=20)
    assert model.net_.progress_.learned_at == 321
    rate, penalty, noise = rows.T
    assert len(rows) == 400
    assert_allclose(rate[320], 0.005, rtol=1e-6)  # where the rate was half down
    assert (np.diff(rate[240:]) <= 0).all()
    assert rate[-1] == pytest.approx(0.01 * 0.02, rel=0.1)
    # In proportion to what is left of the rate and of the consolidation's sequences.
    assert 0 < penalty.max() <= 0.5 * 79 / math.ceil(1.4 * 321)
    assert_allclose(noise, 0.4 * penalty)


def test_an_inexact_solution_is_annealed_again_at_most_three_times(monkeypatch):
    model, rows = rates_of(monkeypatch, 1e9, 0.0, max_epochs=50, consolidation=40)
    assert model.net_.progress_.n_rounds == progress.MAX_ROUNDS == 3
    assert model.history_[-1]["phase"] == "learned"
    rate, penalty, noise = rows[1:101].T  # after the first update: 40, thrice 20
    assert_allclose(rate[[0, 20]], [0.01, 0.005])
    assert_allclose(rate[[40, 50, 60, 70, 80]], [1e-3, 5e-4, 1e-3, 5e-4, 1e-3])
    assert_allclose(penalty[[0, 3, 6, 19, 23, 26]], [0, 0.5, 1, 1, 0.5, 0], atol=1e-12)
    assert not penalty[26:].any()
    assert_allclose(noise, 0.4 * penalty)


@pytest.mark.parametrize("optimizer", ["muon", "muon-adam"])
def test_muon_adam_switches_to_adam_once_a_task_is_learned(monkeypatch, optimizer):
    class Kinds(Rates):
        def on_grad_computed(self, net, **kwargs):
            self.rows.append(net.optimizer_.param_groups[0]["orthogonal"])

    kinds = Kinds()
    params = {"optimizer": optimizer, "consolidation": 40, "warm_start": True}
    model, _ = rates_of(monkeypatch, 1e9, 1e9, kinds, **params)  # learned at once
    assert kinds.rows[:3] == [True, *[optimizer == "muon"] * 2]
    assert kinds.rows[-1] == (optimizer == "muon")
    model.set_params(schedule="constant").fit(partial(tiny_copy))
    assert model.net_.optimizer_.param_groups[0]["orthogonal"]


def test_auto_means_consolidate_only_for_labels_of_steps(sequences):
    X, y = sequences
    plain = NTMSequenceClassifier(**SMALL).fit(X, y)
    assert "phase" not in plain.history_[0]
    assert plain.history_[0]["train_batch_count"] == math.ceil(60 / 16)
    stepwise = stepwise_classifier().fit(*tiny_copy(random_state=0))
    assert stepwise.history_[0]["phase"] == "learning"
    assert stepwise.history_[0]["train_batch_count"] == 20 / 4


def test_two_and_two_partial_fits_equal_four_with_the_schedule_too():
    data = tiny_copy(random_state=0)
    whole, halves = stepwise_classifier(), stepwise_classifier()
    for _ in range(4):
        whole.partial_fit(*data)
    for _ in range(2):
        halves.partial_fit(*data)
    assert asdict(halves.net_.progress_) == {
        **asdict(whole.net_.progress_),
        "n_sequences": 40,
        "n_updates": 10,
        "mean_loss": halves.net_.progress_.mean_loss,
        "last_lapse": 40,
    }
    assert halves.net_.optimizer_.param_groups[0]["rate_factor"] == 0.1
    halves = pickle.loads(pickle.dumps(halves))
    for _ in range(2):
        halves.partial_fit(*data)
    assert torch.equal(weights_of(whole), weights_of(halves))
    assert whole.net_.progress_ == halves.net_.progress_


def test_a_constant_schedule_does_not_keep_the_rate_of_an_earlier_schedule():
    model = stepwise_classifier(warm_start=True).fit(*tiny_copy(random_state=0))
    assert model.net_.optimizer_.param_groups[0]["lr"] < 0.01
    model.set_params(schedule="constant").fit(*tiny_copy(random_state=0))
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01)
