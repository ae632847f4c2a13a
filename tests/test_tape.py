"""Gradients in training, which the kernels add themselves, are those of autograd."""

import copy
import gc
import pickle
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn.utils import parametrize

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.datasets import make_copy
from sknt.memories import MEMORIES
from sknt.nn import SequenceNetwork

SIZES = {"memory_size": 9, "word_size": 6, "hidden_size": 7}
HARD = {"memory": "dntm", "memory_params": {"addressing": "hard", "n_hops": 2}}


def make_network(**params):
    torch.manual_seed(0)
    network = SequenceNetwork(3, 2, **SIZES, **{"memory": "ntm", **params})
    with torch.no_grad():
        for parameter in network.parameters():  # so that no gradient is zero by symmetry
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def gradients(network, run, return_states=False):
    """Return what the parameters' gradients become, from a loss of all results."""
    network.zero_grad()
    torch.manual_seed(1)
    x, lengths = torch.randn(5, 8, 3), torch.tensor([8, 3, 6, 1, 8])
    state = network.training_state(5, 3, 0)
    outputs, *rest = run(x, lengths, state, return_states)
    loss = (outputs * torch.randn_like(outputs)).sum()
    if return_states:
        loss = loss + network.penalty(rest[-1]).sum()
    if network.has_auxiliary_loss and return_states:
        loss = loss + network.auxiliary_loss(rest[-1], torch.linspace(-2, -1, 5)).sum()
    loss.backward()
    return {
        name: None if p.grad is None else p.grad.clone()
        for name, p in network.named_parameters()
    }


def on_tape(network, return_states=False):
    tape = network.start_tape()
    added = {}

    def run(*args):
        return network.run_on_tape(tape, *args)

    gradients(network, run, return_states)
    tape.backward()
    for name, parameter in network.named_parameters():
        added[name] = parameter.grad
    return added


def assert_same(ours, of_autograd):
    for name, gradient in of_autograd.items():
        if gradient is None:
            assert ours[name] is None, name
        else:
            assert_array_equal(ours[name].numpy(), gradient.numpy(), err_msg=name)


def assert_fit_needs_no_tape(fit, monkeypatch):
    """Check that a fit without a tape gives the same weights."""
    taped = fit().net_.module_.state_dict()
    monkeypatch.setattr(SequenceNetwork, "start_tape", lambda self: None)
    assert_same(taped, fit().net_.module_.state_dict())


KINDS = [{"memory": name} for name in [*MEMORIES, None]] + [
    HARD,
    {"controller": "gru", "n_layers": 2},
    {"controller": "feedforward"},
    {"bidirectional": True, "pooling": "mean"},
    {"patch_size": 2, "pooling": "concat"},
    {**HARD, "bidirectional": True, "pooling": "last"},
]


@pytest.mark.other_memory
@pytest.mark.parametrize("params", KINDS, ids=str)
@pytest.mark.parametrize("return_states", [False, "heads"])
def test_a_tape_adds_the_gradients_of_autograd(params, return_states):
    network = make_network(**params)
    return_states = return_states if network.has_memory else False
    of_autograd = gradients(network, network, return_states)
    assert any(g is not None and g.abs().max() > 0 for g in of_autograd.values())
    assert_same(on_tape(network, return_states), of_autograd)


def test_frozen_parameters_get_no_gradient():
    network = make_network()
    network.cell.memory.projection.weight.requires_grad_(False)
    network.cell.initial_reads.requires_grad_(False)
    of_autograd = gradients(network, network)
    assert of_autograd["cell.memory.projection.weight"] is None
    assert_same(on_tape(network), of_autograd)


def test_hooks_of_parameters_are_called():
    network, seen = make_network(), []
    weight = network.cell.memory.projection.weight
    weight.register_hook(lambda gradient: seen.append(gradient) or 2 * gradient)
    assert_same(on_tape(network), gradients(network, network))
    assert len(seen) == 2


def test_gradients_are_added_to_those_that_are_there():
    network = make_network()
    once = on_tape(network)
    once = {name: gradient.clone() for name, gradient in once.items()}
    tape = network.start_tape()
    x, lengths = torch.randn(5, 8, 3), torch.tensor([8, 3, 6, 1, 8])
    network.run_on_tape(tape, x, lengths)[0].sum().backward()
    tape.backward()
    network_grads = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    network(x, lengths)[0].sum().backward()
    for name, parameter in network.named_parameters():
        expected = once[name] + parameter.grad
        assert_array_equal(network_grads[name].numpy(), expected.numpy(), err_msg=name)


