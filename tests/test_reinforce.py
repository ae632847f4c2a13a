"""REINFORCE: its expected gradient is exact, and baselines only reduce the noise."""

import itertools
import math

import pytest
import torch
from dntm_helpers import make_dntm, with_keys
from torch.testing import assert_close

from sknt.memories import dntm
from sknt.memories._reinforce import RewardStatistics, reinforce_loss
from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("torch_seed")

N_STEPS, N_ROWS, N_HEADS = 2, 3, 2


def fix_statistics(monkeypatch, mean=0.0):
    def normalize(statistics, rewards):
        return rewards - mean

    monkeypatch.setattr(RewardStatistics, "normalize", normalize)


def tiny_network(**options):
    sizes = {"memory_size": N_ROWS, "word_size": 3, "hidden_size": 3}
    options = {"addressing": "hard", "entropy_cost": 0.0} | options
    return make_dntm(2, 1, **sizes, **options, std=0.6)


def all_choices(n_hops=1):
    """Every way to choose a row for each head, hop and step: (n_choices, hops, heads)."""
    rows = itertools.product(range(N_ROWS), repeat=N_STEPS * n_hops * N_HEADS)
    return torch.tensor(list(rows)).reshape(-1, N_STEPS * n_hops, N_HEADS)


def run_all_choices(network, monkeypatch, choices):
    """Run one sequence once for each choice: its reward, log-probability and trace."""
    hops = iter(choices.unbind(1))
    monkeypatch.setattr(dntm, "choose", lambda probabilities, numbers: next(hops))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, N_STEPS, 2, dtype=torch.float64, generator=generator)
    x = x.expand(len(choices), -1, -1)
    state = with_keys(network, torch.ones(len(choices)))
    outputs, state, trace = network(x, state=state, return_states="heads")
    rewards = -(outputs - torch.tensor([0.7, -1.0]).view(1, 2, 1)).square().sum((1, 2))
    return rewards, state.memory.log_probability.sum(-1), trace, x[0]


@pytest.mark.parametrize("n_hops", [1, 2])
def test_the_expected_gradient_is_the_exact_one_whatever_the_baselines(monkeypatch, n_hops):
    """Over all choices c: the exact loss is -Σ p(c) R(c)."""
    network = tiny_network(n_hops=n_hops)
    fix_statistics(monkeypatch, 0.4)
    choices = all_choices(n_hops)
    rewards, log_probability, trace, _ = run_all_choices(network, monkeypatch, choices)
    probability = log_probability.exp()
    assert_close(probability.sum(), torch.tensor(1.0).double())
    exact = gradients_of(network, -(probability * rewards).sum())

    auxiliary = network.auxiliary_loss(trace, rewards.detach())
    estimate = (probability.detach() * (auxiliary - rewards)).sum()
    estimated = gradients_of(network, estimate)
    baseline = "cell.memory.input_projection.weight"
    assert exact[baseline][-1].abs().max() == 0
    for name, gradient in exact.items():
        if name == baseline:  # its last row has a loss of its own
            gradient, estimated[name] = gradient[:-1], estimated[name][:-1]
        assert_close(estimated[name], gradient, rtol=1e-7, atol=1e-10, msg=name)
    without = gradients_of(network, -(probability.detach() * rewards).sum())
    bias = "cell.memory.projection.bias"
    assert (without[bias] - exact[bias]).abs().max() > 1e-3


def gradients_of(network, loss):
    parameters = dict(network.named_parameters())
    values = torch.autograd.grad(
        loss, parameters.values(), retain_graph=True, materialize_grads=True
    )
    return dict(zip(parameters, values, strict=True))


def test_the_input_baseline_learns_the_reward_with_hubers_loss(monkeypatch):
    network = tiny_network()
    fix_statistics(monkeypatch)
    _, _, trace, x = run_all_choices(network, monkeypatch, all_choices()[:3])
    rewards = torch.tensor([0.3, -9.0, 2.5]).double()
    loss = network.auxiliary_loss(trace, rewards).sum()
    weight = network.cell.memory.input_projection.weight
    gradient = torch.autograd.grad(loss, weight)[0][-1]
    error = x @ weight[-1] - rewards[:, None]  # (3, n_steps)
    assert_close(gradient, (error.clamp(-1, 1)[..., None] * x).sum((0, 1)))


