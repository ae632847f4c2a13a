"""The NTM: bounds, order of reading and writing, initial memory."""

import pytest
import torch
from network_helpers import (
    HIDDEN,
    LENGTHS,
    N_ROWS,
    WORD,
    hidden_outputs,
    is_present,
    make_inputs,
    make_network,
)
from torch.testing import assert_close

from sknt.memories import NTMInterface, NTMMemory, NTMState
from sknt.nn import CONTROLLERS
from sknt.nn.unroll import map_state

pytestmark = pytest.mark.usefixtures("backend")


def assert_on_simplex(weighting):
    assert (weighting >= 0).all()
    assert_close(weighting.sum(-1), torch.ones_like(weighting[..., 0]))


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_ntms_trace_stays_within_every_bound(controller):
    n_read, n_write, shift_range = 3, 2, 2
    network = make_network(
        controller=controller,
        n_read_heads=n_read,
        n_write_heads=n_write,
        memory_params={"shift_range": shift_range},
    )
    _, _, trace = network(make_inputs(), LENGTHS, return_states=True)
    assert isinstance(trace.states.memory, NTMState)
    assert isinstance(trace.interfaces, NTMInterface)
    state = map_state(lambda s: s[is_present()], trace.states.memory)
    told = map_state(lambda s: s[is_present()], trace.interfaces)

    n_present, n_heads = int(LENGTHS.sum()), n_read + n_write
    assert state.memory.shape == (n_present, N_ROWS, WORD)
    assert state.read_weights.shape == (n_present, n_read, N_ROWS)
    assert state.write_weights.shape == (n_present, n_write, N_ROWS)
    assert told.key.shape == (n_present, n_heads, WORD)
    assert told.shift.shape == (n_present, n_heads, 2 * shift_range + 1)
    for field in (told.strength, told.gate, told.gamma):
        assert field.shape == (n_present, n_heads, 1)
    for field in (told.erase, told.add):
        assert field.shape == (n_present, n_write, WORD)

    for weighting in (state.read_weights, state.write_weights, told.shift):
        assert_on_simplex(weighting)
    for field in (told.gate, told.erase):
        assert (field >= 0).all()
        assert (field <= 1).all()
    for field in (told.key, told.add):
        assert (field.abs() <= 1).all()
    assert (told.strength >= 0).all()
    assert (told.gamma >= 1).all()


def test_reads_see_the_memory_before_the_steps_writes():
    network = make_network(n_read_heads=2)
    x = make_inputs()
    _, _, trace = network(x, return_states=True)
    initial = network.initial_state(len(x)).memory.memory[:, None]
    before = torch.cat([initial, trace.states.memory.memory[:, :-1]], dim=1)
    blended = trace.states.memory.read_weights @ before
    assert_close(trace.states.reads, blended, rtol=0, atol=1e-12)
    after = trace.states.memory.read_weights @ trace.states.memory.memory
    assert not torch.allclose(trace.states.reads, after)


def test_write_heads_write_in_turn_not_at_once():
    # Both heads stay on row 0: no content, no shift, and erase all before they add.
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 2)
    focus = torch.eye(N_ROWS)[:1]
    add = torch.randn(1, 2, WORD)
    interface = NTMInterface(
        key=torch.randn(1, 3, WORD),
        strength=torch.ones(1, 3, 1),
        gate=torch.zeros(1, 3, 1),
        shift=torch.tensor([0.0, 1.0, 0.0]).expand(1, 3, 3),
        gamma=torch.ones(1, 3, 1),
        erase=torch.ones(1, 2, WORD),
        add=add,
    )
    state = NTMState(
        torch.randn(1, N_ROWS, WORD),
        focus.expand(1, 1, N_ROWS),
        focus.expand(1, 2, N_ROWS),
    )
    reads, new = memory.step(interface, state)
    assert_close(new.memory[:, 0], add[:, 1], rtol=0, atol=1e-5)  # at once: the sum
    assert_close(reads[:, 0], state.memory[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_rows", [16, 128])
def test_heads_start_on_row_0_and_learn_where_to_start(n_rows):
    memory = NTMMemory(HIDDEN, n_rows, WORD, 2, 1)
    state = memory.initial_state(3)
    assert state.read_weights.shape == (3, 2, n_rows)
    assert state.write_weights.shape == (3, 1, n_rows)
    for weights in (state.read_weights, state.write_weights):
        assert_on_simplex(weights)
        assert (weights[..., 0] > 0.99).all()
        weights[..., 1].sum().backward(retain_graph=True)
    assert (memory.initial_logits.grad[:, 1] > 0).all()


def test_memory_init_constant_is_1e_6_everywhere_and_not_learned():
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, memory_init="constant")
    initial = memory.initial_state(2).memory
    assert_close(initial, torch.full((2, N_ROWS, WORD), 1e-6))
    assert "initial_memory" not in dict(memory.named_parameters())


def test_memory_init_random_is_within_its_bound_differs_by_row_and_is_not_learned():
    memory = NTMMemory(HIDDEN, 50, 14, 1, 1, memory_init="random")
    initial = memory.initial_state(2).memory
    assert 0.9 / 8 < initial.max() <= 1 / 8  # 1/√(50 + 14)
    assert -1 / 8 <= initial.min() < -0.9 / 8
    assert len(initial[0].unique(dim=0)) == 50
    assert torch.equal(initial[0], initial[1])
    assert "initial_memory" not in dict(memory.named_parameters())


def test_memory_init_learned_is_a_parameter():
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, memory_init="learned")
    memory.initial_state(2).memory.sum().backward()
    assert torch.equal(memory.initial_memory.grad, torch.full((N_ROWS, WORD), 2.0))


@pytest.mark.parametrize("clip", [0.5, 2, None])
def test_the_interface_is_clipped_before_its_activations(clip):
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, interface_clip=clip).double()
    with torch.no_grad():
        memory.projection.weight.zero_()
        memory.projection.bias.fill_(-30.0)
    interface = memory.interface(hidden_outputs(1))
    bound = torch.tensor(-30.0 if clip is None else -float(clip)).double()
    for field, activation in (
        ("key", torch.tanh),
        ("gate", torch.sigmoid),
        ("erase", torch.sigmoid),
        ("add", torch.tanh),
    ):
        value = getattr(interface, field)
        assert_close(value, activation(bound).expand_as(value))
    softplus = torch.log1p(torch.exp(bound))
    assert_close(interface.strength, softplus.expand(1, 2, 1))
    assert_close(interface.gamma, (1 + softplus).expand(1, 2, 1))