@pytest.mark.parametrize("what", ["module hook", "subclass", "anomalies", "no gradients"])
def test_autograd_sees_what_has_to_be_seen(what):
    network = make_network()
    if what == "module hook":
        network.register_full_backward_hook(lambda *_: None)
    if what == "subclass":
        network.__class__ = type("Own", (SequenceNetwork,), {"forward": lambda *_: None})
    looks_closely = torch.autograd.set_detect_anomaly(what == "anomalies", check_nan=False)
    with looks_closely, torch.set_grad_enabled(what != "no gradients"):
        assert network.start_tape() is None


def test_a_parametrized_layer_is_trained_as_without_a_tape():
    network = make_network()
    parametrize.register_parametrization(network.readout, "weight", torch.nn.Tanh())
    of_autograd = gradients(network, network)
    assert of_autograd["readout.parametrizations.weight.original"].abs().max() > 0
    assert_same(on_tape(network), of_autograd)


def test_a_layer_that_is_exchanged_is_used():
    network, other = make_network(), make_network()
    on_tape(network)
    network.readout = other.readout
    network.cell.memory.projection.weight = torch.nn.Parameter(
        0.5 * network.cell.memory.projection.weight.detach()
    )
    of_autograd = gradients(network, network)
    assert of_autograd["cell.memory.projection.weight"] is not None
    assert_same(on_tape(network), of_autograd)


def test_what_was_found_out_about_a_network_is_not_copied():
    network = make_network()
    network(torch.randn(1, 2, 3))
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    assert network.cell.known.structure is not None
    for other in copies:
        assert other.cell.known.structure is None
        assert_same(on_tape(other), gradients(network, network))


def test_a_network_that_is_not_used_any_more_is_deleted():
    network = make_network()
    on_tape(network)
    gone = weakref.ref(network.cell)
    del network
    gc.collect()
    assert gone() is None


def test_results_without_a_backward_pass_are_deleted_at_once():
    network = make_network()
    outputs, state, trace = network(torch.randn(2, 3, 3), return_states=True)
    gone = [weakref.ref(part) for part in (outputs, trace.states.reads)]
    gc.disable()
    try:
        del outputs, state, trace
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


@pytest.mark.other_memory
@pytest.mark.parametrize("memory", [*MEMORIES, None])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_fits_are_the_same_without_a_tape(memory, optimizer, monkeypatch):
    X, y = make_copy(24, max_length=4, random_state=0)
    params = {**SIZES, "memory": memory, "optimizer": optimizer, "batch_size": 4}

    def fit():
        model = NTMSequenceClassifier(
            return_sequences=True, max_epochs=3, random_state=0, **params
        )
        return model.fit(X, y)

    assert_fit_needs_no_tape(fit, monkeypatch)


def test_regression_of_whole_sequences_is_the_same_without_a_tape(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 6, 2)), rng.normal(size=(20, 2))

    def fit():
        model = NTMSequenceRegressor(
            **SIZES, max_epochs=3, n_convolutions=0, random_state=0, bidirectional=True
        )
        return model.fit(X, y)

    assert_fit_needs_no_tape(fit, monkeypatch)


@pytest.mark.parametrize("runs_on_tape", [False, True])
def test_what_is_not_learned_of_the_first_state_has_no_gradient(runs_on_tape, monkeypatch):
    network = make_network(memory="sam", memory_params={"n_nearest": 2})
    sizes, add_up = [], torch.Tensor.sum
    monkeypatch.setattr(
        torch.Tensor,
        "sum",
        lambda self, *a, **k: sizes.append(self.numel()) or add_up(self, *a, **k),
    )
    tape = network.start_tape() if runs_on_tape else None
    x = torch.randn(5, 8, 3)
    results = network.run_on_tape(tape, x) if runs_on_tape else network(x)
    results[0].square().mean().backward()
    if runs_on_tape:
        tape.backward()
    largest_learned = 5 * max(SIZES["hidden_size"], SIZES["word_size"])
    assert sizes
    assert max(sizes) <= largest_learned < 5 * SIZES["memory_size"] * SIZES["word_size"]


def test_a_subclass_may_choose_the_state_that_training_starts_from():
    class Elsewhere(SequenceNetwork):
        seeds: ClassVar = []

        def training_state(self, batch_size, seed, n_updates):
            self.seeds.append(seed)
            return self.initial_state(batch_size)

    X, y = make_copy(8, max_length=3, random_state=0)
    NTMSequenceClassifier(
        **SIZES,
        return_sequences=True,
        max_epochs=1,
        random_state=0,
        net_params={"module": Elsewhere},
    ).fit(X, y)
    assert len(set(Elsewhere.seeds)) == 2
