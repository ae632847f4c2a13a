"""What a memory adds to the loss in training, and the state that it then starts from."""

import numpy as np
import pytest
import torch
from foreign_memories import Register, ShiftRegister
from helpers import stepwise_classifier, tiny_copy, weights_of
from torch import nn
from torch.testing import assert_close

from sknt.memories import MEMORIES, make_memory
from sknt.nn import SequenceNetwork

COST = 0.3


class Wager(ShiftRegister):
    """Adds a loss to each sequence, and begins each training batch from its seed."""

    has_auxiliary_loss = True

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("rewards", torch.zeros(3))  # count, last sum, last size

    def training_state(self, batch_size, seed, n_updates):
        clock = torch.full((batch_size,), seed % 2**24 + n_updates)
        return Register(self.initial_state(batch_size).cells, clock)

    def auxiliary_loss(self, trace, log_likelihood):
        assert not log_likelihood.requires_grad
        said = [self.rewards[0] + 1, log_likelihood.sum(), len(log_likelihood)]
        self.rewards.copy_(torch.tensor(said))
        words = trace.interfaces.word.square().flatten(1).sum(1)
        return COST * words * (1 - log_likelihood)


class Inert(Wager):
    """The same, without a loss of its own."""

    has_auxiliary_loss = False


class Watcher(ShiftRegister):
    """Sees the inputs of each step."""

    uses_inputs = True

    def __init__(self, *sizes, n_inputs):
        super().__init__(*sizes)
        self.watch = nn.Linear(n_inputs, sizes[2])

    def interface(self, hidden, inputs):
        told = super().interface(hidden)
        return told._replace(word=told.word + self.watch(inputs))


@pytest.fixture(autouse=True)
def _memories(monkeypatch, torch_seed):
    for name, memory in {"wager": Wager, "inert": Inert, "watcher": Watcher}.items():
        monkeypatch.setitem(MEMORIES, name, memory)


def fit(memory, X, y, **params):
    settings = {"schedule": "constant", "max_epochs": 1, "batch_size": 20}
    return stepwise_classifier(memory=memory, **settings | params).fit(X, y)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_gradient_is_that_of_loss_and_auxiliary_loss_and_the_loss_is_the_tasks(
    bidirectional,
):
    X, y = tiny_copy(random_state=0)
    model = fit("wager", X, y, bidirectional=bidirectional)
    net, module = model.net_, model.net_.module_
    data, _ = model._training_data(X, y, reset=False)
    x, target = data.dataset()[list(range(20))]
    module.zero_grad()
    step = net.train_step_single((x, target))
    actual = {name: p.grad.clone() for name, p in module.named_parameters()}

    outputs = module(x["x"], x["lengths"])[0]
    losses = nn.functional.binary_cross_entropy_with_logits(
        outputs, target.to(outputs), reduction="none"
    )
    of_sequences = (losses * x["weight"]).flatten(1).sum(1)
    assert_close(step["loss"].detach(), of_sequences.mean().detach())
    state = module.training_state(len(target), 0, 0)
    trace = module(x["x"], x["lengths"], state, return_states="heads")[-1]
    auxiliary = module.auxiliary_loss(trace, -of_sequences.detach())
    loss = (of_sequences + auxiliary).mean()
    expected = torch.autograd.grad(loss, list(module.parameters()))
    for (name, gradient), other in zip(actual.items(), expected, strict=True):
        assert_close(gradient, other, rtol=1e-4, atol=1e-5, msg=name)


def test_a_fit_learns_from_it_once_an_update_and_records_the_tasks_loss_alone():
    X, y = tiny_copy(random_state=0)
    params = {"learning_rate": 1e-12, "early_stopping": True, "max_epochs": 2}
    wager, inert = (fit(name, X, y, **params) for name in ("wager", "inert"))
    for one, other in zip(wager.history_, inert.history_, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-6)
        assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-6)
        assert one["grad_norm"] > 1.01 * other["grad_norm"]
    rewards = wager.net_.module_.cell.memory.rewards
    assert rewards[0] == wager.net_.progress_.n_updates  # nothing in validation
    wager.predict(X)
    assert rewards[0] == wager.net_.progress_.n_updates


def test_a_fractional_weight_multiplies_a_sequences_loss_and_auxiliary_loss():
    X, y = tiny_copy(random_state=0)
    weight = np.where(np.arange(len(X)) % 2, 0.5, 1.5)
    model = fit("wager", X, y)
    net, module = model.net_, model.net_.module_
    data, _ = model._training_data(X, y, weight, reset=False)
    x, target = data.dataset()[list(range(20))]
    own = x["weight"].flatten(1).amax(1)
    assert len(own.unique()) == 2
    module.zero_grad()
    net.train_step_single((x, target))
    actual = [p.grad.clone() for p in module.parameters()]
    outputs = module(x["x"], x["lengths"])[0]
    losses = nn.functional.binary_cross_entropy_with_logits(
        outputs, target.to(outputs), reduction="none"
    )
    losses = (losses * (x["weight"] > 0)).flatten(1).sum(1)
    state = module.training_state(len(target), 0, 0)
    trace = module(x["x"], x["lengths"], state, return_states="heads")[-1]
    both = losses + module.auxiliary_loss(trace, -losses.detach())
    expected = torch.autograd.grad((own * both).mean(), list(module.parameters()))
    for gradient, other in zip(actual, expected, strict=True):
        assert_close(gradient, other, rtol=1e-4, atol=1e-5)


