"""The DNC: worked examples, loops over the equations, gradients, bounds, options."""

import itertools

import numpy as np
import pytest
import reference_dnc
import torch
from network_helpers import HIDDEN, N_ROWS, WORD, hidden_outputs
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt import ops
from sknt.memories import DNCInterface, DNCMemory, DNCState, Trace
from sknt.nn import SequenceNetwork
from sknt.nn.unroll import map_state

REPAIRS = ("masked_content", "deallocate", "sharpen_links")
AS_IN_THE_PAPER = dict.fromkeys(REPAIRS, False)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def numbers(values):
    return torch.tensor(values, dtype=torch.float64)


def make_dnc(n_read_heads=2, n_write_heads=1, memory_size=N_ROWS, **options):
    """A memory with weights far from their initial values: heads address sharply."""
    memory = DNCMemory(HIDDEN, memory_size, WORD, n_read_heads, n_write_heads, **options)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.normal_(std=2.0)
    return memory.double()


def run(memory, n_steps):
    """Step a memory from its initial state; return its trace and what it read."""
    state, states, interfaces, reads = memory.initial_state(3), [], [], []
    for _ in range(n_steps):
        interfaces.append(memory.interface(hidden_outputs()))
        read, state = memory.step(interfaces[-1], state)
        states.append(state)
        reads.append(read)

    def stack(*steps):
        return torch.stack(steps, dim=1)

    return Trace(map_state(stack, *states), map_state(stack, *interfaces)), stack(*reads)


# Worked examples


@pytest.mark.parametrize(
    ("key", "strength", "expected"),
    [
        ([5, 6], 10, [0.27839532, 0.3584349, 0.36316978]),
        ([1, -1], 1, [0.29034274, 0.34580274, 0.36385452]),
    ],
)
def test_content_weightings_of_worked_examples(key, strength, expected):
    memory = numbers([[[1, 2], [3, 4], [5, 6]]])
    key, strength = numbers([[key]]), numbers([[[strength]]])
    for mask in (None, torch.ones_like(key)):
        weighting = ops.masked_content_weighting(key, strength, memory, mask)
        assert_close(weighting, numbers([[expected]]), rtol=0, atol=1e-7)


THREE_STEPS = [
    {
        "key": [[0.2, 0.7], [-0.3, 0.4], [0.5, -0.5]],
        "strength": [3, 1.5, 2],
        "modes": [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]],
        "free_gate": [0.3, 0.6],
        "allocation_gate": [0.7],
        "write_gate": [0.9],
        "erase": [[0.8, 0.1]],
        "add": [[0.9, -0.4]],
    },
    {
        "key": [[0.9, -0.3], [0.4, 0.4], [-0.1, 0.9]],
        "strength": [4, 2, 5],
        "modes": [[0.6, 0.1, 0.3], [0.3, 0.3, 0.4]],
        "free_gate": [0.9, 0.1],
        "allocation_gate": [0.95],
        "write_gate": [0.8],
        "erase": [[0.2, 0.9]],
        "add": [[-0.7, 0.6]],
    },
    {
        "key": [[-0.7, 0.6], [0.1, 0.2], [0.9, -0.4]],
        "strength": [6, 9, 8],
        "modes": [[0.3, 0.3, 0.4], [0, 0.1, 0.9]],
        "free_gate": [0.5, 0.5],
        "allocation_gate": [0.1],
        "write_gate": [1],
        "erase": [[1, 1]],
        "add": [[0.1, 0.2]],
    },
]
"""Keys and strengths of the two read heads first, then the write head's."""

LAST_READS = [[-0.25184265, 0.2082687], [0.01024328, 0.03559805]]


def test_three_steps_of_a_worked_example():
    memory = DNCMemory(4, 3, 2, 2, 1, **AS_IN_THE_PAPER).double()
    state = memory.initial_state(1)._replace(
        memory=numbers([[[0.1, -0.2], [0.3, 0.1], [-0.2, 0.4]]])
    )
    plain = {name: field[0].numpy() for name, field in state._asdict().items()}
    for told in THREE_STEPS:
        fields = {name: numbers([values]) for name, values in told.items()}
        for name in ("strength", "free_gate", "allocation_gate", "write_gate"):
            fields[name] = fields[name].unsqueeze(-1)
        fields |= {"mask": torch.zeros(1, 3, 0), "sharpness": torch.zeros(1, 2, 0)}
        reads, state = memory.step(DNCInterface(**fields), state)
        told = {name: field[0].numpy() for name, field in fields.items()}
        plain_reads, plain = reference_dnc.step(told, plain, epsilon=0)
    assert_close(reads[0], numbers(LAST_READS), rtol=0, atol=1e-6)
    np.testing.assert_allclose(plain_reads, LAST_READS, rtol=0, atol=1e-8)


