"""What holds for every memory of the registry."""

import pytest
import torch
from helpers import leaves
from network_helpers import (
    ANY_MEMORY,
    HIDDEN,
    N_INPUTS,
    N_ROWS,
    WORD,
    assert_states_close,
    gradients,
    hidden_outputs,
    randomize,
    some_loss,
)
from torch.testing import assert_close

from sknt.memories import make_memory
from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("backend")


def make_any_memory(memory, n_read_heads=2, n_write_heads=2):
    sizes = (HIDDEN, N_ROWS, WORD, n_read_heads, n_write_heads)
    return randomize(make_memory(memory, *sizes, n_inputs=N_INPUTS)).double()


def interface_of(made, hidden):
    if not made.uses_inputs:
        return made.interface(hidden)
    return made.interface(hidden, hidden[:, :N_INPUTS])


def assert_is_state(state, n_sequences):
    assert isinstance(state, tuple)
    assert hasattr(state, "_fields")
    for leaf in leaves(state):
        assert isinstance(leaf, torch.Tensor)
        assert leaf.shape[0] == n_sequences


@pytest.mark.parametrize("n_sequences", [1, 3])
@ANY_MEMORY
def test_initial_states_and_interfaces_are_namedtuples_of_batch_first_tensors(
    memory, n_sequences
):
    made = make_any_memory(memory)
    state = made.initial_state(n_sequences)
    assert_is_state(state, n_sequences)
    for leaf in leaves(state):
        assert torch.equal(leaf, leaf[:1].expand_as(leaf))  # one copy per sequence
    assert_is_state(interface_of(made, hidden_outputs(n_sequences)), n_sequences)


@pytest.mark.parametrize(("n_read_heads", "n_write_heads"), [(1, 1), (3, 1), (1, 2)])
@ANY_MEMORY
def test_a_step_gives_reads_of_every_head_and_a_state_like_the_one_given(
    memory, n_read_heads, n_write_heads
):
    made = make_any_memory(memory, n_read_heads, n_write_heads)
    assert (made.n_read_heads, made.word_size) == (n_read_heads, WORD)
    state = made.initial_state(3)
    for _ in range(3):
        reads, new = made.step(interface_of(made, hidden_outputs()), state)
        assert reads.shape == (3, n_read_heads, WORD)
        assert reads.isfinite().all()
        assert type(new) is type(state)
        for one, other in zip(leaves(new), leaves(state), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert one.isfinite().all()
        state = new


@ANY_MEMORY
def test_a_step_does_not_change_the_state_or_the_interface_given(memory):
    made = make_any_memory(memory)
    state = made.initial_state(3)
    for _ in range(2):
        interface = interface_of(made, hidden_outputs())
        given = [*leaves(state), *leaves(interface)]
        copies = [leaf.clone() for leaf in given]
        versions = [leaf._version for leaf in given]
        _, state = made.step(interface, state)
        assert all(map(torch.equal, given, copies))
        assert [leaf._version for leaf in given] == versions


@ANY_MEMORY
def test_a_step_changes_what_the_next_one_reads(memory):
    made = make_any_memory(memory)
    interface = interface_of(made, hidden_outputs())
    first, state = made.step(interface, made.initial_state(3))
    second, _ = made.step(interface, state)
    assert (first - second).abs().max() > 1e-3


@ANY_MEMORY
def test_sequences_of_a_batch_do_not_see_each_other(memory):
    made = make_any_memory(memory)
    hiddens = [hidden_outputs() for _ in range(3)]

    def run(rows):
        state = made.initial_state(len(hiddens[0][rows]))
        for hidden in hiddens:
            reads, state = made.step(interface_of(made, hidden[rows]), state)
        return reads, state

    reads, state = run(slice(None))
    for i in range(3):
        alone_reads, alone_state = run(slice(i, i + 1))
        assert_close(alone_reads, reads[i : i + 1], rtol=0, atol=1e-12)
        beside = map_state(lambda s, i=i: s[i : i + 1], state)
        assert_states_close(alone_state, beside, rtol=0, atol=1e-12)


@ANY_MEMORY
def test_gradients_of_the_reads_flow_to_all_parameters_of_a_memory(memory):
    made = make_any_memory(memory)
    state, loss = made.initial_state(3), 0
    for _ in range(3):
        reads, state = made.step(interface_of(made, hidden_outputs()), state)
        loss = loss + some_loss(reads)
    for name, gradient in gradients(made, loss).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name
