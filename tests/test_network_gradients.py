"""Gradients of the network."""

import pytest
import torch
from helpers import leaves
from network_helpers import (
    ANY_NETWORK,
    LENGTHS,
    SMOOTH,
    backend_of,
    gradients,
    is_present,
    make_inputs,
    make_network,
    some_loss,
)
from torch.autograd import gradcheck
from torch.func import functional_call

from sknt.nn import CONTROLLERS, SequenceNetwork

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize(
    ("memory", "controller", "n_layers", "n_heads"),
    [
        *((m, "lstm", 1, 1) for m in [*SMOOTH, None]),
        *(
            pytest.param(m, *sizes, marks=pytest.mark.slow)
            for m in [*SMOOTH, None]
            for sizes in [*((c, 1, 1) for c in CONTROLLERS if c != "lstm"), ("lstm", 2, 2)]
        ),
    ],
)
def test_gradients_equal_finite_differences(memory, controller, n_layers, n_heads):
    network = SequenceNetwork(
        2,
        1,
        memory=memory,
        memory_size=3,
        word_size=2,
        n_read_heads=n_heads,
        n_write_heads=n_heads,
        controller=controller,
        hidden_size=2,
        n_layers=n_layers,
        backend=backend_of(memory),
    )
    network.double()
    with torch.no_grad():  # saturated gates would leave no gradient to compare
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
    names, parameters = zip(*network.named_parameters(), strict=True)
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)

    def outputs_and_state(x, *values):
        lengths = torch.tensor([2, 3])
        values = dict(zip(names, values, strict=True))
        outputs, state = functional_call(network, values, (x, lengths))
        return outputs, *leaves(state)

    assert gradcheck(outputs_and_state, (x, *parameters))


@ANY_NETWORK
def test_every_parameter_has_a_gradient_including_learned_initial_states(
    memory, controller
):
    network = make_network(memory, controller=controller, n_layers=2)
    outputs, _ = network(make_inputs(), LENGTHS)
    for name, gradient in gradients(network, some_loss(outputs)).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


@pytest.mark.parametrize("weights", ["read_weights", "write_weights"])
def test_a_loss_on_the_traces_weightings_reaches_the_heads_projection(weights):
    network = make_network(n_read_heads=2, n_write_heads=2)
    _, _, trace = network(make_inputs(), LENGTHS, return_states=True)
    weighting = getattr(trace.states.memory, weights)
    entropy = -(weighting * torch.log(weighting + 1e-12))[is_present()].sum()
    gradient = torch.autograd.grad(entropy, network.cell.memory.projection.weight)[0]
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-3
