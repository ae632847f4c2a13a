"""The network as a module: nothing assigned, everything saved."""

import numpy as np
import pytest
import torch
from network_helpers import ANY_NETWORK, LENGTHS, make_inputs, make_network

from sknt.nn import SequenceNetwork
from sknt.nn.controllers import WEIGHT_GAIN

pytestmark = pytest.mark.usefixtures("backend")


def snapshot(network):
    """All attributes of the modules; containers are copied one level deep."""
    found = {}
    for path, module in network.named_modules():
        for key, value in vars(module).items():
            found[path, key] = value
            if isinstance(value, dict):
                found |= {(path, key, inner): v for inner, v in value.items()}
            elif isinstance(value, list | tuple):
                found |= {(path, key, i): v for i, v in enumerate(value)}
    return found


@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_a_forward_pass_assigns_nothing_to_the_modules(memory, controller, return_states):
    network = make_network(memory, controller=controller)
    before = snapshot(network)
    values = {name: value.clone() for name, value in network.state_dict().items()}
    network(make_inputs(), LENGTHS, return_states=return_states)
    after = snapshot(network)
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] is not after[key]] == []
    for name, value in network.state_dict().items():
        assert torch.equal(value, values[name]), name


@ANY_NETWORK
def test_a_state_dict_holds_everything(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    other = make_network(memory, controller=controller)
    expected = network(x, LENGTHS)[0]
    assert not torch.equal(other(x, LENGTHS)[0], expected)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x, LENGTHS)[0], expected)


@pytest.mark.parametrize("controller", ["lstm", "gru"])
def test_recurrent_controllers_start_wide_and_without_bias_beside_a_memory(controller):
    network = SequenceNetwork(3, 2, word_size=4, hidden_size=30, controller=controller)
    bound = WEIGHT_GAIN / np.sqrt(3 + 4 + 30)
    for weight_ih, weight_hh, *biases in network.cell.controller.all_weights:
        for weight in (weight_ih, weight_hh):
            assert 0.9 * bound < weight.abs().max() <= bound
        assert all((bias == 0).all() for bias in biases)
    bare = SequenceNetwork(3, 2, memory=None, hidden_size=30, controller=controller)
    # Without one they are torch's own: U(±1/√units), biases too.
    for parameters in bare.cell.controller.all_weights:
        for parameter in parameters:
            assert 0 < parameter.abs().max() <= 1 / np.sqrt(30)
