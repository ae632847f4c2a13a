"""The penalty and the noise of a consolidation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import stepwise_classifier, tiny_copy
from numpy.testing import assert_allclose
from sklearn.base import clone
from skorch.callbacks import Callback

from sknt.callbacks import Consolidation, Schedule
from sknt.nn import SequenceNetwork


class Put(Callback):
    """Set an attribute of the net before each batch."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def on_batch_begin(self, net, **kwargs):
        setattr(net, self.name, self.value)


@pytest.mark.parametrize(
    ("mean_loss", "noise"), [(0, 0.4), (0.05, 0.2), (0.1, 0), (0.4, 0)]
)
def test_noise_shrinks_where_a_task_does_not_bear_it(mean_loss, noise):
    schedule = Schedule(
        n_sequences=140,
        n_updates=200,
        mean_loss=mean_loss,
        learned_at=100,
        length=100,
        whole_length=100,
    )
    net = SimpleNamespace(schedule_=schedule)
    net.scale_learning_rate = net.take_orthogonal_steps = lambda value: None
    Consolidation().on_batch_begin(net, training=True)
    assert net.penalty_ == 1
    assert net.noise_ == pytest.approx(noise)


def test_noise_is_a_part_of_what_varies_and_of_nothing_else():
    net = stepwise_classifier(max_epochs=1).fit(*tiny_copy(random_state=0)).net_
    net.noise_ = 0.3
    random_state = np.random.RandomState(0)
    lengths = torch.tensor([4000, 1000])
    values = torch.tensor(random_state.randn(2, 4000, 4) * [1, 100, 0, 1e-30])
    values[..., 2] = 7
    values[1, 1000:] = 1e6  # padding tells nothing
    before = torch.get_rng_state()
    noisy = net._with_noise(values.float(), lengths)
    assert torch.equal(before, torch.get_rng_state())
    added = (noisy - values)[0].std(0)
    assert_allclose(added, [0.3, 30, 0, 3e-31], rtol=0.06)
    assert torch.equal(noisy, net._with_noise(values.float(), lengths))
    net.schedule_.n_updates += 1
    assert not torch.equal(noisy, net._with_noise(values.float(), lengths))
    huge = torch.tensor([[[3e38], [-3e38], [3e38]]])
    assert net._with_noise(huge, torch.tensor([3])).isfinite().all()


def test_noise_is_in_the_inputs_of_training_alone():
    def losses(noise, memory):
        model = stepwise_classifier(
            schedule="constant", max_epochs=1, memory=memory, learning_rate=1e-12
        )
        model.set_params(net_params={"callbacks": [Put("noise_", noise)]})
        X, y = tiny_copy(random_state=0)
        model.fit(X, y)
        return model.history_[0]["train_loss"], model.predict_proba(X)

    for memory in ("ntm", None):
        (loss, proba), (noisy_loss, same_proba) = losses(0.0, memory), losses(0.5, memory)
        assert abs(noisy_loss - loss) > 1e-4 * loss
        assert_allclose(np.nan_to_num(same_proba), np.nan_to_num(proba), atol=1e-6)


def test_a_penalty_is_in_the_gradient_but_not_in_the_loss():
    torch.manual_seed(0)
    model = stepwise_classifier(schedule="constant", max_epochs=1)
    data = tiny_copy(random_state=0)

    def first_epoch(height):
        other = clone(model).set_params(
            batch_size=20, net_params={"callbacks": [Put("penalty_", height)]}
        )
        other.fit(*data)
        return other.history_[0]["train_loss"], other.history_[0]["grad_norm"]

    loss, norm = first_epoch(0.0)
    same_loss, other_norm = first_epoch(1.0)
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert abs(other_norm - norm) > 1e-3 * norm


def test_the_memorys_penalty_is_that_of_writing_looking_up_and_doubtful_shifts():
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