def test_the_entropy_is_subtracted_with_its_cost_and_its_gradient(monkeypatch):
    plain, costly = tiny_network(), tiny_network(entropy_cost=0.7)
    costly.load_state_dict(plain.state_dict())
    losses = []
    for network in (plain, costly):
        result = run_all_choices(network, monkeypatch, all_choices()[:4])
        losses.append(network.auxiliary_loss(result[2], torch.arange(4.0).double()))
    entropy = result[2].states.memory.entropy[:, -1].sum(-1)
    assert (entropy > 0).all()
    assert (entropy <= N_STEPS * N_HEADS * math.log(N_ROWS)).all()
    assert_close(losses[1] - losses[0], -0.7 * entropy)
    with_cost = gradients_of(costly, losses[1].sum())
    without = gradients_of(plain, losses[0].sum())
    of_entropy = gradients_of(costly, entropy.sum())
    for name, gradient in of_entropy.items():
        assert_close(with_cost[name] - without[name], -0.7 * gradient)


def test_the_loss_ignores_absent_steps_and_other_sequences(monkeypatch):
    fix_statistics(monkeypatch, -2.0)
    network = make_dntm(addressing="hard", std=0.5)
    x, lengths = torch.randn(4, 6, 3).double(), torch.tensor([4, 6, 1, 5])
    rewards = torch.tensor([-1.0, -2.0, -3.0, -4.0]).double()
    first = network.training_state(4, 3, 0)
    _, _, trace = network(x, lengths, first, return_states="heads")
    together = network.auxiliary_loss(trace, rewards)
    for i, length in enumerate(lengths):
        own = map_state(lambda part, i=i: part[i : i + 1], first)
        _, _, alone = network(x[i : i + 1, :length], state=own, return_states="heads")
        assert_close(network.auxiliary_loss(alone, rewards[i : i + 1])[0], together[i])


# Running statistics


def test_statistics_follow_the_rewards():
    statistics = RewardStatistics().double()
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        rewards = 3 + 2 * torch.randn(500, generator=generator).double()
        normalized = statistics.normalize(rewards)
    assert float(statistics.mean) == pytest.approx(3, abs=0.1)
    assert float(statistics.variance) == pytest.approx(4, abs=0.2)
    assert_close(normalized.std(), torch.tensor(1.0).double(), rtol=0.1, atol=0)


def test_the_baseline_is_of_earlier_batches_so_that_it_does_not_bias_the_gradient():
    statistics = RewardStatistics().double()
    statistics.normalize(torch.tensor([1.0, 3.0]).double())
    normalized = statistics.normalize(torch.tensor([2.0, 6.0]).double())
    assert normalized[0] == 0  # 2 is the mean of the first batch
    assert normalized[1] > 0


@pytest.mark.parametrize("n_sequences", [1, 4])
def test_an_advantage_is_bounded_however_unlike_the_others_a_batch_is(n_sequences):
    statistics = RewardStatistics().double()
    for _ in range(30):
        assert not statistics.normalize(torch.zeros(n_sequences).double()).any()
    surprise = torch.zeros(n_sequences).double()
    surprise[0] = -1e9
    bound = math.sqrt(10 * n_sequences) * (1 + 1e-9)
    assert statistics.normalize(surprise).abs().max() <= bound


def test_rewards_that_are_not_finite_leave_the_statistics_as_they_were():
    statistics = RewardStatistics()
    statistics.normalize(torch.tensor([1.0, 3.0]))
    before = {name: value.clone() for name, value in statistics.state_dict().items()}
    statistics.normalize(torch.tensor([1.0, math.nan]))
    statistics.normalize(torch.tensor([math.inf, 1.0]))
    for name, value in statistics.state_dict().items():
        assert torch.equal(value, before[name])


def test_nothing_flows_back_through_the_advantage():
    parts = [torch.randn(2, 3, requires_grad=True) for _ in range(4)]
    log_probability, entropy, reward, baseline = parts
    loss = reinforce_loss(log_probability, entropy, reward.detach(), baseline, 0.1)
    grads = torch.autograd.grad(loss.sum(), [log_probability, entropy, baseline])
    assert_close(grads[0], (baseline - reward).detach())
    assert_close(grads[1], torch.full((2, 3), -0.1))
    assert_close(grads[2], (baseline - reward).detach().clamp(-1, 1))