# Against loops


@pytest.mark.parametrize("repairs", [*itertools.product([False, True], repeat=3)])
@pytest.mark.parametrize(
    "heads", [(1, 1), (2, 1), (3, 2), (1, 3)], ids=lambda heads: f"{heads[0]}r{heads[1]}w"
)
def test_steps_equal_loops_over_the_equations(heads, repairs):
    options = dict(zip(REPAIRS, repairs, strict=True))
    memory = make_dnc(*heads, **options)
    trace, reads = run(memory, 5)
    for i in range(3):
        initial = memory.initial_state(1)._asdict().items()
        plain = {name: field[0].numpy() for name, field in initial}
        for t in range(5):
            told = {
                name: field[i, t].detach().numpy()
                for name, field in trace.interfaces._asdict().items()
            }
            expected, plain = reference_dnc.step(told, plain, options["deallocate"])
            np.testing.assert_allclose(reads[i, t].detach(), expected, rtol=0, atol=1e-10)
            for name, values in plain.items():
                actual = getattr(trace.states, name)[i, t].detach()
                np.testing.assert_allclose(actual, values, rtol=0, atol=1e-10, err_msg=name)
    # Uniform weightings would agree whatever the addressing did.
    weights = trace.states.read_weights
    assert (weights.amax(-1) > 2 * weights.mean(-1)).any()


def test_the_interface_is_what_the_papers_say():
    memory = make_dnc(2, 2, interface_clip=3.0)
    hidden = hidden_outputs()
    raw = memory.split_interface(memory.projection(hidden).clamp(-3, 3))
    told = memory.interface(hidden)
    assert raw.key.abs().max() == 3  # some are clipped
    sigmoid, oneplus = torch.sigmoid, lambda x: 1 + torch.log1p(torch.exp(x))
    for name in ("key", "add"):
        assert torch.equal(getattr(told, name), getattr(raw, name))
    for name in ("strength", "sharpness"):
        assert_close(getattr(told, name), oneplus(getattr(raw, name)))
    for name in ("free_gate", "allocation_gate", "write_gate", "erase"):
        assert_close(getattr(told, name), sigmoid(getattr(raw, name)))
    assert_close(told.mask, 0.01 + 0.99 * sigmoid(raw.mask))
    assert_close(told.modes, torch.softmax(raw.modes, -1))


@pytest.mark.parametrize("repairs", [(False, False, False), (True, True, True)])
@pytest.mark.parametrize("n_write_heads", [1, 2])
def test_gradients_of_a_step_equal_finite_differences(n_write_heads, repairs):
    memory = make_dnc(2, n_write_heads, 4, **dict(zip(REPAIRS, repairs, strict=True)))
    trace, _ = run(memory, 4)  # by then nothing is 0, and no two rows are used alike
    state = map_state(lambda s: s[:1, -1].detach().requires_grad_(), trace.states)
    told = map_state(lambda s: s[:1, 0].detach().requires_grad_(), trace.interfaces)

    def step(*fields):
        interface, before = fields[: len(told)], fields[len(told) :]
        reads, after = memory.step(DNCInterface(*interface), DNCState(*before))
        return reads, *after

    assert gradcheck(step, (*told, *state))


# Bounds


