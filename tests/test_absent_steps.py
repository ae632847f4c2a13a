"""Values after the end of a sequence change nothing."""

import pytest
import torch
from helpers import leaves
from network_helpers import (
    ANY_NETWORK,
    LENGTHS,
    N_OUTPUTS,
    N_STEPS,
    assert_states_close,
    gradients,
    is_present,
    make_inputs,
    make_network,
    some_loss,
)
from torch.testing import assert_close

from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("fill", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_values_after_a_sequences_end_change_nothing(
    memory, controller, return_states, fill
):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    expected, expected_state = network(x, LENGTHS)
    expected_gradients = gradients(network, some_loss(expected))

    filled = torch.where(is_present()[..., None], x, fill).requires_grad_()
    outputs, state, *trace = network(filled, LENGTHS, return_states=return_states)
    assert_close(outputs, expected, rtol=0, atol=1e-12)
    assert_states_close(state, expected_state, rtol=0, atol=1e-12)
    assert all(leaf.isfinite().all() for leaf in leaves(trace))
    loss = some_loss(outputs)
    x_gradient = torch.autograd.grad(loss, filled, retain_graph=True)[0]
    assert x_gradient.isfinite().all()
    assert (x_gradient[~is_present()] == 0).all()
    assert (x_gradient[is_present()] != 0).any()
    assert_close(gradients(network, loss), expected_gradients, rtol=1e-9, atol=1e-12)


@ANY_NETWORK
def test_a_sequence_gives_the_same_alone_as_beside_longer_ones(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    outputs, state = network(x, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone, alone_state = network(x[i : i + 1, :length])
        assert_close(alone[0], outputs[i, :length], rtol=0, atol=1e-12)
        beside = map_state(lambda s, i=i: s[i : i + 1], state)
        assert_states_close(alone_state, beside, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_absent", [0, 3])
@ANY_NETWORK
def test_outputs_after_the_end_are_zeros(memory, controller, n_absent):
    network = make_network(memory, controller=controller)
    n_steps = N_STEPS + n_absent
    outputs, _ = network(make_inputs(n_steps), LENGTHS)
    present = is_present(n_steps=n_steps)
    assert outputs.shape == (len(LENGTHS), n_steps, N_OUTPUTS)
    assert (outputs[~present] == 0).all()
    assert (outputs[present] != 0).all()


@ANY_NETWORK
def test_lengths_of_none_mean_all_the_steps(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    outputs, state = network(x)
    full, full_state = network(x, torch.full((len(x),), N_STEPS))
    assert torch.equal(outputs, full)
    assert all(map(torch.equal, leaves(state), leaves(full_state)))