def test_each_update_has_another_seed_that_follows_from_random_state(monkeypatch):
    X, y = tiny_copy(random_state=0)

    def seeds(**params):
        seen = []

        def recorded(self, batch_size, seed, n_updates):
            if torch.is_grad_enabled():  # not the trial step of a new network
                seen.append((seed, n_updates))
            return self.initial_state(batch_size)

        monkeypatch.setattr(Inert, "training_state", recorded)
        model = fit("inert", X, y, **{"batch_size": 5, **params})
        return seen, model

    first, model = seeds(max_epochs=2)
    assert [n for _, n in first] == list(range(8))
    assert len({seed for seed, _ in first}) == 8
    assert all(seed >= 0 for seed, _ in first)
    assert seeds(max_epochs=2)[0] == first
    assert seeds(max_epochs=2, random_state=1)[0] != first
    seen, model = seeds(max_epochs=1)
    model.partial_fit(X, y)
    assert seen == first  # training goes on where it was


def test_directions_start_from_states_of_their_own():
    network = SequenceNetwork(3, 2, memory="wager", memory_size=4, bidirectional=True)
    states = network.training_state(2, 9, 1)
    clocks = [state.memory.clock[0] for state in states]
    assert clocks[0] != clocks[1]
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    outputs, after, traces = network(x, lengths, states, return_states="heads")
    assert_close(outputs, network(x, lengths)[0])
    for state, clock in zip(after, clocks, strict=True):
        assert torch.equal(state.memory.clock, clock + lengths)
    assert_close(
        network.penalty(traces), network.penalty(network(x, return_states=True)[2])
    )
    with pytest.raises(ValueError, match="cannot start"):
        network(x, state=states.forward)
    with pytest.raises(ValueError, match="state is of 2 sequences"):
        network(x[:1], state=states)


def test_networks_without_one_say_so():
    for memory in ("ntm", None):
        network = SequenceNetwork(3, 2, memory=memory, memory_size=4)
        assert not network.has_auxiliary_loss
        assert network.training_state(2, 0, 0) is None
        with pytest.raises(ValueError, match="no auxiliary loss"):
            network.auxiliary_loss(None, torch.zeros(2))


def test_a_memory_that_uses_inputs_gets_those_of_the_step():
    network = SequenceNetwork(3, 2, memory="watcher", memory_size=4)
    x = torch.randn(2, 5, 3, requires_grad=True)
    assert network.cell.memory.watch.in_features == 3
    _, _, trace = network(x, return_states=True)
    gradient = torch.autograd.grad(trace.interfaces.word[0, 2].sum(), x)[0]
    assert gradient[0, 2].abs().min() > 0
    assert gradient[0, 3:].abs().max() == gradient[1].abs().max() == 0
    patched = SequenceNetwork(3, 2, memory="watcher", patch_size=2, pooling="mean")
    assert patched.cell.memory.watch.in_features == 6


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"auxiliary_loss": lambda self, trace, reward: reward.sum()},
            r"auxiliary_loss returned shape \(\); .*here \(2,\)",
        ),
        (
            {"training_state": lambda self, *sizes: self.initial_state(3)},
            "training_state returned .*like that of initial_state",
        ),
    ],
)
def test_a_memory_that_breaks_this_part_of_the_contract_is_refused(
    monkeypatch, members, message
):
    monkeypatch.setitem(MEMORIES, "broken", type("Broken", (Wager,), members))
    with pytest.raises(TypeError, match=f"Broken.{message}"):
        make_memory("broken", 5, 7, 4, 2, 1)


def test_the_trial_step_leaves_a_memorys_statistics_as_they_are():
    made = make_memory("wager", 5, 7, 4, 2, 1)
    assert not made.rewards.any()


@pytest.mark.parametrize("curriculum", [False, True])
def test_a_fit_with_hard_addressing_is_reproducible_and_leaves_torchs_generator(curriculum):
    X, y = tiny_copy(random_state=0)
    params = {"memory_params": {"addressing": "hard", "curriculum": curriculum}}
    params |= {"batch_size": 5, "max_epochs": 3}
    before = torch.get_rng_state()
    model = fit("dntm", X, y, **params)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(weights_of(model), weights_of(fit("dntm", X, y, **params)))
    other = fit("dntm", X, y, **params, random_state=1)
    assert not torch.equal(weights_of(model), weights_of(other))
    again = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), again)
    rewards = model.net_.module_.cell.memory.rewards
    assert rewards.n_batches > 0
    assert rewards.variance > 0