@pytest.mark.parametrize("n_write_heads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dnc_stays_within_every_bound(dtype, n_write_heads):
    memory = make_dnc(2, n_write_heads).to(dtype)
    state = memory.initial_state(3)
    for _ in range(40):
        told = memory.interface(hidden_outputs().to(dtype))
        _, state = memory.step(told, state)
        for weighting in (state.read_weights, state.write_weights, state.precedence):
            assert (weighting >= -1e-6).all()
            assert (weighting.sum(-1) <= 1 + 1e-5).all()
        assert (state.usage >= -1e-6).all()
        assert (state.usage <= 1 + 1e-6).all()
        assert (state.links >= -1e-6).all()
        for axis in (-1, -2):
            assert (state.links.sum(axis) <= 1 + 1e-5).all()
        assert not state.links.diagonal(dim1=-2, dim2=-1).any()
        assert (told.strength >= 1).all()
        assert (told.sharpness >= 1).all()
        assert_close(told.modes.sum(-1), torch.ones(3, 2, dtype=dtype))


def saturated(memory, **raw):
    """An interface with these numbers before its activations, and 0 elsewhere."""
    fields = memory.split_interface(torch.zeros_like(memory.projection.bias))
    for name, value in raw.items():
        getattr(fields, name)[:] = torch.as_tensor(value, dtype=torch.float64)
    columns = torch.cat([field.flatten() for field in fields])
    with torch.no_grad():
        memory.projection.weight.zero_()
        memory.projection.bias.copy_(columns)
    return memory.interface(hidden_outputs(1))


def write_anew(memory, state, word):
    """Replace what is in the freest row by a word; free nothing."""
    gates = {"write_gate": 20.0, "allocation_gate": 20.0, "erase": 20.0, "free_gate": -20.0}
    return memory.step(saturated(memory, add=word, **gates), state)[1]


def test_writes_go_to_free_rows_and_links_read_them_back_in_their_order():
    memory = make_dnc(1, 1)
    words = torch.randn(5, WORD, dtype=torch.float64)
    state, rows = memory.initial_state(1), []
    for word in words:
        state = write_anew(memory, state, word)
        rows.append(state.write_weights[0, 0].argmax().item())
    assert len(set(rows)) == 5
    assert_close(state.memory[0, rows], words, rtol=0, atol=1e-5)

    only_read = {"write_gate": -20.0, "free_gate": -20.0}
    first = {"modes": [0.0, 20.0, 0.0], "key": words[0], "strength": 20.0}
    then = {"modes": [0.0, 0.0, 20.0]}
    read = []
    for how in [first, then, then, then, then]:
        reads, state = memory.step(saturated(memory, **only_read, **how), state)
        read.append(reads[0, 0])
    assert torch.cdist(words, words).add(torch.eye(5)).min() > 0.5
    assert_close(torch.stack(read), words, rtol=0, atol=0.05)


@pytest.mark.parametrize("deallocate", [False, True])
def test_a_row_that_was_freed_is_used_again_and_cleared_if_deallocated(deallocate):
    memory = make_dnc(1, 1, memory_size=3, deallocate=deallocate)
    words = 2 * torch.eye(WORD, dtype=torch.float64)[:3]
    state, rows = memory.initial_state(1), []
    for word in words:
        state = write_anew(memory, state, word)
        rows.append(state.write_weights[0, 0].argmax().item())
    assert sorted(rows) == [0, 1, 2]
    look_up = {"modes": [0.0, 20.0, 0.0], "key": words[1], "strength": 20.0}
    _, state = memory.step(
        saturated(memory, write_gate=-20.0, free_gate=-20.0, **look_up), state
    )
    assert state.read_weights[0, 0, rows[1]] > 0.99
    _, state = memory.step(saturated(memory, write_gate=-20.0, free_gate=20.0), state)
    assert state.usage[0].argmin() == rows[1]
    left = state.memory[0, rows[1]].norm()
    assert left < 0.1 if deallocate else left > 1.9
    state = write_anew(memory, state, words[0])
    assert state.write_weights[0, 0].argmax() == rows[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_init", ["constant", "random", "learned"])
@pytest.mark.parametrize("value", [-20.0, 20.0])
def test_gradients_are_finite_for_saturated_gates(value, memory_init, dtype):
    memory = DNCMemory(HIDDEN, N_ROWS, WORD, 2, 2, memory_init=memory_init).to(dtype)
    fields = memory.split_interface(torch.zeros_like(memory.projection.bias))
    gates = ("free_gate", "allocation_gate", "write_gate", "erase", "mask", "sharpness")
    with torch.no_grad():
        fields = [
            torch.full_like(f, value) if name in gates else f
            for name, f in fields._asdict().items()
        ]
        memory.projection.bias.copy_(torch.cat([f.flatten() for f in fields]))
    state, loss = memory.initial_state(3), 0
    for _ in range(12):
        reads, state = memory.step(memory.interface(hidden_outputs().to(dtype)), state)
        loss = loss + reads.square().sum()
    loss.backward()
    for name, parameter in memory.named_parameters():
        assert parameter.grad.isfinite().all(), name


# What a trace tells


def test_weightings_show_heads_and_usage():
    memory = make_dnc(2, 1)
    trace, _ = run(memory, 4)
    shown = memory.weightings(trace)
    assert list(shown) == ["write head 0", "read head 0", "read head 1", "usage"]
    assert torch.equal(shown["read head 1"], trace.states.read_weights[:, :, 1])
    assert torch.equal(shown["usage"], trace.states.usage)


@pytest.mark.parametrize("repair", [False, True])
def test_parts_name_each_row_of_the_projection_once(repair):
    memory = DNCMemory(HIDDEN, N_ROWS, WORD, 2, 3, **dict.fromkeys(REPAIRS, repair))
    parts = memory.parts()
    marks = torch.arange(len(memory.projection.bias))
    fields = memory.split_interface(marks)
    named = []
    for part, places in parts.items():
        owner, field = part.split(": ")
        kind, _, number = owner.split()
        number = int(number)
        if kind == "write" and field in ("key", "strength", "mask"):
            number += 2  # after the read heads
        rows = marks[places["projection.bias"]]
        assert torch.equal(rows, getattr(fields, field)[number]), part
        named += rows.tolist()
    assert named == marks.tolist()


def test_the_penalty_counts_what_is_written_and_nothing_after_the_end():
    memory = make_dnc(2, 2)
    trace, _ = run(memory, 4)
    told = trace.interfaces
    penalty = memory.penalty(trace)
    expected = sum(
        0.03 * g**2 * (e.square().sum(-1, keepdim=True) + v.square().sum(-1, keepdim=True))
        for g, e, v in zip(told.write_gate, told.erase, told.add, strict=True)
    )
    assert penalty.shape == (3,)
    shut = told._replace(write_gate=torch.zeros_like(told.write_gate))
    without = memory.penalty(Trace(trace.states, shut))
    assert_close((penalty - without).sum(), expected.sum())
    ended = map_state(lambda s: torch.cat([s, torch.zeros_like(s)], dim=1), trace)
    assert_close(memory.penalty(ended), penalty)


# Options and first state


def test_repairs_that_are_off_take_no_columns():
    sizes = {
        repair: DNCMemory(HIDDEN, N_ROWS, WORD, 2, 1, **{**AS_IN_THE_PAPER, repair: True})
        for repair in REPAIRS
    }
    plain = DNCMemory(HIDDEN, N_ROWS, WORD, 2, 1, **AS_IN_THE_PAPER)
    # Graves et al.: W R + 3 W + 5 R + 3 numbers.
    assert plain.projection.out_features == 2 * WORD + 3 * WORD + 5 * 2 + 3
    more = {
        repair: memory.projection.out_features - plain.projection.out_features
        for repair, memory in sizes.items()
    }
    assert more == {"masked_content": 3 * WORD, "deallocate": 0, "sharpen_links": 2 * 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masked_content": "yes"}, "masked_content='yes' is neither True nor False"),
        ({"deallocate": 1}, "deallocate=1 is neither"),
        ({"sharpen_links": None}, "sharpen_links=None is neither"),
        ({"memory_init": "zero"}, "memory_init='zero' is not known; choose from"),
        ({"interface_clip": -1.0}, "interface_clip=-1.0 is not positive"),
        ({"shift_range": 1}, "'shift_range', which memory='dnc' does not know"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        SequenceNetwork(3, 2, memory="dnc", memory_params=options)


def test_nothing_is_used_or_linked_before_the_first_step():
    memory = DNCMemory(HIDDEN, N_ROWS, WORD, 2, 3)
    state = memory.initial_state(2)
    assert torch.equal(state.memory, memory.initial_memory.expand(2, -1, -1))
    assert not any(field.any() for field in state[1:])
    assert state.links.shape == (2, 3, N_ROWS, N_ROWS)
    assert memory.bulky == ("memory", "links") == DNCState._fields[:2]
