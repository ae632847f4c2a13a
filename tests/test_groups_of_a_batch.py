"""A batch that is run in groups of similar lengths has the noise and draws of the whole."""

import copy

import numpy as np
import pytest
import torch

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.data import ragged
from sknt.training import batches

SMALL = {
    "memory_size": 8,
    "hidden_size": 8,
    "max_epochs": 1,
    "random_state": 0,
    "n_convolutions": 0,
}


def gradients_whole_and_in_groups(monkeypatch, model, X, y):
    model.fit(X, y)
    batch = model._training_data(X, y, reset=False)[0].dataset()[torch.arange(len(X))]

    def gradients(mostly):
        monkeypatch.setattr(batches, "MOSTLY", mostly)
        monkeypatch.setattr(ragged, "MOST_PADDING", 1.5)
        net = copy.deepcopy(model.net_)  # with the statistics that it has kept
        net.optimizer_.zero_grad()
        step = net.train_step_single(batch)
        found = [p.grad for p in net.module_.parameters() if p.grad is not None]
        return [step["loss"].detach(), *(gradient.clone() for gradient in found)]

    whole, in_groups = gradients(100), gradients(1)
    assert len(batches.split_by_length(batch[0]["lengths"])) > 2
    return whole, in_groups


def uneven_sequences():
    rng = np.random.RandomState(0)
    return [rng.normal(size=(n, 2)) for n in (3, 40, 2, 3, 21, 5)]


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_the_noise_on_inputs_is_that_of_the_whole_batch(monkeypatch, backend):
    X = uneven_sequences()
    y = [x[0, 0] for x in X]
    model = NTMSequenceRegressor(**SMALL, input_noise=0.5, backend=backend)
    whole, in_groups = gradients_whole_and_in_groups(monkeypatch, model, X, y)
    for one, other in zip(whole, in_groups, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rows_drawn_at_random_and_their_rewards_are_those_of_the_whole_batch(
    monkeypatch, backend, bidirectional
):
    X, y = uneven_sequences(), [0, 1] * 3
    model = NTMSequenceClassifier(
        **SMALL,
        memory="dntm",
        memory_params={"addressing": "hard"},
        backend=backend,
        bidirectional=bidirectional,
    )
    whole, in_groups = gradients_whole_and_in_groups(monkeypatch, model, X, y)
    for one, other in zip(whole, in_groups, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
