"""States carried from call to call, and traces."""

import pytest
import torch
from helpers import leaves
from network_helpers import (
    ANY_NETWORK,
    LENGTHS,
    N_STEPS,
    assert_states_close,
    gradients,
    is_present,
    make_inputs,
    make_network,
    some_loss,
)
from torch.testing import assert_close

from sknt.memories import MEMORIES
from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_carrying_the_state_through_two_halves_equals_one_run(
    memory, controller, return_states
):
    network = make_network(memory, controller=controller, n_layers=2)
    lengths, half = torch.tensor([5, 8, 7, 5]), 4
    x = make_inputs(8)
    whole, whole_state = network(x, lengths)
    first, state, *_ = network(x[:, :half], return_states=return_states)
    second, state, *_ = network(
        x[:, half:], lengths - half, state, return_states=return_states
    )
    outputs = torch.cat([first, second], dim=1)
    assert_close(outputs, whole, rtol=0, atol=1e-12)
    assert_states_close(state, whole_state, rtol=0, atol=1e-12)
    # The gradient goes back through the state that was carried.
    expected = gradients(network, some_loss(whole))
    actual = gradients(network, some_loss(outputs))
    assert_close(actual, expected, rtol=1e-9, atol=1e-12)


@ANY_NETWORK
def test_starting_from_the_initial_state_is_the_default(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    given, _ = network(x, LENGTHS, network.initial_state(len(x)))
    assert torch.equal(given, network(x, LENGTHS)[0])


@ANY_NETWORK
def test_the_final_state_is_the_traces_at_each_sequences_last_step(memory, controller):
    network = make_network(memory, controller=controller, n_layers=2)
    _, state, trace = network(make_inputs(), LENGTHS, return_states=True)
    sequences = torch.arange(len(LENGTHS))
    last = map_state(lambda s: s[sequences, LENGTHS - 1], trace.states)
    assert type(last) is type(state)
    assert all(map(torch.equal, leaves(last), leaves(state)))


@ANY_NETWORK
def test_the_trace_is_batch_first_with_zeros_after_the_end(memory, controller):
    network = make_network(memory, controller=controller)
    _, state, trace = network(make_inputs(), LENGTHS, return_states=True)
    assert len(leaves(trace.states)) == len(leaves(state))
    for final, steps in zip(leaves(state), leaves(trace.states), strict=True):
        assert steps.shape == (len(LENGTHS), N_STEPS, *final.shape[1:])
    for steps in leaves(trace):
        assert steps.shape[:2] == (len(LENGTHS), N_STEPS)
        assert (steps[~is_present()] == 0).all()


@pytest.mark.parametrize("memory", [*MEMORIES, None])
def test_the_trace_has_as_many_steps_as_the_outputs(memory):
    network = make_network(memory)
    outputs, _, trace = network(make_inputs(N_STEPS + 2), LENGTHS, return_states=True)
    for steps in leaves(trace):
        assert steps.shape[:2] == outputs.shape[:2]
