"""The penalty and the noise of a consolidation."""

import numpy as np
import pytest
import torch
from helpers import stepwise_classifier, tiny_copy
from numpy.testing import assert_allclose
from sklearn.base import clone

from sknt.nn import SequenceNetwork
from sknt.training import net as net_module
from sknt.training.perturbations import with_noise
from sknt.training.progress import Update


def every_update_is(monkeypatch, **params):
    monkeypatch.setattr(net_module, "next_update", lambda *args: Update(**params))


def test_noise_is_proportional_to_what_varies_and_to_nothing_else():
    random_state = np.random.RandomState(0)
    lengths = torch.tensor([4000, 1000])
    values = torch.tensor(random_state.randn(2, 4000, 4) * [1, 100, 0, 1e-30])
    values[..., 2] = 7
    values[1, 1000:] = 1e6  # padding carries no information
    before = torch.get_rng_state()
    noisy = with_noise(values.float(), lengths, 0.3, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    added = (noisy - values)[0].std(0)
    assert_allclose(added, [0.3, 30, 0, 3e-31], rtol=0.06)
    assert torch.equal(noisy, with_noise(values.float(), lengths, 0.3, seed=0))
    assert not torch.equal(noisy, with_noise(values.float(), lengths, 0.3, seed=1))
    huge = torch.tensor([[[3e38], [-3e38], [3e38]]])
    assert with_noise(huge, torch.tensor([3]), 0.3, seed=0).isfinite().all()


def test_noise_is_in_the_inputs_of_training_alone(monkeypatch):
    def losses(noise, memory):
        every_update_is(monkeypatch, noise=noise)
        model = stepwise_classifier(
            schedule="constant", max_epochs=1, memory=memory, learning_rate=1e-12
        )
        X, y = tiny_copy(random_state=0)
        model.fit(X, y)
        return model.history_[0]["train_loss"], model.predict_proba(X)

    for memory in ("ntm", None):
        (loss, proba), (noisy_loss, same_proba) = losses(0.0, memory), losses(0.5, memory)
        assert abs(noisy_loss - loss) > 1e-4 * loss
        assert_allclose(np.nan_to_num(same_proba), np.nan_to_num(proba), atol=1e-6)


def test_a_penalty_is_in_the_gradient_but_not_in_the_loss(monkeypatch):
    model = stepwise_classifier(schedule="constant", max_epochs=1)
    data = tiny_copy(random_state=0)

    def first_epoch(height):
        every_update_is(monkeypatch, penalty=height)
        other = clone(model).set_params(batch_size=20).fit(*data)
        return other.history_[0]["train_loss"], other.history_[0]["grad_norm"]

    loss, norm = first_epoch(0.0)
    same_loss, other_norm = first_epoch(1.0)
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert abs(other_norm - norm) > 1e-3 * norm


@pytest.mark.parametrize("backend", ["reference", "fused"])
def test_the_gradient_is_that_of_the_loss_and_the_penalty_together(monkeypatch, backend):
    model = stepwise_classifier(backend=backend, max_epochs=1, batch_size=20)
    X, y = tiny_copy(random_state=0)
    net = model.fit(X, y).net_
    data, _ = model._training_data(X, y, reset=False)
    x, target = data.dataset()[list(range(20))]
    net.update_ = Update(penalty=0.7)
    net.module_.zero_grad()
    net.train_step_single((x, target))
    actual = [p.grad.clone() for p in net.module_.parameters() if p.grad is not None]

    outputs, _, trace = net.module_(x["x"], x["lengths"], return_states=True)
    loss = net.get_loss(outputs, target, X=x)
    together = loss + 0.7 * net.module_.penalty(trace).mean()
    parameters = [p for p in net.module_.parameters() if p.grad is not None]
    expected = torch.autograd.grad(together, parameters)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_memorys_penalty_is_on_writing_lookup_and_uncertain_shifts():
    network = SequenceNetwork(3, 2, memory_size=6, n_read_heads=2, n_write_heads=2)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 2, 4])
    for backend in ("reference", "fused"):
        network.backend = backend
        _, _, trace = network(x, lengths, return_states="heads")
        assert trace.states.memory.memory.shape == (3, 5, 0, 20)
        _, _, whole = network(x, lengths, return_states=True)
        expected = torch.zeros(3)
        for i, n_steps in enumerate(lengths):
            for t in range(n_steps):
                step = [part[i, t] for part in whole.interfaces]
                expected[i] += 0.03 * (step[5].square().sum() + step[6].square().sum())
                expected[i] += 1e-3 * step[1].square().sum()
                expected[i] += 0.01 * (step[4] - 1).square().sum()
                expected[i] += 0.3 * (1 - step[3].square().sum(-1)).sum()
        torch.testing.assert_close(network.penalty(trace), expected, rtol=1e-4, atol=1e-5)
